"""Inverted dropout: the surviving values are scaled up in training, so that inference needs no correction.

Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks from overfitting"; slides "Dropout".
"""

from __future__ import annotations

import numpy as np

from convolve.from_scratch.arrays import Array


def dropout_forward(x: Array, probability: float, random: np.random.Generator) -> tuple[Array, Array]:
    """Each value becomes 0 with the given ``probability``, else x / (1 - probability): the expected value is x."""
    survives = random.random(x.shape, dtype=np.float32) >= probability
    mask = survives.astype(x.dtype) / (1 - probability)
    return x * mask, mask


def dropout_backward(dy: Array, cache: Array) -> Array:
    """Dropped values get gradient 0; the others' gradients are scaled as the values were."""
    return dy * cache
