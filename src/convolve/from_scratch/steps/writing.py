"""A step that writes one value, as most do; the cells of a row or a column; and what slopes must fit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from convolve.from_scratch.arrays import Array
from convolve.from_scratch.steps.values import Block, Cell, Step, Term
from convolve.from_scratch.steps.wording import called, number

Rows = Sequence[Sequence[Term]]


def written(cell: Cell, value: float, text: str, read: Iterable[Cell], rows: Rows = (), *, line: bool = False) -> Step:
    """The step that writes ``value`` into ``cell``: the terms in ``rows``, then the sum in words. Without terms there
    is no block; ``line`` counts along one axis alone, as `called` does.
    """
    blocks = (Block(tuple(map(tuple, rows))),) if rows else ()
    return Step(called(cell, line), blocks, (text,), tuple(read), ((cell, float(value)),))


def values_below(values: Iterable[float]) -> Rows:
    """Values as they are, one below the other."""
    return [(Term(number(value), value),) for value in values]


def across(grid: str, row: int, count: int) -> list[Cell]:
    """The cells of a grid's row."""
    return [(grid, row, column) for column in range(count)]


def down(grid: str, column: int, count: int) -> list[Cell]:
    """The cells of a grid's column."""
    return [(grid, row, column) for row in range(count)]


def check_slopes(dy: Array, shape: Sequence[int]) -> None:
    """Raises `ValueError` when the slopes are not of the output's shape."""
    if dy.shape != tuple(shape):
        raise ValueError(f"delta has {_by(dy.shape)} values and the output {_by(shape)}; give one for each.")


def _by(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))
