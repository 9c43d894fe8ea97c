"""Batch and layer normalization (one formula over different axes), and local response normalization.

Slides "Batch & layer normalization": x̂ = (x - μ) / √(σ² + ε), y = γ x̂ + β. Batch normalization takes μ and σ of each
feature over the batch (and, in images, over the positions): μ, σ, γ, β are (1, D) or (1, C, 1, 1). Layer normalization
takes them of each example over its own features, so μ and σ are (N, 1) or (N, 1, 1, 1). Local response normalization
divides each value by the activity of neighboring channels ("측면억제", lateral inhibition).

Ioffe & Szegedy 2015, "Batch normalization", algorithm 1; Ba, Kiros & Hinton 2016, "Layer normalization"; Krizhevsky,
Sutskever & Hinton 2012, section 3.3, and slide "Local Response Normalization (LRN)".
Deviations: the slide's table gives layer normalization's γ and β the shape of μ; in the paper, and here, there is one
per feature, since a new example could not have learned its own. The slide's LRN formula lacks the square of a.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import NamedTuple

import numpy as np

from convolve.from_scratch.arrays import Array

EPSILON = 1e-5


class NormalizationCache(NamedTuple):
    """x̂, √(σ² + ε), μ and σ² (broadcastable to x), γ as it was given, and the axes that μ and σ were taken over."""

    normalized: Array
    deviation: Array
    mean: Array
    variance: Array
    gamma: Array
    axes: tuple[int, ...]


def batch_norm_forward(
    x: Array, gamma: Array, beta: Array, epsilon: float = EPSILON
) -> tuple[Array, NormalizationCache]:
    """``x`` (N, D) or (N, C, …), gamma and beta (D,) or (C,), to y of x's shape."""
    axes = (0, *range(2, x.ndim))
    cache = _normalize(x, gamma, axes, epsilon)
    return per_feature(gamma, x) * cache.normalized + per_feature(beta, x), cache


def batch_norm_backward(dy: Array, cache: NormalizationCache) -> tuple[Array, Array, Array]:
    """``dy`` of x's shape to dx, dgamma and dbeta."""
    dgamma, dbeta = (dy * cache.normalized).sum(cache.axes), dy.sum(cache.axes)
    return _backward(dy * per_feature(cache.gamma, dy), cache), dgamma, dbeta


def layer_norm_forward(
    x: Array, gamma: Array, beta: Array, epsilon: float = EPSILON
) -> tuple[Array, NormalizationCache]:
    """``x`` (N, *features), gamma and beta (*features), to y of x's shape."""
    cache = _normalize(x, gamma, tuple(range(1, x.ndim)), epsilon)
    return gamma * cache.normalized + beta, cache


def layer_norm_backward(dy: Array, cache: NormalizationCache) -> tuple[Array, Array, Array]:
    """``dy`` of x's shape to dx, dgamma and dbeta."""
    return _backward(dy * cache.gamma, cache), (dy * cache.normalized).sum(0), dy.sum(0)


def per_feature(values: Array, x: Array) -> Array:
    """(C,) as (C, 1, …), so that it broadcasts along the second axis of x (N, C, …)."""
    return values.reshape(-1, *(1,) * (x.ndim - 2))


def _normalize(x: Array, gamma: Array, axes: tuple[int, ...], epsilon: float) -> NormalizationCache:
    mean = x.mean(axes, keepdims=True)
    centered = x - mean
    variance = np.square(centered).mean(axes, keepdims=True)
    deviation = np.sqrt(variance + epsilon)
    return NormalizationCache(centered / deviation, deviation, mean, variance, gamma, axes)


def _backward(dnormalized: Array, cache: NormalizationCache) -> Array:
    """x̂ has mean 0 and variance 1 whatever x is: so the gradient loses its mean, and its component along x̂."""
    mean = dnormalized.mean(cache.axes, keepdims=True)
    along = (dnormalized * cache.normalized).mean(cache.axes, keepdims=True)
    dx: Array = (dnormalized - mean - cache.normalized * along) / cache.deviation
    return dx


@dataclass(frozen=True)
class LRNConstants:
    """The paper's constants: ``window`` n, ``alpha``, ``beta`` and ``k``. Raises `ValueError` for an even window."""

    window: int = 5
    alpha: float = 1e-4
    beta: float = 0.75
    k: float = 2.0

    def __post_init__(self) -> None:
        if self.window % 2 == 0:
            raise ValueError(f"A window of {self.window} channels has no center; take an odd number.")


ALEXNET = LRNConstants()


class LRNCache(NamedTuple):
    """The input, the ``divisor`` before it is raised to β, and the constants."""

    x: Array
    divisor: Array
    constants: LRNConstants


def local_response_norm_forward(x: Array, constants: LRNConstants = ALEXNET) -> tuple[Array, LRNCache]:
    """yᵢ = xᵢ / (k + α Σⱼ xⱼ²)^β over the n channels j around i that exist; x (N, C, …)."""
    divisor = constants.k + constants.alpha * _neighbor_sum(x * x, constants.window)
    return x * divisor**-constants.beta, LRNCache(x, divisor, constants)


def local_response_norm_backward(dy: Array, cache: LRNCache) -> Array:
    """Each x is the dividend of its own y, and part of the divisor of every y in its neighborhood:

    dxᵢ = dyᵢ / qᵢ^β - 2αβ xᵢ Σⱼ dyⱼ xⱼ / qⱼ^(β + 1), where q is the divisor k + α Σ x².
    """
    x, divisor, constants = cache
    direct = dy * divisor**-constants.beta
    through_divisor = _neighbor_sum(direct * x / divisor, constants.window)
    return direct - 2 * constants.alpha * constants.beta * x * through_divisor


def _neighbor_sum(x: Array, window: int) -> Array:
    """The sum over the channels within reach of each; for an odd window its backward pass is the same sum."""
    channels, reach = x.shape[1], window // 2
    padded = np.pad(x, [(0, 0), (reach, reach)] + [(0, 0)] * (x.ndim - 2))
    return reduce(np.add, (padded[:, start : start + channels] for start in range(window)))
