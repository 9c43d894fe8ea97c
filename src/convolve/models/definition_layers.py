"""The modules of the layers of a `models.definition.NetworkDefinition`."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Final, NamedTuple, cast

from torch import nn

from convolve.layers.graph_layers import (
    FUNCTIONS,
    ChannelScale,
    Concatenate,
    Crop,
    Elementwise,
    Function,
    HardSigmoid,
    L2Normalize,
    Operation,
    Padding,
    Permute,
    Pool2d,
    Power,
    Reshape,
    Slice,
)
from convolve.layers.lrn import LocalResponseNormWithin, caffe_lrn
from convolve.models.definition import LayerDefinition

Shape = tuple[int, ...]
"""Of one image's values, such as (channels, height, width) or (outputs,)."""
WEIGHTED: Final = ("convolution", "deconvolution", "linear")
"""Those of which a network's last one gives its scores."""


class Built(NamedTuple):
    """What a layer becomes: its module, and by which factor a step of its map is longer than one of its input; None
    where its output is no map any more.
    """

    module: nn.Module
    stride: Fraction | None = Fraction(1)


Maker = Callable[[LayerDefinition, Shape], Built]
"""Takes a layer and the shape of its first input."""


def make_layer(layer: LayerDefinition, shape: Shape, outputs: int | None = None) -> Built:
    """The module of a layer, with another number of ``outputs`` than it says if one is given. Raises `ValueError`."""
    if outputs is not None:
        layer = LayerDefinition(layer.name, layer.kind, layer.inputs, {**layer.options, "out": outputs})
    built = _MAKERS[layer.kind](layer, shape)
    return built if len(shape) == 3 else Built(built.module, None)


def _image(shape: Shape) -> Shape:
    if len(shape) != 3:
        raise ValueError(f"it takes maps, not values of the shape {'x'.join(map(str, shape))}")
    return shape


def _pair(layer: LayerDefinition, option: str) -> tuple[int, int]:
    first, second = layer.wholes(option)
    return first, second


def _padding(layer: LayerDefinition) -> Padding:
    left, right, top, bottom = layer.wholes("padding")
    return left, right, top, bottom


def _step(stride: tuple[int, int]) -> Fraction | None:
    return Fraction(stride[0]) if stride[0] == stride[1] else None


def _convolution(layer: LayerDefinition, shape: Shape) -> Built:
    channels, out, groups = _image(shape)[0], layer.whole("out"), layer.whole("groups")
    if channels % groups or out % groups:
        raise ValueError(f"its {groups} groups do not divide {channels} and {out} channels")
    left, right, top, bottom = padding = _padding(layer)
    even = left == right and top == bottom
    stride = _pair(layer, "stride")
    module = nn.Conv2d(
        channels,
        out,
        _pair(layer, "kernel"),
        stride,
        (top, left) if even else 0,
        _pair(layer, "dilation"),
        groups,
        bias=layer.flag("bias"),
    )
    if even:
        return Built(module, _step(stride))
    return Built(nn.Sequential(OrderedDict(pad=nn.ZeroPad2d(padding), conv=module)), _step(stride))


def _deconvolution(layer: LayerDefinition, shape: Shape) -> Built:
    channels, out, groups = _image(shape)[0], layer.whole("out"), layer.whole("groups")
    if channels % groups or out % groups:
        raise ValueError(f"its {groups} groups do not divide {channels} and {out} channels")
    left, right, top, bottom = _padding(layer)
    even = left == right and top == bottom
    stride = _pair(layer, "stride")
    module = nn.ConvTranspose2d(
        channels,
        out,
        _pair(layer, "kernel"),
        stride,
        (top, left) if even else 0,
        _pair(layer, "output_padding"),
        groups,
        layer.flag("bias"),
        _pair(layer, "dilation"),
    )
    step = Fraction(1, stride[0]) if stride[0] == stride[1] else None
    if even:
        return Built(module, step)
    cut = nn.ZeroPad2d((-left, -right, -top, -bottom))
    return Built(nn.Sequential(OrderedDict(conv=module, cut=cut)), step)


