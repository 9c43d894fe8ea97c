"""What the trace of an operation consists of, small enough to be written as JSON and as a page, and its notation:
short numbers, with parentheses around negative factors.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from convolve.from_scratch.arrays import Array

Cell = tuple[str, int, int]
"""A grid's name, the row and the column, counted from 0."""

Point = tuple[float, float]
"""x to the right and y downwards, in the units of the drawing."""
ShapeKind = Literal["box", "area", "line", "dot", "text"]
Mark = Literal["drawn", "selected", "removed", "brief"]
"""What a step makes of a shape: it is drawn, selected for good, removed (and still visible, crossed out), or visible in
this step alone.
"""

_SMALL = 0.001
_LARGE = 1e9


@dataclass(frozen=True)
class Grid:
    """A matrix by name. ``border`` (rows, columns) is how many at each edge are padding. Where ``result`` is true the
    steps compute the ``values``, which are those after the last step.
    """

    name: str
    title: str
    values: tuple[tuple[float, ...], ...]
    border: tuple[int, int] = (0, 0)
    result: bool = False


@dataclass(frozen=True)
class Term:
    """One product (or one value) as text, and its value."""

    text: str
    value: float


@dataclass(frozen=True)
class TermTable:
    """Terms arranged like the window that they come from; the ``label`` distinguishes several tables."""

    rows: tuple[tuple[Term, ...], ...]
    label: str = ""

    @property
    def total(self) -> float:
        """The sum of the terms."""
        return sum(term.value for row in self.rows for term in row)


@dataclass(frozen=True)
class Shape:
    """Part of a drawing by name: a polygon (a "box", or a filled "area"), a "line", a "dot" or "text", with a ``label``
    at the first of its ``points``. One that no step marks is always visible.
    """

    name: str
    kind: ShapeKind
    points: tuple[Point, ...]
    label: str = ""


@dataclass(frozen=True)
class Drawing:
    """The shapes that steps mark. ``extent`` is left, top, right, bottom of what is visible."""

    title: str
    extent: tuple[float, float, float, float]
    shapes: tuple[Shape, ...]


@dataclass(frozen=True)
class Step:
    """One calculation: the cells that are its ``inputs``, the terms, the equations, and each cell of its ``outputs``
    with the value after this step; and by name the shapes of the drawing that it marks.
    """

    title: str
    tables: tuple[TermTable, ...]
    equations: tuple[str, ...]
    inputs: tuple[Cell, ...]
    outputs: tuple[tuple[Cell, float], ...]
    marks: tuple[tuple[str, Mark], ...] = ()


@dataclass(frozen=True)
class Phase:
    """The steps of one result, such as y or dw, and their common formula."""

    title: str
    formula: str
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Trace:
    """An operation from its inputs to its results, with a drawing where there is something to see."""

    title: str
    grids: tuple[Grid, ...]
    phases: tuple[Phase, ...]
    drawing: Drawing | None = None

    @property
    def steps(self) -> tuple[Step, ...]:
        """All steps, in order."""
        return tuple(step for phase in self.phases for step in phase.steps)


def input_grid(name: str, title: str, values: Array, border: tuple[int, int] = (0, 0)) -> Grid:
    """A grid (rows, columns) that is known from the start."""
    return Grid(name, title, tuple(map(tuple, values.tolist())), border)


def result_grid(name: str, title: str, shape: tuple[int, int], phases: Iterable[Phase]) -> Grid:
    """A grid (rows, columns) as the steps leave it; a cell that no step computes is 0."""
    rows = [[0.0] * shape[1] for _ in range(shape[0])]
    for phase in phases:
        for step in phase.steps:
            for (grid, row, column), value in step.outputs:
                if grid == name:
                    rows[row][column] = value
    return Grid(name, title, tuple(map(tuple, rows)), result=True)


def value_step(
    cell: Cell,
    value: float,
    equation: str,
    inputs: Iterable[Cell],
    rows: Sequence[Sequence[Term]] = (),
    *,
    vector: bool = False,
) -> Step:
    """The step that computes ``value`` for one ``cell``, from the terms in ``rows`` if there are any; ``vector`` as in
    `format_cell`.
    """
    tables = (TermTable(tuple(map(tuple, rows))),) if rows else ()
    return Step(format_cell(cell, vector=vector), tables, (equation,), tuple(inputs), ((cell, float(value)),))


def column_of_terms(values: Iterable[float]) -> Sequence[Sequence[Term]]:
    """Values as rows of one term each."""
    return [(Term(format_number(value), value),) for value in values]


def row_cells(grid: str, row: int, count: int) -> list[Cell]:
    """The cells of a grid's row."""
    return [(grid, row, column) for column in range(count)]


def column_cells(grid: str, column: int, count: int) -> list[Cell]:
    """The cells of a grid's column."""
    return [(grid, row, column) for row in range(count)]


def check_delta(dy: Array, shape: Sequence[int]) -> None:
    """Raises `ValueError` when the gradient dy does not have the output's shape."""
    if dy.shape != tuple(shape):
        raise ValueError(
            f"delta has {format_shape(dy.shape)} values and the output {format_shape(shape)}; give one for each."
        )


def product(*factors: float) -> Term:
    """``3·(-1)``, and its value."""
    value = 1.0
    for each in factors:
        value *= float(each)
    return Term("·".join([format_number(factors[0]), *map(format_factor, factors[1:])]), value)


def format_number(value: float) -> str:
    """Whole numbers as they are, others with at most four decimals, and tiny or huge ones in scientific notation."""
    if value and not _SMALL <= abs(value) < _LARGE:
        return f"{value:.3g}"
    text = f"{value:.4f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def format_factor(value: float) -> str:
    """A number as a factor: in parentheses if it is negative."""
    text = format_number(value)
    return f"({text})" if text.startswith("-") else text


def format_sum(values: Iterable[float]) -> str:
    """``308 - 498 + 164``; the empty sum is 0."""
    words = [format_number(value) for value in values] or ["0"]
    return words[0] + "".join(f" - {word[1:]}" if word.startswith("-") else f" + {word}" for word in words[1:])


def format_equation(values: Iterable[float], total: float) -> str:
    """``1 + 2 = 3``; a single value is written once."""
    left, right = format_sum(values), format_number(total)
    return right if left == right else f"{left} = {right}"


def format_mean(values: Sequence[float]) -> str:
    """``(1 + 2 + 6) / 3 = 3``."""
    total = f"({format_sum(values)})" if len(values) > 1 else format_sum(values)
    return f"{total} / {len(values)} = {format_number(sum(values) / len(values))}"


def format_cell(cell: Cell, *, vector: bool = False) -> str:
    """``y[1,2]``, counted from 1; ``y[2]`` in a ``vector``."""
    grid, row, column = cell
    return f"{grid}[{column + 1}]" if vector else f"{grid}[{row + 1},{column + 1}]"


def format_shape(shape: Sequence[int]) -> str:
    """``2x3``."""
    return "x".join(map(str, shape))


def grid_name(letter: str, index: int, count: int) -> str:
    """``x`` when there is one grid, else ``x1``, ``x2``, …"""
    return letter if count == 1 else f"{letter}{index + 1}"
