"""Max, min and average pooling, window by window; slides "Pooling", and "Average Pooling" (δ/m) for the backward pass.

Backward, the gradient of each window goes to the selected value (max, min), the first of equals; or in equal parts to
all m of them (average). Where windows overlap, the contributions add up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from convolve.from_scratch.arrays import Array
from convolve.from_scratch.traces.trace import (
    Cell,
    Phase,
    Step,
    Term,
    TermTable,
    Trace,
    check_delta,
    format_cell,
    format_factor,
    format_number,
    format_sum,
    grid_name,
    input_grid,
    result_grid,
)
from convolve.from_scratch.traces.windows import WindowPositions
from convolve.from_scratch.windows import Sliding

KINDS = ("max", "min", "average")
_EXTREME = {"max": "largest", "min": "smallest"}


@dataclass(frozen=True)
class PoolingInputs:
    """x (C, H, W), the side of the window, its stride, and one of `KINDS`. Raises `ValueError` where the window does
    not fit.
    """

    x: Array
    size: int
    stride: int
    kind: str

    def __post_init__(self) -> None:
        _ = self.positions.output

    @property
    def positions(self) -> WindowPositions:
        """The positions of the window."""
        sliding = Sliding(self.stride)
        return WindowPositions(self.x.shape[1:], (self.size, self.size), sliding, sliding)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, OH, OW) of the output."""
        return (len(self.x), *self.positions.output)

    def name(self, letter: str, c: int) -> str:
        """The grid of a channel."""
        return grid_name(letter, c, len(self.x))

    def window(self, i: int, j: int) -> list[list[tuple[int, int]]]:
        """The cells that the window covers, row by row."""
        return [[self.positions.cell((i, j), (u, v)) for v in range(self.size)] for u in range(self.size)]


def pooling_trace(given: PoolingInputs, dy: Array | None) -> Trace:
    """Forward to y, and backward from ``dy`` (C, OH, OW) if it is given."""
    if given.kind == "average":
        forward = f"y = (sum of the window) / {given.size**2}"
        backward = f"each of the window's m = {given.size**2} values gets δ/m"
    else:
        forward = f"y = {given.kind} of the window"
        backward = f"the {_EXTREME[given.kind]} value gets δ, the others 0"
    phases = [Phase("Forward: the output y", forward, tuple(_forward_steps(given)))]
    if dy is not None:
        check_delta(dy, given.shape)
        phases.append(Phase("Backward: the input gradient dx", backward, tuple(_backward_steps(given, dy))))
    channels = range(len(given.x))
    grids = [input_grid(given.name("x", c), "input", given.x[c]) for c in channels]
    grids += [result_grid(given.name("y", c), "output", given.positions.output, phases) for c in channels]
    if dy is not None:
        grids += [input_grid(given.name("dy", c), "δ = ∂L/∂y", dy[c]) for c in channels]
        grids += [result_grid(given.name("dx", c), "∂L/∂x", given.positions.size, phases) for c in channels]
    return Trace(f"{given.kind.capitalize()} pooling", tuple(grids), tuple(phases))


def _forward_steps(given: PoolingInputs) -> Iterator[Step]:
    for c, i, j in np.ndindex(*given.shape):
        window = given.window(i, j)
        rows = [[float(given.x[c, p, q]) for p, q in row] for row in window]
        terms = tuple(tuple(Term(format_number(value), value) for value in row) for row in rows)
        values = [value for row in rows for value in row]
        if given.kind == "average":
            value = sum(values) / len(values)
            text = f"({format_sum(values)}) / {len(values)} = {format_number(value)}"
        else:
            value = max(values) if given.kind == "max" else min(values)
            text = f"{given.kind}({', '.join(map(format_number, values))}) = {format_number(value)}"
        inputs = tuple((given.name("x", c), p, q) for row in window for p, q in row)
        y: Cell = (given.name("y", c), i, j)
        yield Step(format_cell(y), (TermTable(terms),), (text,), inputs, ((y, value),))


def _backward_steps(given: PoolingInputs, dy: Array) -> Iterator[Step]:
    dx = np.zeros_like(given.x)
    for c, i, j in np.ndindex(*given.shape):
        x, name = given.name("x", c), given.name("dx", c)
        delta, cells = float(dy[c, i, j]), [cell for row in given.window(i, j) for cell in row]
        dy_cell: Cell = (given.name("dy", c), i, j)
        inputs: list[Cell] = [dy_cell, *((x, p, q) for p, q in cells)]
        if given.kind == "average":
            part = delta / len(cells)
            text = f"δ/m = {format_number(delta)} / {len(cells)} = {format_number(part)} to each of the {len(cells)}"
        else:
            values = [float(given.x[c, p, q]) for p, q in cells]
            extreme = max(values) if given.kind == "max" else min(values)
            cells, part = [cells[values.index(extreme)]], delta
            selected = f"{format_cell((x, *cells[0]))} = {format_number(extreme)} is the {_EXTREME[given.kind]}"
            text = f"{selected}: it gets δ = {format_number(delta)}"
        equations = [text]
        for p, q in cells:
            before = float(dx[c, p, q])
            dx[c, p, q] += part
            if before:  # an overlapping window has contributed already
                total = f"{format_number(before)} + {format_factor(part)} = {format_number(before + part)}"
                equations.append(f"{format_cell((name, p, q))} = {total}")
        outputs = tuple(((name, p, q), float(dx[c, p, q])) for p, q in cells)
        yield Step(format_cell(dy_cell), (), tuple(equations), tuple(inputs), outputs)
