"""Docstrings claim shapes; here they are read and executed.

`NAME at CxHxW: stage1 CxHxW, …` stands in the docstring of a paper's file; `Shape: (N, channels, H, W) -> (…)` in that
of a layer or of a function that makes one.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import operator
import pkgutil
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

import convolve.layers
from convolve.models import create, names

STAGES = re.compile(r"^(\w+) at (\d+x\d+x\d+): (.+)$", re.MULTILINE)
SHAPE = re.compile(r"Shape: \((.+)\) -> \((.+)\)$", re.MULTILINE)
SYMBOLS = {
    "N": 2,
    "H": 12,
    "W": 8,
    "channels": 6,
    "inputs": 6 * 12 * 8,
    "outputs": 10,
    "width": 5,
    "stride": 2,
    "words": 7,
}
OPERATORS: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Mult: operator.mul,
    ast.Div: operator.floordiv,
    ast.Sub: operator.sub,
}


def _modules(package: ModuleType) -> Iterator[ModuleType]:
    for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        yield importlib.import_module(found.name)


PAPERS = [module for module in _modules(importlib.import_module("convolve.models")) if hasattr(module, "VARIANTS")]
CLAIMS = [claim for module in PAPERS for claim in STAGES.findall(module.__doc__ or "")]
MAKERS = {
    f"{module.__name__}.{name}": member
    for module in [*_modules(convolve.layers), *PAPERS]
    for name, member in inspect.getmembers(module, callable)
    if member.__module__ == module.__name__ and "Shape:" in (inspect.getdoc(member) or "")
}


def test_every_paper_claims_shapes_of_its_own_networks() -> None:
    for module in PAPERS:
        claimed = {name for name, _, _ in STAGES.findall(module.__doc__ or "")}
        assert claimed
        assert claimed <= {variant.card.name for variant in module.VARIANTS}
    assert {variant.card.name for module in PAPERS for variant in module.VARIANTS} == set(names())


@pytest.mark.parametrize(("name", "image", "stages"), CLAIMS)
def test_stages_have_the_claimed_shapes(name: str, image: str, stages: str) -> None:
    channels, height, width = map(int, image.split("x"))
    with torch.device("meta"):
        network = create(name, channels=channels, size=(height, width)).eval()
        maps = network.features(torch.empty(1, channels, height, width))
    found = ", ".join(f"{stage} {'x'.join(map(str, values.shape[1:]))}" for stage, values in maps.items())
    assert found == stages


@pytest.mark.parametrize("name", MAKERS)
def test_layers_have_the_claimed_shapes(name: str) -> None:
    maker: Callable[..., Any] = MAKERS[name]
    claim = SHAPE.search(inspect.getdoc(maker) or "")
    assert claim
    given, promised = (_evaluated(side, SYMBOLS) for side in claim.groups())
    layer = _made(maker)
    assert tuple(layer(torch.rand(given)).shape) == promised


def _made(maker: Callable[..., Any]) -> nn.Module:
    needed = [name for name, spec in inspect.signature(maker).parameters.items() if spec.default is spec.empty]
    layer: nn.Module | dict[str, nn.Module] = maker(**{name: SYMBOLS.get(name, "1_1") for name in needed})
    return layer if isinstance(layer, nn.Module) else nn.Sequential(OrderedDict(layer))


def _evaluated(shape: str, symbols: Mapping[str, int]) -> tuple[int, ...]:
    def value(node: ast.expr) -> int:
        if isinstance(node, ast.BinOp):
            return OPERATORS[type(node.op)](value(node.left), value(node.right))
        if isinstance(node, ast.Constant):
            return int(str(node.value))
        assert isinstance(node, ast.Name)
        return symbols[node.id]

    return tuple(value(ast.parse(part.strip(), mode="eval").body) for part in shape.split(","))
