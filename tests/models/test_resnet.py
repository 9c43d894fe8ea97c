"""Table 1 of the paper: layers, map sizes and multiply-adds."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from convolve.layers.residual import Residual
from convolve.models import Network, card, create

BILLIONS = {"resnet18": 1.8, "resnet34": 3.6, "resnet50": 3.8, "resnet101": 7.6, "resnet152": 11.3}


def _skeleton(name: str) -> Network:
    with torch.device("meta"):
        return create(name)


def _strided(network: Network) -> list[str]:
    return [
        name.removeprefix("stages.")
        for name, layer in network.named_modules()
        if isinstance(layer, nn.Conv2d) and layer.stride == (2, 2) and "branch" in name
    ]


@pytest.mark.parametrize("name", BILLIONS)
def test_depth_is_in_the_name(name: str) -> None:
    weighted = [
        path
        for path, layer in _skeleton(name).named_modules()
        if isinstance(layer, nn.Conv2d | nn.Linear) and "shortcut" not in path
    ]
    assert len(weighted) == int(name.removeprefix("resnet"))


@pytest.mark.parametrize("name", BILLIONS)
def test_multiply_adds_are_the_papers_within_its_rounding(name: str) -> None:
    macs = card(name).macs
    assert macs is not None
    assert macs / 1e9 == pytest.approx(BILLIONS[name], abs=0.1)


def test_the_paper_strides_the_first_1x1_and_v1_5_the_3x3() -> None:
    stages = ("stage3.conv3_1", "stage4.conv4_1", "stage5.conv5_1")
    assert _strided(_skeleton("resnet50")) == [f"{stage}.branch.conv1" for stage in stages]
    assert _strided(_skeleton("resnet50_v1_5")) == [f"{stage}.branch.conv2" for stage in stages]
    assert (card("resnet50").macs, card("resnet50_v1_5").macs) == (3_857_973_248, 4_089_184_256)


@pytest.mark.parametrize(("name", "projections"), [("resnet18", 3), ("resnet34", 3), ("resnet50", 4)])
def test_shortcuts_are_projections_only_where_the_shape_changes(name: str, projections: int) -> None:
    blocks = [layer for layer in _skeleton(name).modules() if isinstance(layer, Residual)]
    assert sum(not isinstance(block.shortcut, nn.Identity) for block in blocks) == projections


def test_weights_start_as_he_starts_them_and_normalization_as_the_identity() -> None:
    for layer in create("resnet18").modules():
        if isinstance(layer, nn.Conv2d):
            fan = math.prod(layer.weight.shape[1:])
            assert float(layer.weight.detach().std()) == pytest.approx(math.sqrt(2 / fan), rel=0.05)
            assert layer.bias is None
        if isinstance(layer, nn.BatchNorm2d):
            assert layer.eps == 1e-5
            assert bool((layer.weight == 1).all())
            assert not layer.bias.any()
