"""The shapes of maps in a network that is given in words, which readers of other programs' files need: "same" padding
and the order of a flattened map's values depend on them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from convolve.models.definition import LayerDefinition

Shape = tuple[int, ...]
"""Without the batch: (channels, height, width), or (channels,) where there is no map any more."""


def shape_after(layer: LayerDefinition, shapes: Sequence[Shape]) -> Shape:
    """The shape that a layer gives out for inputs of these ``shapes``. Raises `ValueError` where there is none."""
    found = _SHAPES[layer.kind](layer, shapes) if layer.kind in _SHAPES else shapes[0]
    if min(found) < 1:
        raise ValueError(f"nothing is left of the map after the layer {layer.name!r}")
    return found


def _map(layer: LayerDefinition, shape: Shape) -> Shape:
    if len(shape) != 3:
        raise ValueError(f"the layer {layer.name!r} needs a map, and is given {'x'.join(map(str, shape))}")
    return shape


def _sides(layer: LayerDefinition, shape: Shape) -> list[tuple[int, int, int, int]]:
    """Of height and width: the padded size, the padding before, the kernel's extent, the stride."""
    left, right, top, bottom = layer.wholes("padding")
    dilation = layer.wholes("dilation") if layer.kind != "pool" else (1, 1)
    kernels, strides = layer.wholes("kernel"), layer.wholes("stride")
    pads = ((top, bottom), (left, right))
    return [
        (size + before + after, before, step * (kernel - 1) + 1, stride)
        for size, (before, after), kernel, step, stride in zip(shape[1:], pads, kernels, dilation, strides, strict=True)
    ]


def _convolution(layer: LayerDefinition, shapes: Sequence[Shape]) -> Shape:
    sides = _sides(layer, _map(layer, shapes[0]))
    return (layer.whole("out"), *((size - extent) // stride + 1 for size, _, extent, stride in sides))


def _deconvolution(layer: LayerDefinition, shapes: Sequence[Shape]) -> Shape:
    shape = _map(layer, shapes[0])
    added = layer.wholes("output_padding")
    sides = zip(shape[1:], _sides(layer, shape), added, strict=True)
    return (
        layer.whole("out"),
        *((n - 1) * stride + extent - (size - n) + more for n, (size, _, extent, stride), more in sides),
    )


def _pool(layer: LayerDefinition, shapes: Sequence[Shape]) -> Shape:
    shape = _map(layer, shapes[0])
    found = [shape[0]]
    for n, (size, before, extent, stride) in zip(shape[1:], _sides(layer, shape), strict=True):
        count = (size - extent) // stride + 1
        if layer.flag("ceil"):
            count = -((extent - size) // stride) + 1
            count -= (count - 1) * stride >= n + before
        found.append(count)
    return tuple(found)


def _grown(sign: int) -> Callable[[LayerDefinition, Sequence[Shape]], Shape]:
    def shape_of(layer: LayerDefinition, shapes: Sequence[Shape]) -> Shape:
        channels, height, width = _map(layer, shapes[0])
        left, right, top, bottom = layer.wholes("padding")
        return channels, height + sign * (top + bottom), width + sign * (left + right)

    return shape_of


def _concat(layer: LayerDefinition, shapes: Sequence[Shape]) -> Shape:
    axis = layer.whole("axis") - 1
    rests = {(*shape[:axis], *shape[axis + 1 :]) for shape in shapes}
    if len(rests) > 1 or len(shapes[0]) <= axis:
        raise ValueError(f"the layer {layer.name!r} joins maps of different sizes")
    return (*shapes[0][:axis], sum(shape[axis] for shape in shapes), *shapes[0][axis + 1 :])


def _elementwise(layer: LayerDefinition, shapes: Sequence[Shape]) -> Shape:
    if len({len(shape) for shape in shapes}) > 1:
        raise ValueError(f"the layer {layer.name!r} combines maps of different sizes")
    found = []
    for sizes in zip(*shapes, strict=True):
        largest = max(sizes)
        if not set(sizes) <= {1, largest}:
            raise ValueError(f"the layer {layer.name!r} combines maps of different sizes")
        found.append(largest)
    return tuple(found)


def _reshape(layer: LayerDefinition, shapes: Sequence[Shape]) -> Shape:
    wanted = layer.wholes("shape")
    if any(size == 0 and index >= len(shapes[0]) for index, size in enumerate(wanted)):
        raise ValueError(f"the layer {layer.name!r} keeps an axis that there is not")
    sizes = [shapes[0][index] if size == 0 else size for index, size in enumerate(wanted)]
    count, known = math.prod(shapes[0]), math.prod(size for size in sizes if size > 0)
    if sizes.count(-1) > 1 or count % known or (-1 not in sizes and count != known):
        raise ValueError(f"the layer {layer.name!r} cannot give {'x'.join(map(str, shapes[0]))} another shape")
    return tuple(count // known if size == -1 else size for size in sizes)


def _upsample(layer: LayerDefinition, shapes: Sequence[Shape]) -> Shape:
    channels, height, width = _map(layer, shapes[0])
    down, across = layer.wholes("factor")
    return channels, height * down, width * across


def _depth_to_space(layer: LayerDefinition, shapes: Sequence[Shape]) -> Shape:
    channels, height, width = _map(layer, shapes[0])
    factor = layer.whole("factor")
    return channels // factor**2, height * factor, width * factor


def _slice(layer: LayerDefinition, shapes: Sequence[Shape]) -> Shape:
    axis, begin, end = (layer.whole(name) for name in ("axis", "begin", "end"))
    if axis > len(shapes[0]) or not begin < end <= shapes[0][axis - 1]:
        raise ValueError(f"the layer {layer.name!r} takes a part that there is not")
    return (*shapes[0][: axis - 1], end - begin, *shapes[0][axis:])


def _permute(layer: LayerDefinition, shapes: Sequence[Shape]) -> Shape:
    order = layer.wholes("order")
    if sorted(order) != list(range(len(shapes[0]) + 1)) or order[0]:
        raise ValueError(f"the layer {layer.name!r} has no order of the map's axes")
    return tuple(shapes[0][axis - 1] for axis in order[1:])


_SHAPES: Final[Mapping[str, Callable[[LayerDefinition, Sequence[Shape]], Shape]]] = {
    "convolution": _convolution,
    "deconvolution": _deconvolution,
    "linear": lambda layer, _: (layer.whole("out"),),
    "pool": _pool,
    "global_pool": lambda layer, shapes: (_map(layer, shapes[0])[0], 1, 1),
    "flatten": lambda _, shapes: (math.prod(shapes[0]),),
    "reshape": _reshape,
    "permute": _permute,
    "concat": _concat,
    **dict.fromkeys(("add", "multiply", "maximum", "minimum", "average"), _elementwise),
    "pad": _grown(1),
    "cut": _grown(-1),
    "crop": lambda layer, shapes: (_map(layer, shapes[0])[0], *_map(layer, shapes[1])[1:]),
    "upsample": _upsample,
    "depth_to_space": _depth_to_space,
    "slice": _slice,
}
"""By kinds; all others keep their input's shape."""
