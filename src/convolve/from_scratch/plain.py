"""Convolution as the nested sums of the slides, for reading: slow, and equal to `convolution` to the last digits.

Slides "CNN 1D backpropagation", whose indices count from 1: Oᵢ = Σⱼ wⱼ x₍ᵢ₊ⱼ₋₁₎ and so ∂L/∂wᵢ = Σⱼ δⱼ x₍ᵢ₊ⱼ₋₁₎; each x
gets w·δ from every output that it went into. Here indices count from 0.
"""

from __future__ import annotations

import numpy as np

from convolve.from_scratch.arrays import Array
from convolve.from_scratch.windows import Sliding, output_size

ONE_BY_ONE = Sliding()


def conv1d_sums(x: Array, w: Array, sliding: Sliding = ONE_BY_ONE) -> Array:
    """``x`` (L,), w (K,) to y (output,): yᵢ = Σⱼ wⱼ x₍ₛᵢ₊ⱼ₎, with zeros around x where it is padded."""
    x = np.pad(x, sliding.padding)
    y = np.zeros(_places(x, w, sliding), x.dtype)
    for i in range(len(y)):
        for j in range(len(w)):
            y[i] += w[j] * x[sliding.stride * i + sliding.dilation * j]
    return y


def conv1d_slopes(dy: Array, x: Array, w: Array, sliding: Sliding = ONE_BY_ONE) -> tuple[Array, Array]:
    """``dy`` (output,) to dx (L,) and dw (K,): the same walk, each product y ← w·x giving w its x and x its w."""
    length, x = len(x), np.pad(x, sliding.padding)
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for i in range(len(dy)):
        for j in range(len(w)):
            dw[j] += dy[i] * x[sliding.stride * i + sliding.dilation * j]
            dx[sliding.stride * i + sliding.dilation * j] += dy[i] * w[j]
    return dx[sliding.padding : sliding.padding + length], dw


def conv2d_sums(x: Array, w: Array, b: Array, sliding: Sliding = ONE_BY_ONE) -> Array:
    """``x`` (C, H, W), w (filters, C, FH, FW), b (filters,) to y (filters, OH, OW).

    y[f, i, j] = b[f] + Σ over channels and taps of w[f, c, u, v] · x[c, S·i + D·u, S·j + D·v].
    """
    x = _bordered(x, sliding.padding)
    y = np.zeros((len(w), *_places(x[0], w[0, 0], sliding)), x.dtype)
    for f, i, j in np.ndindex(*y.shape):
        y[f, i, j] = b[f]
        for c, u, v in np.ndindex(*w.shape[1:]):
            down, right = sliding.stride * i + sliding.dilation * u, sliding.stride * j + sliding.dilation * v
            y[f, i, j] += w[f, c, u, v] * x[c, down, right]
    return y


def conv2d_slopes(dy: Array, x: Array, w: Array, sliding: Sliding = ONE_BY_ONE) -> tuple[Array, Array, Array]:
    """``dy`` (filters, OH, OW) to dx (C, H, W), dw and db: the same walk, each product giving w its x and x its w."""
    height, width = x.shape[1:]
    x = _bordered(x, sliding.padding)
    dx, dw, db = np.zeros_like(x), np.zeros_like(w), np.zeros(len(w), w.dtype)
    for f, i, j in np.ndindex(*dy.shape):
        db[f] += dy[f, i, j]
        for c, u, v in np.ndindex(*w.shape[1:]):
            down, right = sliding.stride * i + sliding.dilation * u, sliding.stride * j + sliding.dilation * v
            dw[f, c, u, v] += dy[f, i, j] * x[c, down, right]
            dx[c, down, right] += dy[f, i, j] * w[f, c, u, v]
    border = sliding.padding
    return dx[:, border : border + height, border : border + width], dw, db


def _bordered(x: Array, padding: int) -> Array:
    return np.pad(x, ((0, 0), (padding, padding), (padding, padding)))


def _places(padded: Array, kernel: Array, sliding: Sliding) -> tuple[int, ...]:
    """The output's shape, the padding being there already."""
    inside = Sliding(sliding.stride, 0, sliding.dilation)
    return tuple(output_size(size, taps, inside) for size, taps in zip(padded.shape, kernel.shape, strict=True))
