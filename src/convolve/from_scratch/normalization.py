"""Batch and layer normalization: the same formula over different axes.

Slides "Batch & layer normalization": x̂ = (x - μ) / √(σ² + ε), y = γ x̂ + β. Batch normalization takes μ and σ of each
feature over the batch (and, in images, over the places): μ, σ, γ, β are (1, D) or (1, C, 1, 1). Layer normalization
takes them of each example over its own features, so μ and σ are (N, 1) or (N, 1, 1, 1).

Ioffe & Szegedy 2015, "Batch normalization", algorithm 1; Ba, Kiros & Hinton 2016, "Layer normalization".
Deviations: the slide's table gives layer normalization's γ and β the shape of μ; in the paper, and here, they are one
per feature, since an example that comes later could not have learned its own.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from convolve.from_scratch.arrays import Array

EPSILON = 1e-5


class NormalizationMemory(NamedTuple):
    """x̂, √(σ² + ε), μ and σ² (broadcast along x), γ as it was given, and the axes that μ and σ were taken over."""

    normalized: Array
    deviation: Array
    mean: Array
    variance: Array
    gamma: Array
    axes: tuple[int, ...]


def batch_norm_forward(
    x: Array, gamma: Array, beta: Array, epsilon: float = EPSILON
) -> tuple[Array, NormalizationMemory]:
    """``x`` (N, D) or (N, C, …), gamma and beta (D,) or (C,), to y of x's shape."""
    axes = (0, *range(2, x.ndim))
    memory = _normalize(x, gamma, axes, epsilon)
    return per_feature(gamma, x) * memory.normalized + per_feature(beta, x), memory


def batch_norm_backward(dy: Array, memory: NormalizationMemory) -> tuple[Array, Array, Array]:
    """``dy`` of x's shape to dx, dgamma and dbeta."""
    dgamma, dbeta = (dy * memory.normalized).sum(memory.axes), dy.sum(memory.axes)
    return _backward(dy * per_feature(memory.gamma, dy), memory), dgamma, dbeta


def layer_norm_forward(
    x: Array, gamma: Array, beta: Array, epsilon: float = EPSILON
) -> tuple[Array, NormalizationMemory]:
    """``x`` (N, *features), gamma and beta (*features), to y of x's shape."""
    memory = _normalize(x, gamma, tuple(range(1, x.ndim)), epsilon)
    return gamma * memory.normalized + beta, memory


def layer_norm_backward(dy: Array, memory: NormalizationMemory) -> tuple[Array, Array, Array]:
    """``dy`` of x's shape to dx, dgamma and dbeta."""
    return _backward(dy * memory.gamma, memory), (dy * memory.normalized).sum(0), dy.sum(0)


def per_feature(values: Array, x: Array) -> Array:
    """(C,) as (C, 1, …), so that it broadcasts along the second axis of x (N, C, …)."""
    return values.reshape(-1, *(1,) * (x.ndim - 2))


def _normalize(x: Array, gamma: Array, axes: tuple[int, ...], epsilon: float) -> NormalizationMemory:
    mean = x.mean(axes, keepdims=True)
    centerd = x - mean
    variance = np.square(centerd).mean(axes, keepdims=True)
    deviation = np.sqrt(variance + epsilon)
    return NormalizationMemory(centerd / deviation, deviation, mean, variance, gamma, axes)


def _backward(dnormalized: Array, memory: NormalizationMemory) -> Array:
    """x̂ has mean 0 and variance 1 whatever x does: so the slope loses its mean, and its part along x̂ itself."""
    mean = dnormalized.mean(memory.axes, keepdims=True)
    along = (dnormalized * memory.normalized).mean(memory.axes, keepdims=True)
    dx: Array = (dnormalized - mean - memory.normalized * along) / memory.deviation
    return dx
