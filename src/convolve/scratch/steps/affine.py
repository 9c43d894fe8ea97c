"""The affine layer, sum by sum; slides "Computational Graph: Affine".

y = x·w + b, and backward ∂L/∂X = ∂L/∂Y · Wᵀ, ∂L/∂W = Xᵀ · ∂L/∂Y: three matrix products, each of rows times columns.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from convolve.scratch.arrays import Array
from convolve.scratch.steps.values import Block, Cell, Grid, Part, Step, Term, Walk, given, made
from convolve.scratch.steps.wording import called, equation, number, product


@dataclass(frozen=True)
class Affine:
    """x (N, D), w (D, H), b (H,) or None. Raises `ValueError` when they do not fit."""

    x: Array
    w: Array
    b: Array | None

    def __post_init__(self) -> None:
        if self.x.shape[1] != len(self.w):
            raise ValueError(f"x has {self.x.shape[1]} columns and w {len(self.w)} rows; a product needs as many.")
        if self.b is not None and self.b.shape != self.w.shape[1:]:
            raise ValueError(f"The bias has {self.b.size} values and w {self.w.shape[1]} columns; give one for each.")


@dataclass(frozen=True)
class _Factor:
    """A matrix of a product: the grid that it stands in, and whether it is turned there (Xᵀ, Wᵀ)."""

    name: str
    values: Array
    turned: bool = False

    def cell(self, row: int, column: int) -> Cell:
        return (self.name, column, row) if self.turned else (self.name, row, column)


def affine_walk(layer: Affine, dy: Array | None) -> Walk:
    """Forward to y, and backward from ``dy`` (N, H) if it is given."""
    forward = _matrix_product("y", _Factor("x", layer.x), _Factor("w", layer.w), layer.b)
    formula = "y = x · w" + ("" if layer.b is None else " + b")
    parts = [Part("Forward: the output y", formula, tuple(forward))]
    if dy is not None:
        parts += _backward(layer, dy)
    return Walk("Affine layer", _grids(layer, dy, tuple(parts)), tuple(parts))


def _backward(layer: Affine, dy: Array) -> Iterator[Part]:
    wanted = (len(layer.x), layer.w.shape[1])
    if dy.shape != wanted:
        raise ValueError(f"delta has {dy.shape[0]}x{dy.shape[1]} values and the output {wanted[0]}x{wanted[1]}.")
    slopes = _Factor("dy", dy)
    dw = _matrix_product("dw", _Factor("x", layer.x.T, turned=True), slopes, None)
    yield Part("Backward: the weights' slope dw", "dw = xᵀ · dy", tuple(dw))
    dx = _matrix_product("dx", slopes, _Factor("w", layer.w.T, turned=True), None)
    yield Part("Backward: the input's slope dx", "dx = dy · wᵀ", tuple(dx))
    if layer.b is not None:
        yield Part("Backward: the bias's slope db", "db = Σ dy, over the examples", tuple(_db(dy)))


def _matrix_product(made_grid: str, left: _Factor, right: _Factor, bias: Array | None) -> Iterator[Step]:
    """Each row of the left times each column of the right."""
    inner = range(left.values.shape[1])
    for row, column in np.ndindex(len(left.values), right.values.shape[1]):
        terms = tuple(product(left.values[row, k], right.values[k, column]) for k in inner)
        extra = [] if bias is None else [float(bias[column])]
        values = [*(term.value for term in terms), *extra]
        read: list[Cell] = [left.cell(row, k) for k in inner] + [right.cell(k, column) for k in inner]
        read += [("b", 0, column)] if extra else []
        cell = (made_grid, row, column)
        text = equation(values, sum(values))
        yield Step(called(cell), (Block((terms,)),), (text,), tuple(read), ((cell, sum(values)),))


def _db(dy: Array) -> Iterator[Step]:
    for column in range(dy.shape[1]):
        values = dy[:, column].tolist()
        rows = tuple((Term(number(value), value),) for value in values)
        read = tuple(("dy", row, column) for row in range(len(dy)))
        cell = ("db", 0, column)
        yield Step(
            called(cell, line=True), (Block(rows),), (equation(values, sum(values)),), read, ((cell, sum(values)),)
        )


def _grids(layer: Affine, dy: Array | None, parts: tuple[Part, ...]) -> tuple[Grid, ...]:
    examples, width = len(layer.x), layer.w.shape[1]
    bias = [] if layer.b is None else [given("b", "bias", layer.b[None])]
    grids = [given("x", "input, an example per row", layer.x), given("w", "weights", layer.w), *bias]
    grids.append(made("y", "output", (examples, width), parts))
    if dy is not None:
        grids.append(given("dy", "δ, slope of the loss along y", dy))
        grids.append(made("dw", "slope along w", (len(layer.w), width), parts))
        grids.append(made("dx", "slope along x", (examples, len(layer.w)), parts))
        grids += [made("db", "slope along b", (1, width), parts)] if bias else []
    return tuple(grids)
