"""Caffe's layers in the words of `models.definition`.

Layers in place (whose top is their bottom) follow one another; `Split` gives one map several names, and is no layer.
What only trains or measures is left out: losses (but the softmax or sigmoid in them is kept), accuracies, and all that
is made of labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from convolve.interop.caffe_activations import ACTIVATIONS, activation
from convolve.interop.caffe_graph import Graph, Map, Reader, only_input, refuse_unless
from convolve.models.definition import Value
from convolve.untrusted.caffe import CaffeLayer

_DROPPED: Final = frozenset({"Accuracy", "Silence", "HDF5Output"})
_OF_LABELS: Final = frozenset({"Slice", "Split", "Flatten", "Reshape", "Permute", "Concat", "Power"})
"""Kinds of layers that may prepare labels."""


def read_layer(graph: Graph, layer: CaffeLayer) -> None:
    """Append what a layer computes. Raises `ValueError` for what is not read here."""
    lacking = [name for name in layer.bottoms if name not in graph.maps]
    if lacking:
        raise ValueError(f"the layer {layer.name!r} takes {lacking[0]!r}, which no layer before it gives")
    found = [graph.maps[name] for name in layer.bottoms]
    inputs = [each for each in found if each is not None]
    if layer.kind in _DROPPED or (layer.kind.endswith("Loss") and layer.kind not in _KINDS):
        graph.silenced.update(each.layer for each in inputs if layer.kind == "Silence")
        return
    if layer.kind in _OF_LABELS and found and not inputs:
        graph.maps.update(dict.fromkeys(layer.tops))
        return
    if layer.kind not in _KINDS:
        raise _unknown_kind(layer)
    if len(inputs) < len(found) and not layer.kind.endswith("Loss"):
        other = next(name for name in layer.bottoms if graph.maps[name] is None)
        raise ValueError(f"the layer {layer.name!r} takes {other!r}, an input besides the image, and only one is read")
    if not inputs:
        raise ValueError(f"the layer {layer.name!r} takes nothing")
    after = _KINDS[layer.kind](graph, layer, inputs)
    if len(after) != len(layer.tops) and not layer.kind.endswith("Loss"):
        raise ValueError(f"the layer {layer.name!r} has {len(layer.tops)} outputs, and {len(after)} are read")
    graph.maps.update(zip(layer.tops, after, strict=False))


def _unknown_kind(layer: CaffeLayer) -> ValueError:
    if layer.kind == "Python":
        return ValueError(f"the layer {layer.name!r} is code in Python, which is never run")
    kind = f"of the kind {layer.kind!r}, which is not read here" if layer.kind else "of no kind that Caffe has"
    return ValueError(f"the layer {layer.name!r} is {kind}")


def _axis(layer: CaffeLayer, axis: int, axes: int) -> int:
    """An axis counted from the first one."""
    if not -axes <= axis < axes:
        raise ValueError(f"the layer {layer.name!r} is along the axis {axis}, and its input has {axes} axes")
    return axis % axes


def _pair(layer: CaffeLayer, options: Mapping[str, Any], what: str, default: int | None) -> tuple[int, int]:
    """A kernel's, stride's or padding's height and width, which are given together or each by itself."""
    whole = "kernel_size" if what == "kernel" else what
    together = options.get(whole, ())
    each = tuple(options.get(f"{what}_{letter}", default) for letter in "hw")
    if f"{what}_h" in options or f"{what}_w" in options:
        refuse_unless(not together, layer, f"has both {whole} and {what}_h or {what}_w")
        height, width = each
    else:
        refuse_unless(len(together) <= 2, layer, f"has {len(together)} values of {whole}")
        height, width = (*together, *together)[:2] if together else each
        if len(together) == 2:
            height, width = together
    if height is None or width is None:
        raise ValueError(f"the layer {layer.name!r} ({layer.kind}) has no {whole}")
    return height, width


def _window(layer: CaffeLayer, options: Mapping[str, Any]) -> dict[str, Value]:
    high, wide = _pair(layer, options, "pad", 0)
    return {
        "kernel": _pair(layer, options, "kernel", None),
        "stride": _pair(layer, options, "stride", 1),
        "padding": (wide, wide, high, high),
    }


