"""Dropout with a given mask, value by value; slides "Dropout" (Srivastava et al. 2014).

Values that the mask keeps (1) are divided by the probability of being kept, so that their mean is preserved; the others
become 0. Backward, the gradients are treated the same way.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from convolve.from_scratch.arrays import Array
from convolve.from_scratch.traces.trace import (
    Phase,
    Step,
    Trace,
    check_delta,
    format_number,
    format_shape,
    input_grid,
    product,
    result_grid,
    value_step,
)


@dataclass(frozen=True)
class DropoutInputs:
    """x (rows, columns), its mask of 1 (kept) and 0 (dropped), and the ``probability`` of being dropped, from 0 to
    below 1. Raises `ValueError` when they do not match.
    """

    x: Array
    mask: Array
    probability: float

    def __post_init__(self) -> None:
        if self.mask.shape != self.x.shape:
            shapes = format_shape(self.mask.shape), format_shape(self.x.shape)
            raise ValueError(f"The mask has {shapes[0]} values and the input {shapes[1]}; give one for each.")
        if not np.isin(self.mask, (0, 1)).all():
            raise ValueError("The mask may contain only 1 (keep) and 0 (drop).")
        if not 0 <= self.probability < 1:
            raise ValueError(f"probability is {format_number(self.probability)}; it must be at least 0 and below 1.")


def dropout_trace(given: DropoutInputs, dy: Array | None) -> Trace:
    """Forward to y, and backward from ``dy`` of x's shape if it is given."""
    kept = format_number(1 - given.probability)
    y = tuple(_scaling_steps("y", "x", given.x, given))
    phases = [Phase("Forward: the output y", f"y = x · m / {kept}", y)]
    grids = [input_grid("x", "input", given.x), input_grid("m", "mask: 1 keeps, 0 drops", given.mask)]
    grids.append(result_grid("y", "output", given.x.shape, phases))
    if dy is not None:
        check_delta(dy, given.x.shape)
        dx = tuple(_scaling_steps("dx", "dy", dy, given))
        phases.append(Phase("Backward: the input gradient dx", f"dx = δ · m / {kept}", dx))
        grids += [input_grid("dy", "δ = ∂L/∂y", dy), result_grid("dx", "∂L/∂x", given.x.shape, phases)]
    return Trace("Dropout", tuple(grids), tuple(phases))


def _scaling_steps(grid: str, source: str, values: Array, given: DropoutInputs) -> Iterator[Step]:
    kept = 1 - given.probability
    for row, column in np.ndindex(*values.shape):
        term = product(float(values[row, column]), float(given.mask[row, column]))
        text = f"{term.text} / {format_number(kept)} = {format_number(term.value / kept)}"
        inputs = [(source, row, column), ("m", row, column)]
        yield value_step((grid, row, column), term.value / kept, text, inputs)