def _linear(layer: LayerDefinition, shape: Shape) -> Built:
    dense = nn.Linear(math.prod(shape), layer.whole("out"), bias=layer.flag("bias"))
    if len(shape) == 1:
        return Built(dense, None)
    return Built(nn.Sequential(OrderedDict(flatten=nn.Flatten(), dense=dense)), None)


def _pool(layer: LayerDefinition, shape: Shape) -> Built:
    _, height, width = _image(shape)
    kernel, stride, padding = _pair(layer, "kernel"), _pair(layer, "stride"), _padding(layer)
    left, right, top, bottom = padding
    ceil, counted = layer.flag("ceil"), layer.flag("count_padding")
    step = None if kernel == (height, width) and not any(padding) else _step(stride)
    mode = layer.text("mode")
    # Torch's own pooling follows the same rules, for padding that is even and at most half of the window.
    if mode == "min" or (left, top) != (right, bottom) or 2 * left > kernel[1] or 2 * top > kernel[0]:
        return Built(Pool2d(mode, kernel, stride, padding, ceil=ceil, count_padding=counted), step)
    if mode == "max":
        return Built(nn.MaxPool2d(kernel, stride, (top, left), ceil_mode=ceil), step)
    return Built(nn.AvgPool2d(kernel, stride, (top, left), ceil, counted), step)


def _global_pool(layer: LayerDefinition, shape: Shape) -> Built:
    _image(shape)
    return Built(nn.AdaptiveAvgPool2d(1) if layer.text("mode") == "average" else nn.AdaptiveMaxPool2d(1), None)


def _batch_norm(layer: LayerDefinition, shape: Shape) -> Built:
    kind = nn.BatchNorm2d if len(shape) == 3 else nn.BatchNorm1d
    return Built(kind(shape[0], layer.number("eps"), layer.number("momentum"), affine=layer.flag("affine")))


def _group_norm(layer: LayerDefinition, shape: Shape) -> Built:
    return Built(nn.GroupNorm(layer.whole("groups"), shape[0], layer.number("eps")))


def _scale(layer: LayerDefinition, shape: Shape) -> Built:
    return Built(ChannelScale(shape[0], bias=layer.flag("bias")))


def _lrn(layer: LayerDefinition, shape: Shape) -> Built:
    channels, size = _image(shape)[0], layer.whole("size")
    alpha, beta, k = (layer.number(name) for name in ("alpha", "beta", "k"))
    if not size % 2:
        raise ValueError(f"its size is {size}, which must be odd")
    if not layer.flag("within"):
        return Built(caffe_lrn(channels, size, alpha, beta, k))
    if k != 1:
        raise ValueError(f"its k is {k:g}, which must be 1 within a map")
    return Built(LocalResponseNormWithin(size, alpha, beta))


_ACTIVATIONS: Final[Mapping[str, Callable[[LayerDefinition], nn.Module]]] = {
    "relu": lambda _: nn.ReLU(),
    "leaky_relu": lambda layer: nn.LeakyReLU(layer.number("slope")),
    "elu": lambda layer: nn.ELU(layer.number("alpha")),
    "selu": lambda _: nn.SELU(),
    "sigmoid": lambda _: nn.Sigmoid(),
    "tanh": lambda _: nn.Tanh(),
    "relu6": lambda _: nn.ReLU6(),
    "hard_sigmoid": lambda layer: HardSigmoid(layer.number("slope"), layer.number("shift")),
    "hard_swish": lambda _: nn.Hardswish(),
    "swish": lambda _: nn.SiLU(),
    "gelu": lambda _: nn.GELU(),
    "softplus": lambda layer: nn.Softplus(layer.number("beta")),
    "softsign": lambda _: nn.Softsign(),
    "threshold": lambda layer: nn.Threshold(layer.number("threshold"), layer.number("value")),
    "hard_tanh": lambda layer: nn.Hardtanh(layer.number("low"), layer.number("high")),
}


def _activation(layer: LayerDefinition, shape: Shape) -> Built:
    name = layer.text("function")
    if name == "prelu":
        return Built(nn.PReLU(shape[0]))
    return Built(Function(name) if name in FUNCTIONS else _ACTIVATIONS[name](layer))


