"""Scores of a classifier with the true classes, from which its losses start; and the mean that they end with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from convolve.from_scratch.arrays import Array
from convolve.from_scratch.steps.values import Part
from convolve.from_scratch.steps.wording import averaged
from convolve.from_scratch.steps.writing import down, values_below, written


@dataclass(frozen=True)
class Scores:
    """x (N, classes) and the true class of each row, counted from 0. Raises `ValueError` when they do not fit."""

    x: Array
    labels: tuple[int, ...]

    def __post_init__(self) -> None:
        rows, classes = self.x.shape
        if len(self.labels) != rows:
            raise ValueError(f"target has {len(self.labels)} classes for {rows} rows of scores; give one for each.")
        for label in self.labels:
            if not 0 <= label < classes:
                raise ValueError(f"There is no class {label + 1} among {classes} scores; the first counts as 1.")

    @property
    def truth(self) -> Array:
        """T (N, classes): 1 at the true class, else 0."""
        ones: Array = np.eye(self.x.shape[1])[list(self.labels)]
        return ones


def mean_loss(losses: Sequence[float]) -> Part:
    """The last part of a forward pass: L, the mean of the rows' losses ℓ."""
    mean = sum(losses) / len(losses)
    read = down("ℓ", 0, len(losses))
    step = written(("L", 0, 0), mean, averaged(losses), read, values_below(losses), line=True)
    return Part("Forward: the loss L", "L = Σ ℓ / N", (step,))
