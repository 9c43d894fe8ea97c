"""Maxout, value by value: y = max(x·w1 + b1, x·w2 + b2, …); slide "Activation Function: Maxout".

Backward, the largest piece gets δ, the others 0, and from there each piece is an affine layer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from convolve.from_scratch.arrays import Array
from convolve.from_scratch.traces.affine import Matrix, column_sums, matrix_product
from convolve.from_scratch.traces.trace import (
    Cell,
    Grid,
    Phase,
    Step,
    Trace,
    check_delta,
    format_cell,
    format_equation,
    format_number,
    format_shape,
    input_grid,
    product,
    result_grid,
    value_step,
)


@dataclass(frozen=True)
class MaxoutInputs:
    """x (N, D), w (pieces, D, H), b (pieces, H) or None. Raises `ValueError` when they do not match."""

    x: Array
    w: Array
    b: Array | None

    def __post_init__(self) -> None:
        pieces, rows, width = self.w.shape
        if self.x.shape[1] != rows:
            raise ValueError(
                f"x has {self.x.shape[1]} columns and each piece {rows} rows; their numbers must be equal."
            )
        if self.b is not None and self.b.shape != (pieces, width):
            raise ValueError(
                f"The bias is {format_shape(self.b.shape)}; give one row of {width} for each of the {pieces} pieces."
            )

    @property
    def pieces(self) -> Array:
        """The value of each piece, z (pieces, N, H)."""
        z: Array = self.x @ self.w
        return z if self.b is None else z + self.b[:, None]


def maxout_trace(given: MaxoutInputs, dy: Array | None) -> Trace:
    """Forward to y, and backward from ``dy`` (N, H) if it is given."""
    formula = f"z = x · w{'' if given.b is None else ' + b'}, for each piece"
    z = tuple(step for k in range(len(given.w)) for step in _z_steps(given, k))
    phases = [Phase("Forward: the pieces z", formula, z)]
    phases.append(Phase("Forward: the output y", "y = the largest of the pieces", tuple(_y_steps(given))))
    if dy is not None:
        check_delta(dy, given.pieces.shape[1:])
        phases += _backward(given, dy)
    return Trace("Maxout", _grids(given, dy, phases), tuple(phases))


def _z_steps(given: MaxoutInputs, k: int) -> Iterator[Step]:
    bias = None if given.b is None else Matrix(f"b{k + 1}", given.b[k][None])
    return matrix_product(f"z{k + 1}", Matrix("x", given.x), Matrix(f"w{k + 1}", given.w[k]), bias)


def _y_steps(given: MaxoutInputs) -> Iterator[Step]:
    for n, h in np.ndindex(*given.pieces.shape[1:]):
        values = given.pieces[:, n, h].tolist()
        text = f"max({', '.join(map(format_number, values))}) = {format_number(max(values))}"
        yield value_step(("y", n, h), max(values), text, [(f"z{k + 1}", n, h) for k in range(len(values))])


def _backward(given: MaxoutInputs, dy: Array) -> Iterator[Phase]:
    pieces = range(len(given.w))
    dz = dy * (given.pieces.argmax(0) == np.arange(len(given.w))[:, None, None])
    yield Phase("Backward: the piece gradient dz", "dz = δ for the largest piece, else 0", tuple(_dz_steps(given, dy)))
    xt = Matrix("x", given.x.T, transposed=True)
    dw = (step for k in pieces for step in matrix_product(f"dw{k + 1}", xt, Matrix(f"dz{k + 1}", dz[k])))
    yield Phase("Backward: the weight gradient dw", "dw = xᵀ · dz, for each piece", tuple(dw))
    yield Phase("Backward: the input gradient dx", "dx = dz1 · w1ᵀ + dz2 · w2ᵀ + …", tuple(_dx_steps(given, dz)))
    if given.b is not None:
        db = (step for k in pieces for step in column_sums(f"db{k + 1}", Matrix(f"dz{k + 1}", dz[k])))
        yield Phase("Backward: the bias gradient db", "db = Σ dz, over the examples", tuple(db))


def _dz_steps(given: MaxoutInputs, dy: Array) -> Iterator[Step]:
    names = [f"z{k + 1}" for k in range(len(given.w))]
    for n, h in np.ndindex(*dy.shape):
        largest, delta = int(given.pieces[:, n, h].argmax()), float(dy[n, h])
        text = f"{format_cell((names[largest], n, h))} is the largest: it gets δ = {format_number(delta)}"
        inputs: list[Cell] = [("dy", n, h), *((name, n, h) for name in names)]
        outputs = tuple(((f"d{name}", n, h), delta if k == largest else 0.0) for k, name in enumerate(names))
        yield Step(format_cell(("dy", n, h)), (), (text,), tuple(inputs), outputs)


def _dx_steps(given: MaxoutInputs, dz: Array) -> Iterator[Step]:
    pieces, width = len(given.w), given.w.shape[2]
    for n, d in np.ndindex(*given.x.shape):
        rows = [[product(dz[k, n, h], given.w[k, d, h]) for h in range(width)] for k in range(pieces)]
        values = [term.value for row in rows for term in row]
        inputs: list[Cell] = [(f"dz{k + 1}", n, h) for k, h in np.ndindex(pieces, width)]
        inputs += [(f"w{k + 1}", d, h) for k, h in np.ndindex(pieces, width)]
        yield value_step(("dx", n, d), sum(values), format_equation(values, sum(values)), inputs, rows)


def _grids(given: MaxoutInputs, dy: Array | None, phases: list[Phase]) -> tuple[Grid, ...]:
    pieces, rows, width = given.w.shape
    output, numbers = (len(given.x), width), range(1, pieces + 1)
    grids = [input_grid("x", "input, one example per row", given.x)]
    grids += [input_grid(f"w{k}", "weights", given.w[k - 1]) for k in numbers]
    grids += [] if given.b is None else [input_grid(f"b{k}", "bias", given.b[k - 1][None]) for k in numbers]
    grids += [result_grid(f"z{k}", "piece", output, phases) for k in numbers]
    grids.append(result_grid("y", "output", output, phases))
    if dy is not None:
        grids.append(input_grid("dy", "δ = ∂L/∂y", dy))
        grids += [result_grid(f"dz{k}", "∂L/∂z", output, phases) for k in numbers]
        grids += [result_grid(f"dw{k}", "∂L/∂w", (rows, width), phases) for k in numbers]
        grids.append(result_grid("dx", "∂L/∂x", (len(given.x), rows), phases))
        grids += [] if given.b is None else [result_grid(f"db{k}", "∂L/∂b", (1, width), phases) for k in numbers]
    return tuple(grids)