def _softmax(layer: LayerDefinition, shape: Shape) -> Built:
    del shape
    axis = layer.whole("axis")
    return Built(nn.LogSoftmax(axis) if layer.flag("log") else nn.Softmax(axis))


def _concat(layer: LayerDefinition, shape: Shape) -> Built:
    del shape
    return Built(Concatenate(layer.whole("axis")), Fraction(1) if layer.whole("axis") == 1 else None)


def _slice(layer: LayerDefinition, shape: Shape) -> Built:
    del shape
    begin, end = layer.whole("begin"), layer.whole("end")
    return Built(Slice(layer.whole("axis"), begin, end), Fraction(1) if layer.whole("axis") == 1 else None)


_OPERATIONS: Final = {"average": "mean"}


def _elementwise(layer: LayerDefinition, shape: Shape) -> Built:
    del shape
    coefficients = layer.numbers("coefficients") if layer.kind == "add" else ()
    if coefficients and len(coefficients) != len(layer.inputs):
        raise ValueError(f"it has {len(coefficients)} coefficients for {len(layer.inputs)} inputs")
    return Built(Elementwise(cast("Operation", _OPERATIONS.get(layer.kind, layer.kind)), coefficients))


def _upsample(layer: LayerDefinition, shape: Shape) -> Built:
    _image(shape)
    down, across = _pair(layer, "factor")
    step, mode = Fraction(1, down) if down == across else None, layer.text("mode")
    aligned = layer.flag("align_corners") if mode == "bilinear" else None
    return Built(nn.Upsample(scale_factor=(down, across), mode=mode, align_corners=aligned), step)


def _pad(layer: LayerDefinition, shape: Shape) -> Built:
    _image(shape)
    return Built(nn.ConstantPad2d(_padding(layer), layer.number("value")))


def _cut(layer: LayerDefinition, shape: Shape) -> Built:
    _, height, width = _image(shape)
    left, right, top, bottom = _padding(layer)
    if left + right >= width or top + bottom >= height:
        raise ValueError("it takes all of the map away")
    return Built(nn.ZeroPad2d((-left, -right, -top, -bottom)))


def _depth_to_space(layer: LayerDefinition, shape: Shape) -> Built:
    _image(shape)
    return Built(nn.PixelShuffle(layer.whole("factor")), Fraction(1, layer.whole("factor")))


def _power(layer: LayerDefinition, shape: Shape) -> Built:
    del shape
    return Built(Power(layer.number("scale"), layer.number("shift"), layer.number("power")))


def _permute(layer: LayerDefinition, shape: Shape) -> Built:
    order = layer.wholes("order")
    if sorted(order) != list(range(len(shape) + 1)) or order[0] != 0:
        raise ValueError(f"its order {order} is none of the {len(shape) + 1} axes that begins with the batch")
    return Built(Permute(order), None)


_MAKERS: Final[Mapping[str, Maker]] = {
    "convolution": _convolution,
    "deconvolution": _deconvolution,
    "linear": _linear,
    "pool": _pool,
    "global_pool": _global_pool,
    "batch_norm": _batch_norm,
    "group_norm": _group_norm,
    "scale": _scale,
    "lrn": _lrn,
    "activation": _activation,
    "softmax": _softmax,
    "dropout": lambda layer, _: Built(nn.Dropout(layer.number("p"))),
    "identity": lambda _, __: Built(nn.Identity()),
    "flatten": lambda _, __: Built(nn.Flatten(), None),
    "reshape": lambda layer, _: Built(Reshape(layer.wholes("shape")), None),
    "permute": _permute,
    "concat": _concat,
    "add": _elementwise,
    "multiply": _elementwise,
    "maximum": _elementwise,
    "minimum": _elementwise,
    "average": _elementwise,
    "pad": _pad,
    "crop": lambda layer, _: Built(Crop(_pair(layer, "offset"))),
    "cut": _cut,
    "upsample": _upsample,
    "depth_to_space": _depth_to_space,
    "l2_normalize": lambda layer, _: Built(L2Normalize(layer.number("eps"), layer.whole("axis"))),
    "power": _power,
    "slice": _slice,
}
