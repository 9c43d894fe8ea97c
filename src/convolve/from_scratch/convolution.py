"""Convolution twice: as the nested loops of the slides, to be read, and as one matrix product, which is fast.

Slides "CNN 1D backpropagation", whose indices count from 1: Oᵢ = Σⱼ wⱼ x₍ᵢ₊ⱼ₋₁₎ and so ∂L/∂wᵢ = Σⱼ δⱼ x₍ᵢ₊ⱼ₋₁₎; each x
collects w·δ from every output that it contributed to. Indices here count from 0.

Slides "im2col로 데이터 전개하기" (unrolling the data by im2col): once unrolled, a convolution is an affine layer whose
"examples" are the positions of the window, and so are its gradients: ∂L/∂W = ∂L/∂Y · Xᵀ, and ∂L/∂X = Wᵀ · ∂L/∂Y, which
`col2im` folds back.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from convolve.from_scratch.arrays import Array
from convolve.from_scratch.windows import Sliding, col2im, im2col, output_size

UNIT = Sliding()
"""Stride 1, no padding, no dilation."""


def conv1d_forward_naive(x: Array, w: Array, sliding: Sliding = UNIT) -> Array:
    """``x`` (L,), w (K,) to y (output,): yᵢ = Σⱼ wⱼ x₍ₛᵢ₊ⱼ₎, with zeros around x where it is padded."""
    y = np.zeros(output_size(len(x), len(w), sliding), x.dtype)
    x = np.pad(x, sliding.padding)
    for i in range(len(y)):
        for j in range(len(w)):
            y[i] += w[j] * x[sliding.stride * i + sliding.dilation * j]
    return y


def conv1d_backward_naive(dy: Array, x: Array, w: Array, sliding: Sliding = UNIT) -> tuple[Array, Array]:
    """``dy`` (output,) to dx (L,) and dw (K,): the same loops; each product w·x passes x to dw and w to dx."""
    length, x = len(x), np.pad(x, sliding.padding)
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for i in range(len(dy)):
        for j in range(len(w)):
            dw[j] += dy[i] * x[sliding.stride * i + sliding.dilation * j]
            dx[sliding.stride * i + sliding.dilation * j] += dy[i] * w[j]
    return dx[sliding.padding : sliding.padding + length], dw


def conv2d_forward_naive(x: Array, w: Array, b: Array, sliding: Sliding = UNIT) -> Array:
    """``x`` (C, H, W), w (filters, C, FH, FW), b (filters,) to y (filters, OH, OW).

    y[f, i, j] = b[f] + Σ over channels and taps of w[f, c, u, v] · x[c, S·i + D·u, S·j + D·v].
    """
    output = [output_size(side, taps, sliding) for side, taps in zip(x.shape[1:], w.shape[2:], strict=True)]
    y = np.zeros((len(w), *output), x.dtype)
    x = _pad(x, sliding.padding)
    for f, i, j in np.ndindex(*y.shape):
        y[f, i, j] = b[f]
        for c, u, v in np.ndindex(*w.shape[1:]):
            row, column = sliding.stride * i + sliding.dilation * u, sliding.stride * j + sliding.dilation * v
            y[f, i, j] += w[f, c, u, v] * x[c, row, column]
    return y


def conv2d_backward_naive(dy: Array, x: Array, w: Array, sliding: Sliding = UNIT) -> tuple[Array, Array, Array]:
    """``dy`` (filters, OH, OW) to dx (C, H, W), dw and db: the same loops; each product passes x to dw and w to dx."""
    height, width = x.shape[1:]
    x = _pad(x, sliding.padding)
    dx, dw, db = np.zeros_like(x), np.zeros_like(w), np.zeros(len(w), w.dtype)
    for f, i, j in np.ndindex(*dy.shape):
        db[f] += dy[f, i, j]
        for c, u, v in np.ndindex(*w.shape[1:]):
            row, column = sliding.stride * i + sliding.dilation * u, sliding.stride * j + sliding.dilation * v
            dw[f, c, u, v] += dy[f, i, j] * x[c, row, column]
            dx[c, row, column] += dy[f, i, j] * w[f, c, u, v]
    border = sliding.padding
    return dx[:, border : border + height, border : border + width], dw, db


def _pad(x: Array, padding: int) -> Array:
    return np.pad(x, ((0, 0), (padding, padding), (padding, padding)))


class ConvolutionCache(NamedTuple):
    """``columns`` (N, C, *kernel, *output) of the input, the input's ``shape``, the kernels ``w`` and how they slid."""

    columns: Array
    shape: tuple[int, ...]
    w: Array
    sliding: Sliding


