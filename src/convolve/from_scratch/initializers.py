"""How fresh weights are drawn; slides "Xavier initialize" and Caffe's ``weight_filler``.

``random`` makes every draw repeatable; ``precision`` is the number format in which the net will compute.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod, sqrt
from typing import Protocol

import numpy as np

from convolve.from_scratch.arrays import Array, Precision


class Initializer(Protocol):
    """Draws weights of a shape: (D, H) of an affine layer, or (filters, channels, *kernel) of a convolution."""

    def __call__(self, random: np.random.Generator, shape: Sequence[int], precision: Precision) -> Array:
        """The weights."""
        ...


def gaussian(random: np.random.Generator, shape: Sequence[int], precision: Precision) -> Array:
    """Normal with deviation 0.01, as Krizhevsky et al. 2012 (section 5) and the slide's Caffe layer."""
    return _normal(random, shape, precision, 0.01)


def xavier(random: np.random.Generator, shape: Sequence[int], precision: Precision) -> Array:
    """Normal with deviation 1 / √fan_in, which keeps the variance of linear layers and tanh.

    The slide's form, `randn(fan_in, fan_out) / sqrt(fan_in)`; Glorot & Bengio 2010 take the mean of both fans.
    """
    return _normal(random, shape, precision, sqrt(1 / fan_in(shape)))


def he(random: np.random.Generator, shape: Sequence[int], precision: Precision) -> Array:
    """Normal with deviation √(2 / fan_in), for ReLU lets half of the power through. He et al. 2015, equation 10."""
    return _normal(random, shape, precision, sqrt(2 / fan_in(shape)))


def fan_in(shape: Sequence[int]) -> int:
    """How many inputs a unit adds up: D of (D, H), or channels times taps of (filters, channels, *kernel)."""
    return shape[0] if len(shape) == 2 else prod(shape[1:])


def _normal(random: np.random.Generator, shape: Sequence[int], precision: Precision, deviation: float) -> Array:
    drawn: Array = random.standard_normal(tuple(shape), dtype=precision) * deviation
    return drawn
