"""Dropout with its mask given, value by value; slides "Dropout" (Srivastava et al. 2014).

What the mask keeps (1) is divided by the share that stays, so that the mean stays as it was; the rest is 0. Backward
the slopes take the same way.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from convolve.from_scratch.arrays import Array
from convolve.from_scratch.steps.values import Part, Step, Walk, given, made
from convolve.from_scratch.steps.wording import number, product
from convolve.from_scratch.steps.writing import check_slopes, written


@dataclass(frozen=True)
class Dropout:
    """x (rows, columns), its mask of 1 (stays) and 0 (is dropped), and the share that is dropped, from 0 to below 1.
    Raises `ValueError` when they do not fit.
    """

    x: Array
    mask: Array
    share: float

    def __post_init__(self) -> None:
        if self.mask.shape != self.x.shape:
            wanted = "x".join(map(str, self.x.shape))
            raise ValueError(f"The mask has {'x'.join(map(str, self.mask.shape))} values and the input {wanted}.")
        if not np.isin(self.mask, (0, 1)).all():
            raise ValueError("The mask takes 1 for what stays and 0 for what is dropped, and nothing else.")
        if not 0 <= self.share < 1:
            raise ValueError(f"share cannot be {number(self.share)}; it takes a part from 0 to below 1.")


def dropout_walk(layer: Dropout, dy: Array | None) -> Walk:
    """Forward to y, and backward from ``dy`` of x's shape if it is given."""
    kept = 1 - layer.share
    rows, columns = shape = layer.x.shape
    parts: tuple[Part, ...] = (
        Part("Forward: the output y", f"y = x · m / {number(kept)}", tuple(_scaled("y", "x", layer.x, layer))),
    )
    grids = [given("x", "input", layer.x), given("m", "mask: 1 stays, 0 is dropped", layer.mask)]
    grids.append(made("y", "output", (rows, columns), parts))
    if dy is not None:
        check_slopes(dy, shape)
        steps = tuple(_scaled("dx", "dy", dy, layer))
        parts += (Part("Backward: the input's slope dx", f"dx = δ · m / {number(kept)}", steps),)
        grids += [given("dy", "δ, slope of the loss along y", dy), made("dx", "slope along x", (rows, columns), parts)]
    return Walk("Dropout", tuple(grids), parts)


def _scaled(grid: str, source: str, values: Array, layer: Dropout) -> Iterator[Step]:
    kept = 1 - layer.share
    for row, column in np.ndindex(*values.shape):
        term = product(float(values[row, column]), float(layer.mask[row, column]))
        text = f"{term.text} / {number(kept)} = {number(term.value / kept)}"
        yield written((grid, row, column), term.value / kept, text, [(source, row, column), ("m", row, column)])
