"""Convolution as one matrix product: the form that works fast. `plain` says the same as nested sums.

Slides "im2col로 데이터 전개하기" (unrolling the data by im2col): once unrolled, a convolution is an affine layer whose
"examples" are the places of the window. So are its slopes: ∂L/∂W = ∂L/∂Y · Xᵀ, and ∂L/∂X = Wᵀ · ∂L/∂Y, which `col2im`
folds back.
"""

from __future__ import annotations

from typing import NamedTuple

from convolve.from_scratch.arrays import Array
from convolve.from_scratch.windows import Sliding, col2im, im2col

ONE_BY_ONE = Sliding()


class ConvolutionMemory(NamedTuple):
    """``columns`` (N, C, *kernel, *output) of the input, the input's ``shape``, the kernels ``w`` and their way."""

    columns: Array
    shape: tuple[int, ...]
    w: Array
    sliding: Sliding


def convolution_forward(x: Array, w: Array, b: Array, sliding: Sliding = ONE_BY_ONE) -> tuple[Array, ConvolutionMemory]:
    """``x`` (N, C, *size), w (filters, C / groups, *kernel), b (filters,) to y (N, filters, *output).

    One dimension or two, as w says. The number of groups follows from the shapes (C over w's own channels): the filters
    fall into as many equal parts, and each sees its own part of the channels only (AlexNet, section 3.5). Raises
    `ValueError` when the channels do not fit, or the window does not.
    """
    columns = im2col(x, w.shape[2:], sliding)
    filters, rows = _as_matrices(w, columns)
    y = filters @ rows
    y += b.reshape(len(filters), -1, 1)
    return y.reshape(len(x), len(w), *columns.shape[w.ndim :]), ConvolutionMemory(columns, x.shape, w, sliding)


def convolution_backward(dy: Array, memory: ConvolutionMemory) -> tuple[Array, Array, Array]:
    """``dy`` (N, filters, *output) to dx, dw and db, each of its own shape."""
    columns, shape, w, sliding = memory
    filters, rows = _as_matrices(w, columns)
    dy = dy.reshape(len(dy), *filters.shape[:2], -1)
    dw = (dy @ rows.swapaxes(-1, -2)).sum(0)
    drows = filters.swapaxes(-1, -2) @ dy
    dx = col2im(drows.reshape(columns.shape), shape, sliding)
    return dx, dw.reshape(w.shape), dy.sum((0, -1)).ravel()


def _as_matrices(w: Array, columns: Array) -> tuple[Array, Array]:
    """Filters (groups, filters / groups, taps) and rows (N, groups, taps, places): two matrices per image and group."""
    channels, groups = columns.shape[1], columns.shape[1] // w.shape[1]
    if groups * w.shape[1] != channels or len(w) % groups:
        raise ValueError(
            f"{len(w)} filters of {w.shape[1]} channels do not divide an input of {channels} into equal groups."
        )
    filters = w.reshape(groups, len(w) // groups, -1)
    return filters, columns.reshape(len(columns), groups, filters.shape[2], -1)