def _convolution(graph: Graph, layer: CaffeLayer, inputs: Sequence[Map]) -> list[Map]:
    options = layer.parameters("convolution_param")
    before = only_input(layer, inputs)
    refuse_unless(before.axes == 4 and options.get("axis", 1) in (1, -3), layer, "is not along height and width")
    if "num_output" not in options:
        raise ValueError(f"the layer {layer.name!r} ({layer.kind}) has no num_output")
    if layer.kind == "DepthwiseConvolution":
        refuse_unless("group" in options, layer, "has no group")
    found: dict[str, Value] = {
        "out": options["num_output"],
        **_window(layer, options),
        "dilation": _pair(layer, options, "dilation", 1),
        "groups": options.get("group", 1),
        "bias": options.get("bias_term", True),
    }
    kind = "deconvolution" if layer.kind == "Deconvolution" else "convolution"
    return [graph.add_weighted(layer, kind, inputs, found)]


def _inner_product(graph: Graph, layer: CaffeLayer, inputs: Sequence[Map]) -> list[Map]:
    options = layer.parameters("inner_product_param")
    axis = _axis(layer, options.get("axis", 1), only_input(layer, inputs).axes)
    refuse_unless(axis == 1, layer, f"begins with the axis {axis}")
    if "num_output" not in options:
        raise ValueError(f"the layer {layer.name!r} ({layer.kind}) has no num_output")
    found: dict[str, Value] = {"out": options["num_output"], "bias": options.get("bias_term", True)}
    return [graph.add_weighted(layer, "linear", inputs, found)]


def _pooling(graph: Graph, layer: CaffeLayer, inputs: Sequence[Map]) -> list[Map]:
    options = layer.parameters("pooling_param")
    refuse_unless(only_input(layer, inputs).axes == 4, layer, "is not along height and width")
    method = options.get("pool", "MAX")
    refuse_unless(method != "STOCHASTIC", layer, "pools at random")
    mode = "max" if method == "MAX" else "average"
    if options.get("global_pooling", False):
        return [graph.add(layer.name, "global_pool", inputs, {"mode": mode})]
    ceil = options.get("round_mode", "CEIL") == "CEIL" and options.get("ceil_mode", True)
    found = {"mode": mode, **_window(layer, options), "ceil": ceil, "count_padding": True}
    return [graph.add(layer.name, "pool", inputs, found)]


def _batch_norm(graph: Graph, layer: CaffeLayer, inputs: Sequence[Map]) -> list[Map]:
    options = layer.parameters("batch_norm_param")
    only_input(layer, inputs)
    refuse_unless(
        options.get("use_global_stats", True) or layer.fields.get("phase") == "TRAIN",
        layer,
        "normalizes by the batch (use_global_stats: false)",
    )
    found: dict[str, Value] = {"eps": options.get("eps", 1e-5), "affine": False}
    return [graph.add_weighted(layer, "batch_norm", inputs, found)]


def _scale(graph: Graph, layer: CaffeLayer, inputs: Sequence[Map]) -> list[Map]:
    options = layer.parameters("scale_param")
    first = inputs[0]
    axis = _axis(layer, options.get("axis", 1), first.axes)
    bias = options.get("bias_term", False)
    if len(inputs) == 1:
        refuse_unless(axis == 1 and options.get("num_axes", 1) == 1, layer, "is not by channels")
        return [graph.add_weighted(layer, "scale", inputs, {"bias": bias})]
    factors = inputs[1]
    refuse_unless(len(inputs) == 2 and not bias, layer, "has a bias besides two inputs")
    refuse_unless(axis == 0 and factors.axes in (2, first.axes), layer, f"multiplies along the axis {axis}")
    if factors.axes < first.axes:
        shape = (-1, *[1] * (first.axes - 2))
        factors = graph.add(f"{layer.name}/reshape", "reshape", [factors], {"shape": shape})
    return [graph.add(layer.name, "multiply", [first, factors])]


def _axpy(graph: Graph, layer: CaffeLayer, inputs: Sequence[Map]) -> list[Map]:
    """Squeeze-and-excitation's layer: the second input times the first one, plus the third one."""
    refuse_unless(len(inputs) == 3 and inputs[0].axes == 4, layer, "does not take three maps")
    product = graph.add(f"{layer.name}/multiply", "multiply", [inputs[1], inputs[0]])
    return [graph.add(layer.name, "add", [product, inputs[2]])]


