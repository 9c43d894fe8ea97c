"""Keras' activations in words, as layers and inside other layers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from convolve.interop.keras_layer import Context, Layer, Reader
from convolve.models.definition import Value


def _prelu(layer: Layer, inputs: Sequence[str], context: Context) -> str:
    (flow,) = inputs
    shape = context.shape(flow)
    keras = shape if context.channels_first or len(shape) == 1 else (*shape[1:], shape[0])
    channel = 0 if context.channels_first or len(shape) == 1 else 2
    (alpha,) = layer.arrays if len(layer.arrays) == 1 else layer.expect(keras)
    shared = tuple(size if axis == channel else 1 for axis, size in enumerate(keras))
    if alpha.shape != shared and math.prod(alpha.shape) != 1:
        raise layer.error("has a weight for each position, which is not read here")
    name = context.add(layer.name, "activation", flow, {"function": "prelu"})
    values = np.repeat(alpha, shape[0]) if alpha.size == 1 else alpha.ravel()[context.indices(flow)]
    context.builder.give(name, "weight", values, values.shape)
    return name


def _relu(layer: Layer, inputs: Sequence[str], context: Context) -> str:
    below, threshold = (layer.number(name, default=0.0) for name in ("negative_slope", "threshold"))
    largest = layer.option("max_value")
    options: dict[str, Value] = {"function": "relu"}
    if largest is not None:
        options = {"function": "hard_tanh", "low": 0.0, "high": layer.number("max_value")}
        options = {"function": "relu6"} if options["high"] == 6 else options
    elif below:
        options = {"function": "leaky_relu", "slope": below}
    elif threshold:
        options = {"function": "threshold", "threshold": threshold}
    if (largest is not None) + (below != 0) + (threshold != 0) > 1:
        raise layer.error("has more than one of max_value, negative_slope and threshold, which is not read here")
    return context.add(layer.name, "activation", inputs[0], options)


def _parameter(function: str, option: str, names: Sequence[str], default: float) -> Reader:
    """An activation with one parameter."""

    def read(layer: Layer, inputs: Sequence[str], context: Context) -> str:
        options: dict[str, Value] = {"function": function, option: layer.number(*names, default=default)}
        return context.add(layer.name, "activation", inputs[0], options)

    return read


def _softmax(layer: Layer, inputs: Sequence[str], context: Context) -> str:
    axis = context.axis(layer, inputs[0], layer.option("axis", default=-1))
    return context.add(layer.name, "softmax", inputs[0], {"axis": axis})


def _activation(layer: Layer, inputs: Sequence[str], context: Context) -> str:
    return _activate(layer, layer.name, inputs[0], context)


def activate(layer: Layer, flow: str, context: Context) -> str:
    """The activation that a layer has in itself, after it."""
    function = layer.option("activation", default="linear")
    return _activate(layer, f"{flow}/{function if isinstance(function, str) else 'activation'}", flow, context)


def _activate(layer: Layer, name: str, flow: str, context: Context) -> str:
    function = layer.option("activation", default="linear")
    if isinstance(function, dict):  # an object of Keras, or a function that is registered
        kind, config = function.get("class_name"), function.get("config")
        if isinstance(kind, str) and kind in ACTIVATIONS and isinstance(config, dict) and kind != "Activation":
            return ACTIVATIONS[kind](Layer(kind, name, config, ()), [flow], context)
        function = config if isinstance(config, str) else kind
    if function == "linear":
        return flow
    if function in ("softmax", "log_softmax"):
        found = context.add(name, "softmax", flow, {"axis": context.axis(layer, flow, -1)})
        return found if function == "softmax" else context.add(f"{name}/log", "activation", found, {"function": "log"})
    if not isinstance(function, str) or function not in _FUNCTIONS:
        raise layer.error(f"has the activation {str(function)[:60]!r}, which is not known here")
    options = _FUNCTIONS[function]
    if function == "hard_sigmoid" and context.version >= _NEW_HARD_SIGMOID:
        options = {**options, "slope": 1 / 6}
    return context.add(name, "activation", flow, options)


_NEW_HARD_SIGMOID: Final = 3
_FUNCTIONS: Final[Mapping[str, Mapping[str, Value]]] = {
    **{name: {"function": name} for name in ("relu", "relu6", "sigmoid", "tanh", "selu", "gelu", "softplus")},
    "ReLU6": {"function": "relu6"},
    "softsign": {"function": "softsign"},
    "elu": {"function": "elu", "alpha": 1.0},
    "leaky_relu": {"function": "leaky_relu", "slope": 0.2},
    "hard_sigmoid": {"function": "hard_sigmoid", "slope": 0.2, "shift": 0.5},
    **{name: {"function": "swish"} for name in ("swish", "silu")},
    **{name: {"function": "hard_swish"} for name in ("hard_swish", "hard_silu")},
    "exponential": {"function": "exp"},
}
ACTIVATIONS: Final[Mapping[str, Reader]] = {
    "Activation": _activation,
    "ReLU": _relu,
    "LeakyReLU": _parameter("leaky_relu", "slope", ("negative_slope", "alpha"), 0.3),
    "ELU": _parameter("elu", "alpha", ("alpha",), 1.0),
    "ThresholdedReLU": _parameter("threshold", "threshold", ("theta",), 1.0),
    "PReLU": _prelu,
    "Softmax": _softmax,
}
"""Layers, by their classes."""
