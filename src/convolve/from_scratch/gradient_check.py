"""Gradients by finite differences: (f(x + h) - f(x - h)) / 2h, the check that every backward function here passes.

float64 only: in float32 the difference of two nearly equal numbers has hardly a correct digit.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from convolve.from_scratch.arrays import Array, Labels
from convolve.from_scratch.networks import Model


def numerical_gradient(function: Callable[[], float], x: Array, step: float = 1e-5) -> Array:
    """The gradient of ``function`` with respect to the float64 array ``x`` that it reads; x is restored afterwards.

    Raises `ValueError` for another number format.
    """
    if x.dtype != np.float64:
        raise ValueError(f"Finite differences need float64, not {x.dtype}; convert with astype(np.float64).")
    gradient = np.empty_like(x)
    for index in np.ndindex(*x.shape):
        value = x[index]
        x[index] = value + step
        above = function()
        x[index] = value - step
        gradient[index] = (above - function()) / (2 * step)
        x[index] = value
    return gradient


def relative_error(actual: Array, expected: Array) -> float:
    """The largest difference divided by the largest absolute value of either, or by 1e-4 where all are smaller.

    Some gradients are exactly 0 (of a bias before batch normalization, say), and finite differences see only rounding.
    """
    scale = max(np.abs(actual).max(initial=0), np.abs(expected).max(initial=0), 1e-4)
    return float(np.abs(actual - expected).max(initial=0) / scale)


def check_model(model: Model, x: Array, labels: Labels) -> dict[str, float]:
    """The relative error of each parameter's gradient by name: about 1e-7 when right, 1e-2 and more when wrong.

    The model must be deterministic (no dropout). A kink (ReLU, max pooling) within the step shows up as an error.
    """
    _, gradients = model.gradients(x, labels)
    return {
        name: relative_error(gradients[name], numerical_gradient(lambda: model.gradients(x, labels)[0], w))
        for name, w in model.parameters.items()
    }
