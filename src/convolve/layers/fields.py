"""What calls of torch that no layer describes do to receptive fields: crops, borders, poolings and enlargements."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from convolve.layers.geometry import ReceptiveField, Window

Fields = tuple[ReceptiveField, ReceptiveField]
"""Receptive fields down and across."""
Call = tuple[Sequence[Any], Mapping[str, Any]]
"""The positional arguments of a call, without the map, and those by keyword."""


def fields_after(func: Callable[..., Any], map_: Tensor, call: Call, fields: Fields, output: Tensor) -> Fields | None:
    """The fields of the units of ``output``, a map that a function of torch made of another one, whose units have these
    ``fields``; None where the function moves no unit, as most do, or does so in a way that is not known here.
    """
    rule = _RULES.get(func)
    if rule is None or map_.dim() != 4 or output.dim() != 4 or tuple(output.shape[2:]) == (1, 1):
        return None  # a single unit is no map any more
    return rule(fields, call, (map_.shape[2], map_.shape[3]), (output.shape[2], output.shape[3]))


def _argument(call: Call, position: int, name: str, default: Any = None) -> Any:
    arguments, keywords = call
    return arguments[position] if position < len(arguments) else keywords.get(name, default)


def _pair(value: Any) -> tuple[int, int]:
    return (value[0], value[-1]) if isinstance(value, list | tuple) else (value, value)


def _crop(fields: Fields, call: Call, before: tuple[int, int], after: tuple[int, int]) -> Fields:
    del after
    index = call[0][0]
    slices = (index if isinstance(index, tuple) else (index,))[2:4]
    found = list(fields)
    for side, part in enumerate(slices):
        if isinstance(part, slice):
            start, _, step = part.indices(before[side])
            found[side] = fields[side].through(Window(1, step, -start, 1))
    return found[0], found[1]


def _pad(fields: Fields, call: Call, before: tuple[int, int], after: tuple[int, int]) -> Fields:
    del before, after
    left, _, top = (*_argument(call, 0, "pad"), 0, 0, 0)[:3]
    return fields[0].through(Window(1, 1, top, 1)), fields[1].through(Window(1, 1, left, 1))


def _pool(fields: Fields, call: Call, before: tuple[int, int], after: tuple[int, int]) -> Fields:
    del before, after
    kernel, stride = _argument(call, 0, "kernel_size"), _argument(call, 1, "stride")
    kernels, strides, paddings = _pair(kernel), _pair(stride or kernel), _pair(_argument(call, 2, "padding", 0))
    down, across = (Window(*sides, 1) for sides in zip(kernels, strides, paddings, strict=True))
    return fields[0].through(down), fields[1].through(across)


def _pool_adaptively(fields: Fields, call: Call, before: tuple[int, int], after: tuple[int, int]) -> Fields:
    del call
    return fields[0].pooled(before[0], after[0]), fields[1].pooled(before[1], after[1])


def _resize(fields: Fields, call: Call, before: tuple[int, int], after: tuple[int, int]) -> Fields:
    mode, aligned = _argument(call, 2, "mode", "nearest"), bool(_argument(call, 3, "align_corners"))
    if mode == "area":
        return _pool_adaptively(fields, call, before, after)
    if mode == "bicubic":  # one unit more on either side than linear interpolation
        fields = fields[0].through(Window(3, 1, 1, 1)), fields[1].through(Window(3, 1, 1, 1))
    linear = mode != "nearest"
    down, across = (
        field.resized(units, target, linear=linear, aligned=aligned)
        for field, units, target in zip(fields, before, after, strict=True)
    )
    return down, across


def _unpool(fields: Fields, call: Call, before: tuple[int, int], after: tuple[int, int]) -> Fields:
    del before, after
    kernels = _pair(_argument(call, 1, "kernel_size"))
    strides = _pair(_argument(call, 2, "stride") or kernels)
    down, across = (Window(kernel, stride, 0, 1) for kernel, stride in zip(kernels, strides, strict=True))
    return fields[0].through_transposed(down), fields[1].through_transposed(across)


_RULES: dict[Callable[..., Any], Callable[[Fields, Call, tuple[int, int], tuple[int, int]], Fields]] = {
    Tensor.__getitem__: _crop,
    F.pad: _pad,
    F.max_pool2d: _pool,
    F.max_pool2d_with_indices: _pool,
    F.avg_pool2d: _pool,
    F.adaptive_avg_pool2d: _pool_adaptively,
    F.adaptive_max_pool2d: _pool_adaptively,
    F.interpolate: _resize,
    F.max_unpool2d: _unpool,
}
MERGES: dict[Callable[..., Any], str] = {
    **dict.fromkeys((torch.cat, torch.concat, torch.concatenate), "concatenation"),
    **dict.fromkeys((torch.add, Tensor.add, Tensor.add_, Tensor.__add__, Tensor.__iadd__), "addition"),
    **dict.fromkeys((torch.mul, Tensor.mul, Tensor.mul_, Tensor.__mul__, Tensor.__imul__), "product"),
}
"""What is written into the layer table of a function that makes one map of several."""
