"""Activations and their gradients, for arrays of any shape; slides "Activation Function".

Without a nonlinearity depth gains nothing: W₂(W₁x) = (W₂W₁)x is one layer. Where the derivative does not exist (x = 0),
the one from the left is taken, as torch does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from convolve.from_scratch.arrays import Array, Labels

Activation = Literal["sigmoid", "tanh", "relu", "leaky relu", "elu"]
Mask = npt.NDArray[np.bool_]


def sigmoid_forward(x: Array) -> tuple[Array, Array]:
    """``y = 1 / (1 + e⁻ˣ)``, computed as (1 + tanh(x/2)) / 2, which cannot overflow."""
    y = 0.5 * (1 + np.tanh(0.5 * x))
    return y, y


def sigmoid_backward(dy: Array, cache: Array) -> Array:
    """∂y/∂x = y (1 - y), at most 1/4: this is why gradients vanish in deep networks."""
    y = cache
    return dy * y * (1 - y)


def tanh_forward(x: Array) -> tuple[Array, Array]:
    """``y = tanh x``."""
    y = np.tanh(x)
    return y, y


def tanh_backward(dy: Array, cache: Array) -> Array:
    """∂y/∂x = 1 - y²."""
    y = cache
    return dy * (1 - y * y)


def relu_forward(x: Array) -> tuple[Array, Array]:
    """``y = max(0, x)``."""
    y = np.maximum(x, 0)
    return y, y


def relu_backward(dy: Array, cache: Array) -> Array:
    """∂y/∂x = 1 where x > 0 (there y > 0 too), else 0."""
    return dy * (cache > 0)


def leaky_relu_forward(x: Array, leak: float = 0.1) -> tuple[Array, tuple[Mask, float]]:
    """``y = max(leak · x, x)``, for a leak below 1."""
    return np.maximum(leak * x, x), (x > 0, leak)


def leaky_relu_backward(dy: Array, cache: tuple[Mask, float]) -> Array:
    """∂y/∂x = 1 where x > 0, else the leak."""
    positive, leak = cache
    return dy * np.maximum(positive.astype(dy.dtype), leak)


def elu_forward(x: Array, alpha: float = 1.0) -> tuple[Array, tuple[Array, float]]:
    """``y = x`` where x > 0, else ``alpha (eˣ - 1)``; alpha is positive. Clevert et al. 2016, equation 15."""
    y = np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))
    return y, (y, alpha)


def elu_backward(dy: Array, cache: tuple[Array, float]) -> Array:
    """∂y/∂x = 1 where x > 0, else alpha eˣ = y + alpha."""
    y, alpha = cache
    return np.where(y > 0, dy, dy * (y + alpha))


def maxout_forward(x: Array, w: Array, b: Array) -> tuple[Array, tuple[Array, Array, Labels]]:
    """``y = max(x·w₁ + b₁, x·w₂ + b₂, …)``: x (N, D), w (pieces, D, H), b (pieces, H) to y (N, H).

    Goodfellow et al. 2013, "Maxout networks", section 3.
    """
    pieces = x @ w + b[:, None]
    return pieces.max(0), (x, w, pieces.argmax(0))


def maxout_backward(dy: Array, cache: tuple[Array, Array, Labels]) -> tuple[Array, Array, Array]:
    """The largest piece (the first among equals) gets the gradient, as an affine layer would; the others get 0."""
    x, w, largest = cache
    each = dy * (largest == np.arange(len(w))[:, None, None])
    return (each @ w.swapaxes(1, 2)).sum(0), x.T @ each, each.sum(1)


ACTIVATIONS: Mapping[Activation, tuple[Callable[[Array], tuple[Array, Any]], Callable[[Array, Any], Array]]] = {
    "sigmoid": (sigmoid_forward, sigmoid_backward),
    "tanh": (tanh_forward, tanh_backward),
    "relu": (relu_forward, relu_backward),
    "leaky relu": (leaky_relu_forward, leaky_relu_backward),
    "elu": (elu_forward, elu_backward),
}
"""The pairs by name; `maxout_forward` is not among them, since it has parameters."""
