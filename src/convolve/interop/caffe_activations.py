"""Caffe's layers that apply a function to each number."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from convolve.interop.caffe_graph import Graph, Map, Reader, only_input, refuse_unless
from convolve.models.definition import Value
from convolve.untrusted.caffe import CaffeLayer


def _relu(graph: Graph, layer: CaffeLayer, inputs: Sequence[Map]) -> list[Map]:
    gradient = layer.parameters("relu_param").get("negative_slope", 0.0)
    found: dict[str, Value] = {"function": "leaky_relu", "slope": gradient} if gradient else {"function": "relu"}
    return [graph.add(layer.name, "activation", [only_input(layer, inputs)], found)]


def _prelu(graph: Graph, layer: CaffeLayer, inputs: Sequence[Map]) -> list[Map]:
    return [graph.add_weighted(layer, "activation", [only_input(layer, inputs)], {"function": "prelu"})]


def _elu(graph: Graph, layer: CaffeLayer, inputs: Sequence[Map]) -> list[Map]:
    found: dict[str, Value] = {"function": "elu", "alpha": layer.parameters("elu_param").get("alpha", 1.0)}
    return [graph.add(layer.name, "activation", [only_input(layer, inputs)], found)]


def _swish(graph: Graph, layer: CaffeLayer, inputs: Sequence[Map]) -> list[Map]:
    refuse_unless(layer.parameters("swish_param").get("beta", 1.0) == 1, layer, "has another beta than 1")
    return [graph.add(layer.name, "activation", [only_input(layer, inputs)], {"function": "swish"})]


def _clip(graph: Graph, layer: CaffeLayer, inputs: Sequence[Map]) -> list[Map]:
    options = layer.parameters("clip_param")
    refuse_unless("min" in options and "max" in options, layer, "has no min and max")
    found: dict[str, Value] = {"function": "hard_tanh", "low": options["min"], "high": options["max"]}
    return [graph.add(layer.name, "activation", [only_input(layer, inputs)], found)]


def activation(function: str) -> Reader:
    """A reader of layers that apply a function without options."""

    def read(graph: Graph, layer: CaffeLayer, inputs: Sequence[Map]) -> list[Map]:
        return [graph.add(layer.name, "activation", [only_input(layer, inputs)], {"function": function})]

    return read


def _exp(graph: Graph, layer: CaffeLayer, inputs: Sequence[Map]) -> list[Map]:
    """Base ^ (shift + scale x)."""
    options = layer.parameters("exp_param")
    base = _base(layer, options)
    factors = {name: options.get(name, default) * base for name, default in (("scale", 1.0), ("shift", 0.0))}
    before = graph.add(f"{layer.name}/power", "power", [only_input(layer, inputs)], factors)
    return [graph.add(layer.name, "activation", [before], {"function": "exp"})]


def _log(graph: Graph, layer: CaffeLayer, inputs: Sequence[Map]) -> list[Map]:
    """The logarithm of shift + scale x."""
    options = layer.parameters("log_param")
    base = _base(layer, options)
    refuse_unless(base != 0, layer, "has the base 1")
    factors = {name: options.get(name, default) for name, default in (("scale", 1.0), ("shift", 0.0))}
    before = graph.add(f"{layer.name}/power", "power", [only_input(layer, inputs)], factors)
    before = graph.add(f"{layer.name}/log", "activation", [before], {"function": "log"})
    return [graph.add(layer.name, "power", [before], {"scale": 1 / base})]


def _base(layer: CaffeLayer, options: Mapping[str, Any]) -> float:
    """The natural logarithm of a base, which is e where it is -1."""
    base = options.get("base", -1.0)
    refuse_unless(base == -1 or (base > 0 and math.isfinite(base)), layer, f"has the base {base:g}")
    return 1.0 if base == -1 else math.log(base)


def _power(graph: Graph, layer: CaffeLayer, inputs: Sequence[Map]) -> list[Map]:
    return [graph.add(layer.name, "power", [only_input(layer, inputs)], layer.parameters("power_param"))]


ACTIVATIONS: Final[Mapping[str, Reader]] = {
    "AbsVal": activation("abs"),
    "BNLL": activation("softplus"),
    "Clip": _clip,
    "ELU": _elu,
    "Exp": _exp,
    "Log": _log,
    "PReLU": _prelu,
    "Power": _power,
    "ReLU": _relu,
    "ReLU6": activation("relu6"),
    "Sigmoid": activation("sigmoid"),
    "Swish": _swish,
    "TanH": activation("tanh"),
}
"""The readers of these layers by their kinds."""
