"""Max, min and average pooling, with separate or overlapping windows.

Slides "Pooling" and, for the backward pass, "Average Pooling" (each of a window's m values gets δ/m) and "Max Pooling"
(the selected value gets δ, the others nothing). Where windows overlap (AlexNet: 3x3, stride 2), a value sums what it
gets from each. Rows and columns that no complete window covers are dropped, as frameworks do.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from typing import NamedTuple

import numpy as np

from convolve.from_scratch.arrays import Array
from convolve.from_scratch.windows import Index, Sliding, output_size, tap_index


class ExtremePoolCache(NamedTuple):
    """The input, the output, and the window's side and stride."""

    x: Array
    y: Array
    size: int
    stride: int


class AveragePoolCache(NamedTuple):
    """The input's shape, and the window's side and stride."""

    shape: tuple[int, ...]
    size: int
    stride: int


def max_pool_forward(x: Array, size: int, stride: int) -> tuple[Array, ExtremePoolCache]:
    """``x`` (N, C, *size) to y (N, C, *output): the largest value of each window of ``size`` along each axis."""
    y = reduce(np.maximum, (x[tap] for tap in _taps(x.shape, size, stride)))
    return y, ExtremePoolCache(x, y, size, stride)


def min_pool_forward(x: Array, size: int, stride: int) -> tuple[Array, ExtremePoolCache]:
    """``x`` (N, C, *size) to y (N, C, *output): the smallest value of each window."""
    y = reduce(np.minimum, (x[tap] for tap in _taps(x.shape, size, stride)))
    return y, ExtremePoolCache(x, y, size, stride)


def extreme_pool_backward(dy: Array, cache: ExtremePoolCache) -> Array:
    """For max and min: the gradient goes to the selected value, the first in the window among equals."""
    x, y, size, stride = cache
    dx, unclaimed = np.zeros_like(x), np.ones(y.shape, np.bool_)
    for tap in _taps(x.shape, size, stride):
        selected = (x[tap] == y) & unclaimed
        unclaimed &= ~selected
        if stride < size:
            dx[tap] += dy * selected
        else:  # no other window covers this value
            dx[tap] = dy * selected
    return dx


def average_pool_forward(x: Array, size: int, stride: int) -> tuple[Array, AveragePoolCache]:
    """``x`` (N, C, *size) to y (N, C, *output): the mean of each window."""
    total = reduce(np.add, (x[tap] for tap in _taps(x.shape, size, stride)))
    return total * (1 / size ** (x.ndim - 2)), AveragePoolCache(x.shape, size, stride)


def average_pool_backward(dy: Array, cache: AveragePoolCache) -> Array:
    """Each of the m values of a window gets δ/m."""
    shape, size, stride = cache
    dx = np.zeros(shape, dy.dtype)
    part = dy * (1 / size ** (len(shape) - 2))
    for tap in _taps(shape, size, stride):
        dx[tap] += part
    return dx


def global_average_pool_forward(x: Array) -> tuple[Array, tuple[int, ...]]:
    """``x`` (N, C, *size) to y (N, C): the mean of each map. Slides "Global Average Pooling"; Lin et al. 2014."""
    return x.mean(tuple(range(2, x.ndim))), x.shape


def global_average_pool_backward(dy: Array, cache: tuple[int, ...]) -> Array:
    """Each of a map's m values gets δ/m."""
    shape = cache
    part = dy / np.asarray(np.prod(shape[2:]), dy.dtype)
    return np.broadcast_to(part.reshape(*shape[:2], *[1] * (len(shape) - 2)), shape).copy()


def _taps(shape: tuple[int, ...], size: int, stride: int) -> Iterator[Index]:
    """For each offset inside the window, in reading order, its index in the input over all windows."""
    sliding = Sliding(stride)
    output = [output_size(side, size, sliding) for side in shape[2:]]
    return (tap_index(offset, output, sliding) for offset in np.ndindex(*(size,) * len(output)))
