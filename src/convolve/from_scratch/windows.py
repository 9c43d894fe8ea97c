"""The window that slides over an input: how many places it takes, what it sees at each (im2col), and the way back.

Slides "특징맵의 크기변화" (the size of feature maps) and "im2col로 데이터 전개하기" (unrolling the data). All of it
holds in one dimension (N, C, L) as in two (N, C, H, W).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import EllipsisType

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from convolve.from_scratch.arrays import Array

Where = tuple[EllipsisType | slice, ...]


@dataclass(frozen=True)
class Sliding:
    """How a window moves, the same along each axis: ``stride`` from one place to the next, ``padding`` zeros on either
    side of the input, ``dilation`` from one tap of the kernel to the next (1: side by side).
    """

    stride: int = 1
    padding: int = 0
    dilation: int = 1


def output_size(size: int, kernel: int, sliding: Sliding) -> int:
    """OH = (H + 2P - FH) / S + 1, rounded down as frameworks do: what is left over at the end is not looked at.

    A dilated kernel reaches over D (FH - 1) + 1. Raises `ValueError` where the window does not fit at all.
    """
    room = size + 2 * sliding.padding - _reach(kernel, sliding)
    if room < 0:
        raise ValueError(
            f"A window of {kernel} with dilation {sliding.dilation} does not fit into {size} with padding "
            f"{sliding.padding}; take a smaller kernel or more padding."
        )
    return room // sliding.stride + 1


def im2col(x: Array, kernel: Sequence[int], sliding: Sliding) -> Array:
    """``x`` (N, C, *size) to (N, C, *kernel, *output): for each tap of the kernel, what it meets at every place.

    With the axes C and kernel taken as one and the output's as one, each image is a matrix with a column per place.
    """
    rank = len(kernel)
    for size, side in zip(x.shape[2:], kernel, strict=True):
        output_size(size, side, sliding)
    reaches = [_reach(side, sliding) for side in kernel]
    seen = sliding_window_view(_padded(x, sliding.padding), reaches, axis=tuple(range(-rank, 0)))
    places, taps = slice(None, None, sliding.stride), slice(None, None, sliding.dilation)
    some: Where = (..., *[places] * rank, *[taps] * rank)
    return np.ascontiguousarray(np.moveaxis(seen[some], range(-rank, 0), range(2, 2 + rank)))


def col2im(columns: Array, shape: Sequence[int], sliding: Sliding) -> Array:
    """The way back: (N, C, *kernel, *output) to ``shape`` (N, C, *size), each value added to where `im2col` read it."""
    rank = len(shape) - 2
    kernel, output = columns.shape[2 : 2 + rank], columns.shape[2 + rank :]
    x = np.zeros((*shape[:2], *(size + 2 * sliding.padding for size in shape[2:])), columns.dtype)
    for tap in np.ndindex(*kernel):
        x[met(tap, output, sliding)] += columns[(slice(None), slice(None), *tap)]
    inside: Where = (..., *(slice(sliding.padding, sliding.padding + size) for size in shape[2:]))
    return x[inside]


def met(tap: Sequence[int], output: Sequence[int], sliding: Sliding) -> Where:
    """The part of the padded input that one tap of the kernel meets, over all ``output`` places, as an index."""
    starts = [sliding.dilation * index for index in tap]
    ends = [start + sliding.stride * (places - 1) + 1 for start, places in zip(starts, output, strict=True)]
    return (..., *(slice(start, end, sliding.stride) for start, end in zip(starts, ends, strict=True)))


def _reach(kernel: int, sliding: Sliding) -> int:
    return sliding.dilation * (kernel - 1) + 1


def _padded(x: Array, padding: int) -> Array:
    if padding == 0:
        return x
    return np.pad(x, [(0, 0), (0, 0)] + [(padding, padding)] * (x.ndim - 2))
