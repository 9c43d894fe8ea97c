"""Held against finite differences, for pairs of functions that are given as the package gives them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from convolve.from_scratch.arrays import Array
from convolve.from_scratch.checking import numerical_gradient

Forward = Callable[..., tuple[Array, Any]]
Backward = Callable[[Array, Any], Any]


def drawn(seed: int, *shape: int) -> Array:
    """Values from about -1.5 to 1.5; any two, and any and 0, differ by far more than a finite difference's step."""
    random = np.random.default_rng(seed)
    size = int(np.prod(shape))
    values = random.permutation(size) - size // 2 + random.uniform(0.3, 0.7, size)
    return values.reshape(shape) * (3 / max(size, 3))


def slopes_of(forward: Forward, backward: Backward, inputs: tuple[Array, ...]) -> tuple[Array, Array, list[Array]]:
    """The output, a slope dy drawn for it, and what the backward rule makes of dy for each input."""
    y, memory = forward(*inputs)
    dy = np.asarray(np.random.default_rng(1).standard_normal(y.shape), y.dtype)
    found = backward(dy, memory)
    return y, dy, list(found) if isinstance(found, tuple) else [found]


def check(forward: Forward, backward: Backward, *inputs: Array) -> None:
    """Backward against finite differences of Σ y·dy, for every input; inputs come out as they went in."""
    kept = [value.copy() for value in inputs]
    _, dy, found = slopes_of(forward, backward, inputs)
    assert len(found) == len(inputs)
    for value, slope in zip(inputs, found, strict=True):
        expected = numerical_gradient(lambda: float((forward(*inputs)[0] * dy).sum()), value)
        assert slope.shape == value.shape
        np.testing.assert_allclose(slope, expected, rtol=1e-5, atol=1e-7)
    for value, before in zip(inputs, kept, strict=True):
        np.testing.assert_array_equal(value, before)