def _bias(graph: Graph, layer: CaffeLayer, inputs: Sequence[Map]) -> list[Map]:
    options = layer.parameters("bias_param")
    axis = _axis(layer, options.get("axis", 1), only_input(layer, inputs).axes)
    refuse_unless(axis == 1 and options.get("num_axes", 1) == 1, layer, "is not by channels")
    return [graph.add_weighted(layer, "scale", inputs, {"bias": True})]


def _lrn(graph: Graph, layer: CaffeLayer, inputs: Sequence[Map]) -> list[Map]:
    """Within a channel Caffe's k is 1 whatever the file says."""
    options = layer.parameters("lrn_param")
    only_input(layer, inputs)
    within = options.get("norm_region") == "WITHIN_CHANNEL"
    size = options.get("local_size", 5)
    refuse_unless(size % 2 == 1, layer, f"has an even size, {size}")
    found: dict[str, Value] = {
        "size": size,
        "alpha": options.get("alpha", 1.0),
        "beta": options.get("beta", 0.75),
        "k": 1.0 if within else options.get("k", 1.0),
        "within": within,
    }
    return [graph.add(layer.name, "lrn", inputs, found)]


def _softmax(graph: Graph, layer: CaffeLayer, inputs: Sequence[Map]) -> list[Map]:
    axis = _axis(layer, layer.parameters("softmax_param").get("axis", 1), only_input(layer, inputs).axes)
    return [graph.add(layer.name, "softmax", inputs, {"axis": axis})]


def _loss(function: Reader) -> Reader:
    """The activation in a loss of scores and labels, unless there is one already."""

    def read(graph: Graph, layer: CaffeLayer, inputs: Sequence[Map]) -> list[Map]:
        del inputs
        scores = graph.maps[layer.bottoms[0]]
        if scores is None:
            raise ValueError(f"the layer {layer.name!r} takes labels as scores")
        if any(other.kind == "softmax" and other.inputs == (scores.layer,) for other in graph.layers):
            return []
        after = function(graph, layer, [scores])
        if 0 < layer.fields.get("loss_weight", (1.0,))[0] < 1:
            graph.auxiliary.add(after[0].layer)
        return after

    return read


def _dropout(graph: Graph, layer: CaffeLayer, inputs: Sequence[Map]) -> list[Map]:
    """Without `scale_train`, programs derived from Caffe shrink what they predict with instead."""
    options = layer.parameters("dropout_param")
    p = options.get("dropout_ratio", 0.5)
    after = graph.add(layer.name, "dropout", [only_input(layer, inputs)], {"p": p})
    if not options.get("scale_train", True):
        after = graph.add(f"{layer.name}/scale", "power", [after], {"scale": 1 - p})
    return [after]


def _flatten(graph: Graph, layer: CaffeLayer, inputs: Sequence[Map]) -> list[Map]:
    options = layer.parameters("flatten_param")
    before = only_input(layer, inputs)
    axis = _axis(layer, options.get("axis", 1), before.axes)
    end = _axis(layer, options.get("end_axis", -1), before.axes)
    refuse_unless(axis >= 1 and end == before.axes - 1, layer, f"joins the axes {axis} to {end}")
    if axis == 1:
        return [graph.add(layer.name, "flatten", inputs)]
    return [graph.add(layer.name, "reshape", inputs, {"shape": (*[0] * (axis - 1), -1)})]


def _reshape(graph: Graph, layer: CaffeLayer, inputs: Sequence[Map]) -> list[Map]:
    """The batch's axis stays as it is: 1, 0, or -1 where all others are said."""
    options = layer.parameters("reshape_param")
    before = only_input(layer, inputs)
    shape = options.get("shape", {}).get("dim", ())
    axis = options.get("axis", 0)
    axis = axis if axis >= 0 else axis + before.axes + 1
    refuse_unless(0 <= axis <= before.axes and options.get("num_axes", -1) == -1, layer, "changes some axes only")
    if axis == 0:
        refuse_unless(bool(shape) and shape[0] in (-1, 0, 1), layer, "changes the number of images")
        shape, axis = shape[1:], 1
    refuse_unless(shape.count(-1) <= 1 and (axis > 1 or bool(shape)), layer, "has no single shape")
    return [graph.add(layer.name, "reshape", inputs, {"shape": (*[0] * (axis - 1), *shape)})]


