"""Gradients by finite differences: (f(x + h) - f(x - h)) / 2h, the check that every backward here has passed.

Works in float64 only: in float32 the difference of two nearly equal numbers has hardly a correct digit.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from convolve.from_scratch.arrays import Array, Labels
from convolve.from_scratch.network import Model


def numerical_gradient(function: Callable[[], float], x: Array, step: float = 1e-5) -> Array:
    """The slope of ``function`` along each element of the float64 array ``x`` that it reads; x is left as it was.

    Raises `ValueError` for another number format.
    """
    if x.dtype != np.float64:
        raise ValueError(f"Finite differences need float64, not {x.dtype}; convert with astype(np.float64).")
    slope = np.empty_like(x)
    for place in np.ndindex(*x.shape):
        before = x[place]
        x[place] = before + step
        above = function()
        x[place] = before - step
        slope[place] = (above - function()) / (2 * step)
        x[place] = before
    return slope


def relative_error(found: Array, expected: Array) -> float:
    """The largest difference, as a share of the largest value of either, or of 1e-4 where all are smaller.

    Some slopes are truly 0 (of a bias before a batch normalization, say), where finite differences find rounding only.
    """
    scale = max(np.abs(found).max(initial=0), np.abs(expected).max(initial=0), 1e-4)
    return float(np.abs(found - expected).max(initial=0) / scale)


def check_model(model: Model, x: Array, labels: Labels) -> dict[str, float]:
    """Parameter's name to the relative error of its gradient: about 1e-7 when right, 1e-2 and more when wrong.

    For models without chance in them (no dropout). A bend (ReLU, max pooling) met within the step shows as an error.
    """
    _, gradients = model.gradients(x, labels)
    return {
        name: relative_error(gradients[name], numerical_gradient(lambda: model.gradients(x, labels)[0], w))
        for name, w in model.parameters.items()
    }
