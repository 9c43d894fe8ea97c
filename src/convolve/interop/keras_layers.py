"""Keras' layers in words, as its versions 1, 2 and 3 write them: what each class does, with channels first.

Keras' maps usually have their channels last. Where one is flattened, its values are kept in our order, and the weights
that follow are brought into that order; only where nothing follows that has weights the map is turned before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from convolve.interop.keras_activations import ACTIVATIONS, activate
from convolve.interop.keras_layer import CHANNELS_FIRST, Array, Context, Layer, Reader
from convolve.models.definition import Value


def _same(context: Context, sizes: Sequence[int], kernel: Sequence[int], stride: Sequence[int]) -> tuple[int, ...]:
    """Padding with which as many windows fit as strides: as TensorFlow does it, the smaller half before."""
    sides = []
    for size, extent, step in zip(sizes, kernel, stride, strict=True):
        total = max((-(-size // max(step, 1)) - 1) * step + extent - size, 0)
        before = min(extent // 2, total) if context.theano else total // 2
        sides.append((before, total - before))
    return (*sides[1], *sides[0])


def _padding(
    layer: Layer, context: Context, sizes: Sequence[int], kernel: Sequence[int], stride: Sequence[int]
) -> tuple[int, ...]:
    """The padding of a layer on a map of height and width ``sizes``; ``kernel`` with its dilation."""
    padding = layer.option("padding", "border_mode", default="valid")
    if padding not in ("valid", "same"):
        raise layer.error(f"has padding {str(padding)[:40]!r}, which is not read here")
    return _same(context, sizes, kernel, stride) if padding == "same" else (0, 0, 0, 0)


def _kernel_size(layer: Layer) -> tuple[int, int]:
    if "nb_row" in layer.config:
        return layer.whole("nb_row"), layer.whole("nb_col")
    return layer.pair("kernel_size")


def _convolution(layer: Layer, inputs: Sequence[str], context: Context) -> str:
    (flow,) = inputs
    kernel, out, groups = _kernel_size(layer), layer.whole("filters", "nb_filter"), layer.whole("groups", default=1)
    before = context.map_shape(layer, flow)[0]
    if before % max(groups, 1):
        raise layer.error(f"has {groups} groups for {before} channels")
    name = _windowed(layer, flow, context, {"out": out, "groups": groups, "bias": _has_bias(layer)})
    old = "nb_filter" in layer.config and layer.option("dim_ordering") == "th"
    shape = (out, before // groups, *kernel) if old else (*kernel, before // groups, out)
    weight, *bias = layer.expect(shape, *[(out,)] * _has_bias(layer))
    weight = weight if old else weight.transpose(3, 2, 0, 1)
    weight = weight[:, :, ::-1, ::-1] if context.theano else weight
    context.builder.give(name, "weight", weight, weight.shape)
    _give_bias(context, name, bias)
    return activate(layer, name, context)


def _has_bias(layer: Layer) -> bool:
    return layer.flag("use_bias", "bias", default=True)


def _give_bias(context: Context, name: str, bias: Sequence[Array]) -> None:
    for each in bias:
        context.builder.give(name, "bias", each, each.shape)


def _windowed(layer: Layer, flow: str, context: Context, options: Mapping[str, Value]) -> str:
    """Add a convolution with its kernel, stride, dilation and padding."""
    kernel = _kernel_size(layer)
    stride = layer.pair("strides", "subsample", default=1)
    dilation = layer.pair("dilation_rate", "atrous_rate", default=1)
    extent = [step * (size - 1) + 1 for size, step in zip(kernel, dilation, strict=True)]
    padding = _padding(layer, context, context.map_shape(layer, flow)[1:], extent, stride)
    window: dict[str, Value] = {"kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation}
    return context.add(layer.name, "convolution", flow, {**options, **window})


def _depthwise(layer: Layer, inputs: Sequence[str], context: Context) -> str:
    name = _depthwise_part(layer, inputs[0], context, bias=_has_bias(layer))
    before, out = context.map_shape(layer, inputs[0])[0], context.shape(name)[0]
    weight, *bias = layer.expect((*_kernel_size(layer), before, out // before), *[(out,)] * _has_bias(layer))
    _give_depthwise(context, name, weight)
    _give_bias(context, name, bias)
    return activate(layer, name, context)


def _depthwise_part(layer: Layer, flow: str, context: Context, *, bias: bool) -> str:
    before = context.map_shape(layer, flow)[0]
    out = before * layer.whole("depth_multiplier", default=1)
    return _windowed(layer, flow, context, {"out": out, "groups": before, "bias": bias})


def _give_depthwise(context: Context, name: str, weight: Array) -> None:
    high, wide, before, times = weight.shape
    turned = weight.transpose(2, 3, 0, 1)
    turned = turned[:, :, ::-1, ::-1] if context.theano else turned
    context.builder.give(name, "weight", turned, (before * times, 1, high, wide))


def _separable(layer: Layer, inputs: Sequence[str], context: Context) -> str:
    first = _depthwise_part(layer, inputs[0], context, bias=False)
    before, between = context.map_shape(layer, inputs[0])[0], context.shape(first)[0]
    out = layer.whole("filters", "nb_filter")
    bias_shapes = [(out,)] * _has_bias(layer)
    weight, point, *bias = layer.expect(
        (*_kernel_size(layer), before, between // before), (1, 1, between, out), *bias_shapes
    )
    _give_depthwise(context, first, weight)
    options: dict[str, Value] = {"out": out, "kernel": (1, 1), "stride": (1, 1), "padding": (0, 0, 0, 0)}
    name = context.add(f"{layer.name}/pointwise", "convolution", first, {**options, "bias": bool(bias)})
    context.builder.give(name, "weight", point.transpose(3, 2, 0, 1), (out, between, 1, 1))
    _give_bias(context, name, bias)
    return activate(layer, name, context)


def _transposed(layer: Layer, inputs: Sequence[str], context: Context) -> str:
    """The output's size decides what is cut off or added at the end."""
    (flow,) = inputs
    before, *sizes = context.map_shape(layer, flow)
    kernel, stride, out = _kernel_size(layer), layer.pair("strides", default=1), layer.whole("filters")
    dilation = layer.pair("dilation_rate", default=1)
    added = layer.option("output_padding")
    more = layer.pair("output_padding") if added is not None else (0, 0)
    same = any(_padding(layer, context, (1, 1), (3, 3), (1, 1)))
    sides, extra = [], []
    for size, length, step, gap, rest in zip(sizes, kernel, stride, dilation, more, strict=True):
        extent = gap * (length - 1) + 1
        full = (size - 1) * step + extent
        if added is None:
            wanted = size * step + (0 if same else max(extent - step, 0))
        else:
            wanted = full + rest - 2 * (extent // 2 if same else 0)
        cut = max(full - wanted, 0)
        sides.append((cut // 2, cut - cut // 2))
        extra.append(max(wanted - full, 0))
    options: dict[str, Value] = {"out": out, "kernel": kernel, "stride": stride, "dilation": dilation}
    options |= {"padding": (*sides[1], *sides[0]), "output_padding": tuple(extra), "bias": _has_bias(layer)}
    name = context.add(layer.name, "deconvolution", flow, options)
    weight, *bias = layer.expect((*kernel, out, before), *[(out,)] * _has_bias(layer))
    weight = weight.transpose(3, 2, 0, 1)
    context.builder.give(name, "weight", weight, weight.shape)
    _give_bias(context, name, bias)
    return activate(layer, name, context)


def _dense(layer: Layer, inputs: Sequence[str], context: Context) -> str:
    (flow,) = inputs
    out, shape = layer.whole("units", "output_dim"), context.shape(flow)
    options: dict[str, Value] = {"out": out, "bias": _has_bias(layer)}
    if len(shape) == 3 and not context.channels_first:  # for each position of a map
        window: dict[str, Value] = {"kernel": (1, 1), "stride": (1, 1), "padding": (0, 0, 0, 0)}
        name = context.add(layer.name, "convolution", flow, {**options, **window})
        weight, *bias = layer.expect((shape[0], out), *[(out,)] * _has_bias(layer))
        context.builder.give(name, "weight", weight.T, (out, shape[0], 1, 1))
    elif len(shape) == 1:
        name = context.builder.add(layer.name, "linear", [flow], options)
        weight, *bias = layer.expect((*shape, out), *[(out,)] * _has_bias(layer))
        context.builder.give(name, "weight", weight[context.indices(flow)].T, (out, *shape))
    else:
        raise layer.error(f"is given {'x'.join(map(str, shape))}, which is not read here")
    _give_bias(context, name, bias)
    return activate(layer, name, context)


def _batch_norm(layer: Layer, inputs: Sequence[str], context: Context) -> str:
    (flow,) = inputs
    if context.axis(layer, flow, layer.option("axis", default=-1)) != 1 or layer.option("mode", default=0) == 1:
        raise layer.error("normalizes along another axis than that of channels, which is not read here")
    scale, center = (layer.flag(name, default=True) for name in ("scale", "center"))
    eps = layer.number("epsilon", default=1e-3)
    shape = context.shape(flow)[:1]
    name = context.add(layer.name, "batch_norm", flow, {"eps": eps, "affine": scale or center})
    arrays = iter(layer.expect(*[shape] * (2 + scale + center)))
    values = {"weight": next(arrays) if scale else np.ones(shape, np.float32)}
    values["bias"] = next(arrays) if center else np.zeros(shape, np.float32)
    values |= {"running_mean": next(arrays), "running_var": next(arrays)}
    for key in values if scale or center else ("running_mean", "running_var"):
        context.builder.give(name, key, values[key][context.indices(flow)], shape)
    return name


def _normalization(layer: Layer, inputs: Sequence[str], context: Context) -> str:
    """`Normalization`: mean and variance of each channel, which Keras measured or the options give."""
    (flow,) = inputs
    shape = context.shape(flow)[:1]
    if layer.flag("invert", default=False) or flow in context.orders:
        raise layer.error("is not read here in this place")
    given = [layer.option("mean"), layer.option("variance")]
    try:
        found = [np.asarray(each, np.float64).ravel() for each in (given if None not in given else layer.arrays[:2])]
        mean, variance = (np.broadcast_to(each, shape) for each in found)
    except (TypeError, ValueError, OverflowError) as error:
        raise layer.error("has no mean and variance of each channel") from error
    with np.errstate(all="ignore"):
        weight = 1 / np.maximum(np.sqrt(variance), 1e-7)
    name = context.add(layer.name, "scale", flow, {"bias": True})
    context.builder.give(name, "weight", weight, shape)
    context.builder.give(name, "bias", -mean * weight, shape)
    return name


def _rescaling(layer: Layer, inputs: Sequence[str], context: Context) -> str:
    options = {"scale": layer.number("scale"), "shift": layer.number("offset", default=0.0)}
    return context.add(layer.name, "power", inputs[0], options)


def _pool(layer: Layer, inputs: Sequence[str], context: Context) -> str:
    (flow,) = inputs
    kernel = layer.pair("pool_size", default=2)
    stride = layer.pair("strides") if layer.option("strides") is not None else kernel
    padding = _padding(layer, context, context.map_shape(layer, flow)[1:], kernel, stride)
    mode = "average" if "Average" in layer.kind else "max"
    return context.add(layer.name, "pool", flow, {"mode": mode, "kernel": kernel, "stride": stride, "padding": padding})


def _global_pool(layer: Layer, inputs: Sequence[str], context: Context) -> str:
    mode = "average" if "Average" in layer.kind else "max"
    name = context.add(layer.name, "global_pool", inputs[0], {"mode": mode})
    return name if layer.option("keepdims") is True else context.add(f"{name}/flatten", "flatten", name, {})


def _sides(layer: Layer, value: Any) -> tuple[int, ...]:
    """((top, bottom), (left, right)), or one number for each of these pairs or for both, as left, right, top, bottom.
    Keras 1 also takes four numbers, or names.
    """
    if isinstance(value, dict):
        value = [
            [value.get("top_pad", 0), value.get("bottom_pad", 0)],
            [value.get("left_pad", 0), value.get("right_pad", 0)],
        ]
    value = [value, value] if type(value) is int else value
    if isinstance(value, list) and len(value) == 4:
        value = [value[:2], value[2:]]
    pairs = [[each, each] if type(each) is int else each for each in value] if isinstance(value, list) else []
    if len(pairs) != 2 or not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
        raise layer.error("has no padding")
    (top, bottom), (left, right) = pairs
    if not all(type(each) is int for each in (top, bottom, left, right)):
        raise layer.error("has no padding")
    return left, right, top, bottom


def _zero_padding(layer: Layer, inputs: Sequence[str], context: Context) -> str:
    return context.add(layer.name, "pad", inputs[0], {"padding": _sides(layer, layer.option("padding", default=1))})


def _cropping(layer: Layer, inputs: Sequence[str], context: Context) -> str:
    return context.add(layer.name, "cut", inputs[0], {"padding": _sides(layer, layer.option("cropping", default=0))})


def _upsampling(layer: Layer, inputs: Sequence[str], context: Context) -> str:
    mode = layer.option("interpolation", default="nearest")
    if mode not in ("nearest", "bilinear"):
        raise layer.error(f"interpolates by {str(mode)[:40]!r}, which is not read here")
    return context.add(layer.name, "upsample", inputs[0], {"factor": layer.pair("size", default=2), "mode": mode})


def _flatten(layer: Layer, inputs: Sequence[str], context: Context) -> str:
    """Since version 2.2 a layer that says that channels come first turns the map too, so that weights stay the same."""
    (flow,) = inputs
    shape = context.shape(flow)
    name = context.add(layer.name, "flatten", flow, {})
    turned = not context.channels_first or layer.config.get("data_format") in CHANNELS_FIRST
    if len(shape) == 3 and turned and shape[0] > 1 and shape[1] * shape[2] > 1:
        context.orders[name] = shape
    return name


def _reshape(layer: Layer, inputs: Sequence[str], context: Context) -> str:
    (flow,) = inputs
    target = layer.option("target_shape", "dims")
    if not isinstance(target, list) or not all(type(each) is int and (each > 0 or each == -1) for each in target):
        raise layer.error("has no shape")
    if len(target) == 1:
        return _flatten(layer, inputs, context)
    if len(target) != 3:
        raise layer.error(f"gives {len(target)} axes, which is not read here")
    if context.channels_first:
        return context.builder.add(layer.name, "reshape", [flow], {"shape": tuple(target)})
    before, name = context.natural(flow), f"{layer.name}/turned"
    if len(context.shape(before)) == 3:
        before = context.builder.add(f"{layer.name}/order", "permute", [before], {"order": (0, 2, 3, 1)})
    context.builder.add(name, "reshape", [before], {"shape": tuple(target)})
    return context.builder.add(layer.name, "permute", [name], {"order": (0, 3, 1, 2)})


def _identity(_layer: Layer, inputs: Sequence[str], _context: Context) -> str:
    return inputs[0]


def _dropout(layer: Layer, inputs: Sequence[str], context: Context) -> str:
    return context.add(layer.name, "dropout", inputs[0], {"p": layer.number("rate", "p")})


def _combine(kind: str, options: Mapping[str, Value]) -> Reader:
    def read(layer: Layer, inputs: Sequence[str], context: Context) -> str:
        return _merge(layer.name, kind, inputs, options, context)

    return read


def combine_with_number(layer: Layer, flow: str, number: float, context: Context, *, number_first: bool) -> str:
    """What Keras 3 makes of `x + 3` and the like: an operation of an output and a number. Raises `ValueError`."""
    sign = -1.0 if number_first else 1.0
    options: dict[str, dict[str, Value]] = {
        "Add": {"shift": number},
        "Subtract": {"scale": sign, "shift": -sign * number},
        "Multiply": {"scale": number},
    }
    if number and not number_first:
        options |= {name: {"scale": 1 / number} for name in ("TrueDivide", "Divide")}
    if layer.kind not in options:
        raise layer.error("is given a number, which is not read here")
    return context.add(layer.name, "power", flow, options[layer.kind])


def _merge(name: str, kind: str, inputs: Sequence[str], options: Mapping[str, Value], context: Context) -> str:
    orders = {context.orders.get(flow) for flow in inputs}
    if len(orders) > 1 or kind == "concat":
        inputs, orders = [context.natural(flow) for flow in inputs], {None}
    found = context.builder.add(name, kind, inputs, options)
    order = orders.pop()
    if order is not None:
        context.orders[found] = order
    return found


def _concatenate(layer: Layer, inputs: Sequence[str], context: Context) -> str:
    axis = context.axis(layer, inputs[0], layer.option("axis", "concat_axis", default=-1))
    return _merge(layer.name, "concat", inputs, {"axis": axis}, context)


def _old_merge(layer: Layer, inputs: Sequence[str], context: Context) -> str:
    """Keras 1's `Merge`."""
    mode = layer.option("mode", default="sum")
    kinds = {"sum": "add", "mul": "multiply", "ave": "average", "max": "maximum"}
    if mode == "concat":
        return _concatenate(layer, inputs, context)
    if not isinstance(mode, str) or mode not in kinds:
        raise layer.error(f"merges by {str(mode)[:40]!r}, which is not read here")
    return _merge(layer.name, kinds[mode], inputs, {}, context)


LAYERS: Final[Mapping[str, Reader]] = {
    **dict.fromkeys(("Conv2D", "Convolution2D", "AtrousConvolution2D"), _convolution),
    "DepthwiseConv2D": _depthwise,
    **dict.fromkeys(("SeparableConv2D", "SeparableConvolution2D"), _separable),
    **dict.fromkeys(("Conv2DTranspose", "Convolution2DTranspose"), _transposed),
    "Dense": _dense,
    "BatchNormalization": _batch_norm,
    "Normalization": _normalization,
    "Rescaling": _rescaling,
    **dict.fromkeys(("MaxPooling2D", "AveragePooling2D"), _pool),
    **dict.fromkeys(("GlobalAveragePooling2D", "GlobalMaxPooling2D"), _global_pool),
    "ZeroPadding2D": _zero_padding,
    "Cropping2D": _cropping,
    "UpSampling2D": _upsampling,
    "Flatten": _flatten,
    "Reshape": _reshape,
    **dict.fromkeys(("Dropout", "SpatialDropout2D"), _dropout),
    **dict.fromkeys(("GaussianNoise", "GaussianDropout", "ActivityRegularization", "AlphaDropout"), _identity),
    **dict.fromkeys(("InputLayer", "Identity"), _identity),
    "Add": _combine("add", {}),
    "Subtract": _combine("add", {"coefficients": (1.0, -1.0)}),
    "Multiply": _combine("multiply", {}),
    "Average": _combine("average", {}),
    "Maximum": _combine("maximum", {}),
    "Minimum": _combine("minimum", {}),
    "Concatenate": _concatenate,
    "Merge": _old_merge,
    **ACTIVATIONS,
}
"""By classes."""
