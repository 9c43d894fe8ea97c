"""What a walk through the sums is made of; small enough to be written as JSON and as a page."""

from __future__ import annotations

from dataclasses import dataclass

from convolve.from_scratch.arrays import Array

Cell = tuple[str, int, int]
"""A grid's name, the row and the column, counted from 0."""


@dataclass(frozen=True)
class Grid:
    """A matrix to look at. ``border`` (rows, columns) says how many at each edge are padding; ``made`` that the walk
    fills it in, and ``values`` is then what it ends with.
    """

    name: str
    title: str
    values: tuple[tuple[float, ...], ...]
    border: tuple[int, int] = (0, 0)
    made: bool = False


@dataclass(frozen=True)
class Term:
    """One product (or one value) as it is written, and what it comes to."""

    text: str
    value: float


@dataclass(frozen=True)
class Block:
    """Terms laid out like the window that they come from; ``label`` tells several of them apart."""

    rows: tuple[tuple[Term, ...], ...]
    label: str = ""

    @property
    def total(self) -> float:
        """The sum of the terms."""
        return sum(term.value for row in self.rows for term in row)


@dataclass(frozen=True)
class Step:
    """One sum: the cells that are ``read``, the terms, the sum in words, and each cell that is written, with its value
    after this step.
    """

    title: str
    blocks: tuple[Block, ...]
    sums: tuple[str, ...]
    read: tuple[Cell, ...]
    written: tuple[tuple[Cell, float], ...]


@dataclass(frozen=True)
class Part:
    """Steps that belong together, such as all of the output or all of dw, and their formula."""

    title: str
    formula: str
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Walk:
    """An operation from its numbers to its result."""

    title: str
    grids: tuple[Grid, ...]
    parts: tuple[Part, ...]

    @property
    def steps(self) -> tuple[Step, ...]:
        """Every step, in order."""
        return tuple(step for part in self.parts for step in part.steps)


def given(name: str, title: str, values: Array, border: tuple[int, int] = (0, 0)) -> Grid:
    """A grid (rows, columns) that is there from the start."""
    return Grid(name, title, tuple(map(tuple, values.tolist())), border)


def made(name: str, title: str, shape: tuple[int, int], parts: tuple[Part, ...]) -> Grid:
    """A grid (rows, columns) as the steps leave it; what none of them writes is 0."""
    rows = [[0.0] * shape[1] for _ in range(shape[0])]
    for part in parts:
        for step in part.steps:
            for (grid, row, column), value in step.written:
                if grid == name:
                    rows[row][column] = value
    return Grid(name, title, tuple(map(tuple, rows)), made=True)
