"""Matrix products, each value a row times a column, and the affine layer made of them; slides "Computational Graph:
Affine".

y = x·w + b, and backward ∂L/∂X = ∂L/∂Y · Wᵀ, ∂L/∂W = Xᵀ · ∂L/∂Y: three matrix products.
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
    Trace,
    check_delta,
    column_cells,
    column_of_terms,
    format_equation,
    input_grid,
    product,
    result_grid,
    value_step,
)


@dataclass(frozen=True)
class Matrix:
    """A factor of a matrix product: the grid that it is in, and whether the grid has it ``transposed`` (Xᵀ, Wᵀ)."""

    name: str
    values: Array
    transposed: bool = False

    def cell(self, row: int, column: int) -> Cell:
        """The cell of the grid that holds a value of the matrix."""
        return (self.name, column, row) if self.transposed else (self.name, row, column)


def matrix_product(grid: str, left: Matrix, right: Matrix, bias: Matrix | None = None) -> Iterator[Step]:
    """Each row of the left times each column of the right, into ``grid``; the bias (1, columns) is added."""
    inner = range(left.values.shape[1])
    for row, column in np.ndindex(len(left.values), right.values.shape[1]):
        terms = [product(left.values[row, k], right.values[k, column]) for k in inner]
        values = [term.value for term in terms]
        inputs = [left.cell(row, k) for k in inner] + [right.cell(k, column) for k in inner]
        if bias is not None:
            values.append(float(bias.values[0, column]))
            inputs.append(bias.cell(0, column))
        yield value_step((grid, row, column), sum(values), format_equation(values, sum(values)), inputs, [terms])


def column_sums(grid: str, dy: Matrix) -> Iterator[Step]:
    """The sum of each column of dy, into the one row of ``grid``: the gradient of a bias added to every example."""
    for column, values in enumerate(dy.values.T.tolist()):
        inputs, text = column_cells(dy.name, column, len(values)), format_equation(values, sum(values))
        yield value_step((grid, 0, column), sum(values), text, inputs, column_of_terms(values), vector=True)


@dataclass(frozen=True)
class AffineInputs:
    """x (N, D), w (D, H), b (H,) or None. Raises `ValueError` when they do not match."""

    x: Array
    w: Array
    b: Array | None

    def __post_init__(self) -> None:
        if self.x.shape[1] != len(self.w):
            raise ValueError(f"x has {self.x.shape[1]} columns and w {len(self.w)} rows; their numbers must be equal.")
        if self.b is not None and self.b.shape != self.w.shape[1:]:
            raise ValueError(f"The bias has {self.b.size} values and w {self.w.shape[1]} columns; give one for each.")


def affine_trace(given: AffineInputs, dy: Array | None) -> Trace:
    """Forward to y, and backward from ``dy`` (N, H) if it is given."""
    x, w = Matrix("x", given.x), Matrix("w", given.w)
    b = None if given.b is None else Matrix("b", given.b[None])
    formula = "y = x · w" + (" + b" if b else "")
    phases = [Phase("Forward: the output y", formula, tuple(matrix_product("y", x, w, b)))]
    if dy is not None:
        check_delta(dy, (len(given.x), given.w.shape[1]))
        delta = Matrix("dy", dy)
        dw = matrix_product("dw", Matrix("x", given.x.T, transposed=True), delta)
        phases.append(Phase("Backward: the weight gradient dw", "dw = xᵀ · dy", tuple(dw)))
        dx = matrix_product("dx", delta, Matrix("w", given.w.T, transposed=True))
        phases.append(Phase("Backward: the input gradient dx", "dx = dy · wᵀ", tuple(dx)))
        if b is not None:
            db = tuple(column_sums("db", delta))
            phases.append(Phase("Backward: the bias gradient db", "db = Σ dy, over the examples", db))

    grids = [input_grid("x", "input, one example per row", given.x), input_grid("w", "weights", given.w)]
    grids += [] if b is None else [input_grid("b", "bias", b.values)]
    grids.append(result_grid("y", "output", (len(given.x), given.w.shape[1]), phases))
    if dy is not None:
        grids.append(input_grid("dy", "δ = ∂L/∂y", dy))
        grids.append(result_grid("dw", "∂L/∂w", given.w.shape, phases))
        grids.append(result_grid("dx", "∂L/∂x", given.x.shape, phases))
        grids += [] if b is None else [result_grid("db", "∂L/∂b", b.values.shape, phases)]
    return Trace("Affine layer", tuple(grids), tuple(phases))
