"""Random initial weights; slides "Xavier initialize" and Caffe's ``weight_filler``.

``random`` makes them reproducible; ``dtype`` is the number format in which the network will compute.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod, sqrt
from typing import Protocol

import numpy as np

from convolve.from_scratch.arrays import Array, DType


class Initializer(Protocol):
    """Draws weights of a shape: (D, H) of an affine layer, or (filters, channels, *kernel) of a convolution."""

    def __call__(self, random: np.random.Generator, shape: Sequence[int], dtype: DType) -> Array:
        """The weights."""
        ...


def gaussian(random: np.random.Generator, shape: Sequence[int], dtype: DType) -> Array:
    """Normal with standard deviation 0.01, as Krizhevsky et al. 2012 (section 5) and the slide's Caffe layer."""
    return _normal(random, shape, dtype, 0.01)


def xavier(random: np.random.Generator, shape: Sequence[int], dtype: DType) -> Array:
    """Normal with standard deviation 1 / √fan_in: preserves the variance through linear layers and tanh.

    The slide's form, `randn(fan_in, fan_out) / sqrt(fan_in)`; Glorot & Bengio 2010 use the mean of fan_in and fan_out.
    """
    return _normal(random, shape, dtype, sqrt(1 / fan_in(shape)))


def he(random: np.random.Generator, shape: Sequence[int], dtype: DType) -> Array:
    """Normal with standard deviation √(2 / fan_in), since ReLU halves the power. He et al. 2015, equation 10."""
    return _normal(random, shape, dtype, sqrt(2 / fan_in(shape)))


def fan_in(shape: Sequence[int]) -> int:
    """How many inputs a unit sums: D of (D, H), or channels times taps of (filters, channels, *kernel)."""
    return shape[0] if len(shape) == 2 else prod(shape[1:])


def _normal(random: np.random.Generator, shape: Sequence[int], dtype: DType, deviation: float) -> Array:
    weights: Array = random.standard_normal(tuple(shape), dtype=dtype) * deviation
    return weights