def _permute(graph: Graph, layer: CaffeLayer, inputs: Sequence[Map]) -> list[Map]:
    """Axes that are not named follow in their order."""
    order = layer.parameters("permute_param").get("order", ())
    axes = range(only_input(layer, inputs).axes)
    order = (*order, *(axis for axis in axes if axis not in order))
    refuse_unless(sorted(order) == [*axes] and order[0] == 0, layer, f"orders the axes as {list(order)}")
    return [graph.add(layer.name, "permute", inputs, {"order": order})]


def _concat(graph: Graph, layer: CaffeLayer, inputs: Sequence[Map]) -> list[Map]:
    options = layer.parameters("concat_param")
    axis = _axis(layer, options.get("axis", options.get("concat_dim", 1)), inputs[0].axes)
    return [graph.add(layer.name, "concat", inputs, {"axis": axis})]


def _eltwise(graph: Graph, layer: CaffeLayer, inputs: Sequence[Map]) -> list[Map]:
    options = layer.parameters("eltwise_param")
    operation = options.get("operation", "SUM")
    if operation != "SUM":
        return [graph.add(layer.name, "multiply" if operation == "PROD" else "maximum", inputs)]
    coefficients = options.get("coeff", ())
    refuse_unless(len(coefficients) in (0, len(inputs)), layer, f"has {len(coefficients)} coefficients")
    return [graph.add(layer.name, "add", inputs, {"coefficients": coefficients})]


def _slice(graph: Graph, layer: CaffeLayer, inputs: Sequence[Map]) -> list[Map]:
    options = layer.parameters("slice_param")
    before = only_input(layer, inputs)
    axis = _axis(layer, options.get("axis", options.get("slice_dim", 1)), before.axes)
    points, count = options.get("slice_point", ()), len(layer.tops)
    refuse_unless(axis == 1 and before.channels is not None and count > 0, layer, f"cuts along the axis {axis}")
    channels = before.channels or 0
    if not points and channels % count == 0:
        points = tuple(range(channels // count, channels, channels // count))
    ends = (*points, channels)
    refuse_unless(len(ends) == count, layer, f"cuts {channels} channels into {count} at {list(points)}")
    maps = []
    for top, begin, end in zip(layer.tops, (0, *points), ends, strict=True):
        found: dict[str, Value] = {"axis": axis, "begin": begin, "end": end}
        maps.append(graph.add(top, "slice", [before], found))
    return maps


def _split(graph: Graph, layer: CaffeLayer, inputs: Sequence[Map]) -> list[Map]:
    del graph
    return [only_input(layer, inputs)] * len(layer.tops)


def _crop(graph: Graph, layer: CaffeLayer, inputs: Sequence[Map]) -> list[Map]:
    options = layer.parameters("crop_param")
    axis = _axis(layer, options.get("axis", 2), inputs[0].axes)
    offsets = options.get("offset", (0,))
    refuse_unless(axis == 2 and len(offsets) in (1, 2), layer, "is not by height and width")
    return [graph.add(layer.name, "crop", inputs, {"offset": (offsets[0], offsets[-1])})]


_KINDS: Final[Mapping[str, Reader]] = {
    **ACTIVATIONS,
    "Axpy": _axpy,
    "BatchNorm": _batch_norm,
    "Bias": _bias,
    "Concat": _concat,
    "Convolution": _convolution,
    "Crop": _crop,
    "Deconvolution": _convolution,
    "DepthwiseConvolution": _convolution,
    "Dropout": _dropout,
    "Eltwise": _eltwise,
    "Flatten": _flatten,
    "InnerProduct": _inner_product,
    "LRN": _lrn,
    "Permute": _permute,
    "Pooling": _pooling,
    "Reshape": _reshape,
    "Scale": _scale,
    "SigmoidCrossEntropyLoss": _loss(activation("sigmoid")),
    "Slice": _slice,
    "Softmax": _softmax,
    "SoftmaxWithLoss": _loss(_softmax),
    "Split": _split,
}