def convolution_forward(x: Array, w: Array, b: Array, sliding: Sliding = UNIT) -> tuple[Array, ConvolutionCache]:
    """``x`` (N, C, *size), w (filters, C / groups, *kernel), b (filters,) to y (N, filters, *output).

    One dimension or two, as w has. The number of groups follows from the shapes (C over w's own channels): the filters
    form that many equal groups, and each sees only its own channels (AlexNet, section 3.5). Raises `ValueError` when
    the channels do not match, or the window does not fit.
    """
    columns = im2col(x, w.shape[2:], sliding)
    filters, rows = _matrices(w, columns)
    y = filters @ rows
    y += b.reshape(len(filters), -1, 1)
    return y.reshape(len(x), len(w), *columns.shape[w.ndim :]), ConvolutionCache(columns, x.shape, w, sliding)


def convolution_backward(dy: Array, cache: ConvolutionCache) -> tuple[Array, Array, Array]:
    """``dy`` (N, filters, *output) to dx, dw and db, each of its own shape."""
    columns, shape, w, sliding = cache
    filters, rows = _matrices(w, columns)
    dy = dy.reshape(len(dy), *filters.shape[:2], -1)
    dw = (dy @ rows.swapaxes(-1, -2)).sum(0)
    drows = filters.swapaxes(-1, -2) @ dy
    dx = col2im(drows.reshape(columns.shape), shape, sliding)
    return dx, dw.reshape(w.shape), dy.sum((0, -1)).ravel()


def _matrices(w: Array, columns: Array) -> tuple[Array, Array]:
    """Filters (groups, filters / groups, taps) and rows (N, groups, taps, positions): a product per image and group."""
    channels, groups = columns.shape[1], columns.shape[1] // w.shape[1]
    if groups * w.shape[1] != channels or len(w) % groups:
        raise ValueError(
            f"{len(w)} filters of {w.shape[1]} channels do not divide an input of {channels} channels into equal "
            "groups; give each filter all channels of the input, or each group of filters an equal part of them."
        )
    filters = w.reshape(groups, len(w) // groups, -1)
    return filters, columns.reshape(len(columns), groups, filters.shape[2], -1)


class TransposedConvolutionCache(NamedTuple):
    """The input ``x``, the kernels ``w`` and how they slid."""

    x: Array
    w: Array
    sliding: Sliding


def transposed_convolution_forward(
    x: Array, w: Array, b: Array, sliding: Sliding = UNIT
) -> tuple[Array, TransposedConvolutionCache]:
    """``x`` (N, C, *size), w (filters, C, *kernel), b (filters,) to y (N, filters, *output): each value of x stamps w,
    times itself, onto y, and stamps that overlap add up. Slides "Deconvolution"; Long et al. 2015, section 3.3.

    It is the backward pass of a convolution with the same window, taken forward: the padding is cut off from y. Along
    each axis the output has S (H - 1) + D (FH - 1) + 1 - 2P values. Raises `ValueError` where nothing is left of it.
    """
    sides = zip(x.shape[2:], w.shape[2:], strict=True)
    output = [transposed_size(side, taps, sliding) for side, taps in sides]
    rank = len(output)
    stamps = np.moveaxis(np.tensordot(w, x, (1, 1)), rank + 1, 0)
    y = col2im(np.ascontiguousarray(stamps), (len(x), len(w), *output), sliding)
    return y + b.reshape(-1, *[1] * rank), TransposedConvolutionCache(x, w, sliding)


def transposed_convolution_backward(dy: Array, cache: TransposedConvolutionCache) -> tuple[Array, Array, Array]:
    """``dy`` (N, filters, *output) to dx, dw and db: dx is the ordinary convolution of dy with w."""
    x, w, sliding = cache
    rank = x.ndim - 2
    kernel, positions = range(2, 2 + rank), range(2 + rank, 2 + 2 * rank)
    windows = im2col(dy, w.shape[2:], sliding)  # (N, filters, *kernel, *size)
    dx = np.tensordot(windows, w, ((1, *kernel), (0, *kernel)))  # (N, *size, C)
    dw = np.tensordot(windows, x, ((0, *positions), (0, *kernel)))  # (filters, *kernel, C)
    return np.moveaxis(dx, -1, 1), np.moveaxis(dw, -1, 1), dy.sum((0, *kernel))


def transposed_size(size: int, kernel: int, sliding: Sliding) -> int:
    """S (H - 1) + D (FH - 1) + 1 - 2P, one side of a transposed convolution's output. Raises `ValueError` below 1."""
    output = sliding.stride * (size - 1) + sliding.extent(kernel) - 2 * sliding.padding
    if output < 1:
        raise ValueError(
            f"A padding of {sliding.padding} cuts off all of the {output + 2 * sliding.padding} values of the output; "
            "take less."
        )
    return output
