"""Helpers that compare a forward and backward pair of the package with finite differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from convolve.from_scratch.arrays import Array
from convolve.from_scratch.gradient_check import numerical_gradient

Forward = Callable[..., tuple[Array, Any]]
Backward = Callable[[Array, Any], Any]


def distinct(seed: int, *shape: int) -> Array:
    """Values from about -1.5 to 1.5; all differ from 0 and from each other by far more than a finite step."""
    random = np.random.default_rng(seed)
    size = int(np.prod(shape))
    values = random.permutation(size) - size // 2 + random.uniform(0.3, 0.7, size)
    return values.reshape(shape) * (3 / max(size, 3))


def compute_gradients(
    forward: Forward, backward: Backward, inputs: tuple[Array, ...]
) -> tuple[Array, Array, list[Array]]:
    """The output, a random dy of its shape, and the gradient of Σ y·dy for each input."""
    y, cache = forward(*inputs)
    dy = np.asarray(np.random.default_rng(1).standard_normal(y.shape), y.dtype)
    actual = backward(dy, cache)
    return y, dy, list(actual) if isinstance(actual, tuple) else [actual]


def check(forward: Forward, backward: Backward, *inputs: Array) -> None:
    """Backward against finite differences of Σ y·dy, for every input; inputs are not changed."""
    originals = [value.copy() for value in inputs]
    _, dy, actual = compute_gradients(forward, backward, inputs)
    assert len(actual) == len(inputs)
    for value, gradient in zip(inputs, actual, strict=True):
        expected = numerical_gradient(lambda: float((forward(*inputs)[0] * dy).sum()), value)
        assert gradient.shape == value.shape
        np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-7)
    for value, original in zip(inputs, originals, strict=True):
        np.testing.assert_array_equal(value, original)
