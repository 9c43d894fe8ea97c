"""Max, min and average pooling, with windows apart or overlapping.

Slides "Pooling" and, for the way back, "Average Pooling" (each of a window's m values gets δ/m) and "Max Pooling" (the
value that was passed on gets δ, the others nothing). Where windows overlap (AlexNet: 3x3, stride 2), a value adds up
what each window gives it. Rows and columns that no whole window reaches are dropped, as frameworks do.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from typing import NamedTuple

import numpy as np

from convolve.from_scratch.arrays import Array
from convolve.from_scratch.windows import Sliding, Where, met, output_size


class ExtremeMemory(NamedTuple):
    """What went in, what came out, and the window's side and stride."""

    x: Array
    y: Array
    size: int
    stride: int


class AverageMemory(NamedTuple):
    """The input's shape, and the window's side and stride."""

    shape: tuple[int, ...]
    size: int
    stride: int


def max_pool_forward(x: Array, size: int, stride: int) -> tuple[Array, ExtremeMemory]:
    """``x`` (N, C, *size) to y (N, C, *output): the largest value of each window of ``size`` along each axis."""
    y = reduce(np.maximum, (x[place] for place in _taps(x.shape, size, stride)))
    return y, ExtremeMemory(x, y, size, stride)


def min_pool_forward(x: Array, size: int, stride: int) -> tuple[Array, ExtremeMemory]:
    """``x`` (N, C, *size) to y (N, C, *output): the smallest value of each window."""
    y = reduce(np.minimum, (x[place] for place in _taps(x.shape, size, stride)))
    return y, ExtremeMemory(x, y, size, stride)


def extreme_pool_backward(dy: Array, memory: ExtremeMemory) -> Array:
    """Both max and min: the slope goes to the value that was passed on, the first in the window among equals."""
    x, y, size, stride = memory
    dx, unclaimed = np.zeros_like(x), np.ones(y.shape, np.bool_)
    for place in _taps(x.shape, size, stride):
        chosen = (x[place] == y) & unclaimed
        unclaimed &= ~chosen
        if stride < size:
            dx[place] += dy * chosen
        else:  # no other window reaches here
            dx[place] = dy * chosen
    return dx


def average_pool_forward(x: Array, size: int, stride: int) -> tuple[Array, AverageMemory]:
    """``x`` (N, C, *size) to y (N, C, *output): the mean of each window."""
    total = reduce(np.add, (x[place] for place in _taps(x.shape, size, stride)))
    return total * (1 / size ** (x.ndim - 2)), AverageMemory(x.shape, size, stride)


def average_pool_backward(dy: Array, memory: AverageMemory) -> Array:
    """Each of the m values of a window gets δ/m."""
    shape, size, stride = memory
    dx = np.zeros(shape, dy.dtype)
    share = dy * (1 / size ** (len(shape) - 2))
    for place in _taps(shape, size, stride):
        dx[place] += share
    return dx


def _taps(shape: tuple[int, ...], size: int, stride: int) -> Iterator[Where]:
    """For each position inside the window, in reading order, where it falls in the input over all windows."""
    sliding = Sliding(stride)
    output = [output_size(side, size, sliding) for side in shape[2:]]
    return (met(tap, output, sliding) for tap in np.ndindex(*(size,) * len(output)))
