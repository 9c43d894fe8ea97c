"""The sliding window: the size of its output, the values that it covers at each position (im2col), and the way back.

Slides "특징맵의 크기변화" (the size of feature maps) and "im2col로 데이터 전개하기" (unrolling the data by im2col).
Everything works in one dimension (N, C, L) as in two (N, C, H, W).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import EllipsisType

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from convolve.from_scratch.arrays import Array

Index = tuple[EllipsisType | slice, ...]


@dataclass(frozen=True)
class Sliding:
    """How a window slides, the same along each axis: ``stride`` from one position to the next, ``padding`` zeros on
    either side of the input, ``dilation`` from one tap of the kernel to the next (1: adjacent).
    """

    stride: int = 1
    padding: int = 0
    dilation: int = 1

    def extent(self, kernel: int) -> int:
        """How far a kernel side reaches over the input: D (FH - 1) + 1."""
        return self.dilation * (kernel - 1) + 1


def output_size(size: int, kernel: int, sliding: Sliding) -> int:
    """OH = (H + 2P - FH) / S + 1, rounded down as frameworks do: values left over at the end are not used.

    With dilation, D (FH - 1) + 1 takes the place of FH. Raises `ValueError` where the window does not fit at all.
    """
    space = size + 2 * sliding.padding - sliding.extent(kernel)
    if space < 0:
        raise ValueError(
            f"A window of {kernel} with dilation {sliding.dilation} does not fit into {size} with padding "
            f"{sliding.padding}; take a smaller kernel or more padding."
        )
    return space // sliding.stride + 1


def im2col(x: Array, kernel: Sequence[int], sliding: Sliding) -> Array:
    """``x`` (N, C, *size) to (N, C, *kernel, *output): for each tap of the kernel, what it reads at every position.

    With C and the kernel's axes as rows and the output's axes as columns, each image is a matrix of one column per
    position.
    """
    rank = len(kernel)
    for size, side in zip(x.shape[2:], kernel, strict=True):
        output_size(size, side, sliding)
    if sliding.padding:
        x = np.pad(x, [(0, 0), (0, 0)] + [(sliding.padding, sliding.padding)] * rank)
    extents = [sliding.extent(side) for side in kernel]
    windows = sliding_window_view(x, extents, axis=tuple(range(-rank, 0)))
    positions, taps = slice(None, None, sliding.stride), slice(None, None, sliding.dilation)
    strided: Index = (..., *[positions] * rank, *[taps] * rank)
    return np.ascontiguousarray(np.moveaxis(windows[strided], range(-rank, 0), range(2, 2 + rank)))


def col2im(columns: Array, shape: Sequence[int], sliding: Sliding) -> Array:
    """The adjoint of `im2col`: (N, C, *kernel, *output) to ``shape`` (N, C, *size); each value is added where it came
    from.
    """
    rank = len(shape) - 2
    kernel, output = columns.shape[2 : 2 + rank], columns.shape[2 + rank :]
    x = np.zeros((*shape[:2], *(size + 2 * sliding.padding for size in shape[2:])), columns.dtype)
    for tap in np.ndindex(*kernel):
        x[tap_index(tap, output, sliding)] += columns[(slice(None), slice(None), *tap)]
    inside: Index = (..., *(slice(sliding.padding, sliding.padding + size) for size in shape[2:]))
    return x[inside]


def tap_index(tap: Sequence[int], output: Sequence[int], sliding: Sliding) -> Index:
    """The index of what one tap of the kernel reads in the padded input over all ``output`` positions."""
    starts = [sliding.dilation * offset for offset in tap]
    ends = [start + sliding.stride * (positions - 1) + 1 for start, positions in zip(starts, output, strict=True)]
    return (..., *(slice(start, end, sliding.stride) for start, end in zip(starts, ends, strict=True)))
