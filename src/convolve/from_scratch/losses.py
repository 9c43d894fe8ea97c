"""Losses and their gradients. Every loss is a mean, so that its size does not depend on N.

A classifier's loss is a `Loss`, a pair of functions: `SOFTMAX` and `HINGE`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from convolve.from_scratch.arrays import Array, Labels


def softmax_forward(x: Array) -> tuple[Array, Array]:
    """``y = eˣ / Σ eˣ`` over the classes: x (N, classes) to probabilities. The largest score is subtracted first, which
    cancels but keeps eˣ from overflowing.
    """
    powers = np.exp(x - x.max(1, keepdims=True))
    y = powers / powers.sum(1, keepdims=True)
    return y, y


def softmax_backward(dy: Array, cache: Array) -> Array:
    """∂yᵢ/∂xⱼ = yᵢ (1[i = j] - yⱼ), so dx = y (dy - Σ dy·y)."""
    y = cache
    dx: Array = y * (dy - (dy * y).sum(1, keepdims=True))
    return dx


def cross_entropy_forward(x: Array, labels: Labels) -> tuple[float, tuple[Array, Labels]]:
    """The softmax loss L = mean of -log(probability of the true class), from scores x (N, classes)."""
    shifted = x - x.max(1, keepdims=True)
    log_sum = np.log(np.exp(shifted).sum(1))
    loss = (log_sum - shifted[np.arange(len(x)), labels]).mean()
    return float(loss), (np.exp(shifted - log_sum[:, None]), labels)


def cross_entropy_backward(cache: tuple[Array, Labels]) -> Array:
    """``dx = (y - t) / N``: probabilities minus the one-hot target; the first line of the homework's backward pass."""
    probabilities, labels = cache
    dx = probabilities / len(labels)
    dx[np.arange(len(labels)), labels] -= 1 / len(labels)
    return dx


def hinge_forward(x: Array, labels: Labels) -> tuple[float, tuple[Array, Labels]]:
    """The SVM loss: mean over images of Σ max(0, xⱼ - x_true + 1) over the wrong classes j; x (N, classes).

    Weston & Watkins 1999; assignment 1 of CS231n, the lecture's homework.
    """
    rows = np.arange(len(x))
    margins = np.maximum(x - x[rows, labels][:, None] + 1, 0)
    margins[rows, labels] = 0
    return float(margins.sum(1).mean()), (margins, labels)


def hinge_backward(cache: tuple[Array, Labels]) -> Array:
    """1/N for each wrong class within the margin, and minus their sum for the true class."""
    margins, labels = cache
    dx = (margins > 0) / np.asarray(len(labels), margins.dtype)
    dx[np.arange(len(labels)), labels] = -dx.sum(1)
    return dx


def l1_forward(x: Array, target: Array) -> tuple[float, Array]:
    """L = mean |x - target|, over all elements of any shape."""
    difference = x - target
    return float(np.abs(difference).mean()), difference


def l1_backward(cache: Array) -> Array:
    """``dx = ±1 / elements``; 0 where x equals the target."""
    return np.sign(cache) / cache.size


def l2_forward(x: Array, target: Array) -> tuple[float, Array]:
    """L = mean (x - target)², over all elements of any shape."""
    difference = x - target
    return float(np.square(difference).mean()), difference


def l2_backward(cache: Array) -> Array:
    """``dx = 2 (x - target) / elements``."""
    return cache * (2 / cache.size)


@dataclass(frozen=True)
class Loss:
    """``forward`` maps scores (N, classes) and labels to the loss and a cache; ``backward`` the cache to dscores."""

    forward: Callable[[Array, Labels], tuple[float, tuple[Array, Labels]]]
    backward: Callable[[tuple[Array, Labels]], Array]


SOFTMAX = Loss(cross_entropy_forward, cross_entropy_backward)
HINGE = Loss(hinge_forward, hinge_backward)
