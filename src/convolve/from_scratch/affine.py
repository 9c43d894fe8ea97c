"""The affine (fully connected) layer, and the flattening before it.

Slides "Computational Graph: Affine": y = x·w + b, whose Jacobians give ∂L/∂X = ∂L/∂Y · Wᵀ and ∂L/∂W = Xᵀ · ∂L/∂Y.
"""

from __future__ import annotations

from convolve.from_scratch.arrays import Array


def affine_forward(x: Array, w: Array, b: Array) -> tuple[Array, tuple[Array, Array]]:
    """``x`` (N, D), w (D, H), b (H,) to y (N, H)."""
    return x @ w + b, (x, w)


def affine_backward(dy: Array, cache: tuple[Array, Array]) -> tuple[Array, Array, Array]:
    """``dy`` (N, H) to dx (N, D), dw (D, H), db (H,)."""
    x, w = cache
    return dy @ w.T, x.T @ dy, dy.sum(0)


def flatten_forward(x: Array) -> tuple[Array, tuple[int, ...]]:
    """``x`` (N, …) to y (N, product of the other sides); slide "Flatten"."""
    return x.reshape(len(x), -1), x.shape


def flatten_backward(dy: Array, cache: tuple[int, ...]) -> Array:
    """``dy`` (N, …) back to x's shape."""
    return dy.reshape(cache)
