"""Dropout, inverted: what stays is made larger in training, so that prediction needs nothing.

Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks from overfitting"; slides "Dropout".
"""

from __future__ import annotations

import numpy as np

from convolve.from_scratch.arrays import Array


def dropout_forward(x: Array, share: float, random: np.random.Generator) -> tuple[Array, Array]:
    """Each value of x becomes 0 with probability ``share``, and else x / (1 - share): its mean stays as it was."""
    kept = random.random(x.shape, dtype=np.float32) >= share
    mask = kept.astype(x.dtype) / (1 - share)
    return x * mask, mask


def dropout_backward(dy: Array, memory: Array) -> Array:
    """What was dropped gets no slope; what stayed gets it as much larger as it was made."""
    return dy * memory
