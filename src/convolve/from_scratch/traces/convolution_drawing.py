"""A two-dimensional convolution as a drawing: the padded input as a lattice, and over it the windows of a step.

Slide "CNN 2D backpropagation". Forward, one window. Backward, each weight touches one cell of every window, and each x
is seen by all windows that cover it: those it gets its gradient from.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from convolve.from_scratch.traces.trace import Cell, Drawing, Mark, Phase, Point, Shape, Step
from convolve.from_scratch.traces.windows import Pair, WindowPositions

_MOST_WINDOWS = 64
_INSET = 0.08


def draw_windows(positions: WindowPositions, phases: Iterable[Phase]) -> tuple[tuple[Phase, ...], Drawing | None]:
    """The phases of a convolution of one channel with one filter, their steps marking the drawing; unchanged and
    without a drawing where there are too many windows to tell apart.
    """
    output = positions.output
    if output[0] * output[1] > _MOST_WINDOWS:
        return tuple(phases), None
    covered: dict[Pair, list[Pair]] = {}
    for cell, uses in positions.uses().items():
        covered[cell] = [position for position, _ in uses]
    drawn = tuple(
        replace(phase, steps=tuple(replace(step, marks=_marks(step, positions, covered)) for step in phase.steps))
        for phase in phases
    )
    return drawn, Drawing("The windows over the input", _extent(positions), tuple(_shapes(positions)))


def _marks(step: Step, positions: WindowPositions, covered: dict[Pair, list[Pair]]) -> tuple[tuple[str, Mark], ...]:
    (name, row, column), _ = step.outputs[0]
    border = positions.border
    if name == "y":
        names = [_window_name((row, column))]
    elif name == "dx":
        cell = row + border[0], column + border[1]
        names = [_cell_name(cell), *map(_window_name, covered.get(cell, []))]
    else:  # a weight's gradient: the cells of x that it reads; a bias' has none
        cells: list[Cell] = [each for each in step.inputs if each[0] == "x"]
        names = [_cell_name((each[1], each[2])) for each in cells]
    return tuple((each, "brief") for each in names)


def _shapes(positions: WindowPositions) -> list[Shape]:
    """The lattice, the cells that steps may fill, and the windows with the position of their output."""
    height, width = _padded(positions)
    border = positions.border
    shapes = []
    for row in range(height):
        for column in range(width):
            shapes.append(Shape(f"lattice {row},{column}", "box", _square(row, column, 1, 1, 0)))
            if (row, column) in positions.uses() or _inside(positions, row, column):
                shapes.append(Shape(_cell_name((row, column)), "area", _square(row, column, 1, 1, 0)))
    edge = _square(border[0], border[1], *positions.size, 0)
    shapes.append(Shape("edge of x", "line", (*edge, edge[0])))
    for i in range(positions.output[0]):
        for j in range(positions.output[1]):
            top, left = positions.cell((i, j), (0, 0))
            bottom, right = positions.cell((i, j), (positions.kernel[0] - 1, positions.kernel[1] - 1))
            inset = _INSET * (1 + (i + j) % 3)
            square = _square(top, left, bottom - top + 1, right - left + 1, inset)
            shapes.append(Shape(_window_name((i, j)), "box", square, f"{i + 1},{j + 1}"))
    return shapes


def _inside(positions: WindowPositions, row: int, column: int) -> bool:
    top, left = row - positions.border[0], column - positions.border[1]
    return 0 <= top < positions.size[0] and 0 <= left < positions.size[1]


def _padded(positions: WindowPositions) -> Pair:
    return positions.size[0] + 2 * positions.border[0], positions.size[1] + 2 * positions.border[1]


def _extent(positions: WindowPositions) -> tuple[float, float, float, float]:
    height, width = _padded(positions)
    return -0.1, -0.1, width + 0.1, height + 0.1


def _square(top: float, left: float, height: float, width: float, inset: float) -> tuple[Point, ...]:
    right, bottom = left + width - inset, top + height - inset
    return (left + inset, top + inset), (right, top + inset), (right, bottom), (left + inset, bottom)


def _cell_name(cell: Pair) -> str:
    return f"cell {cell[0]},{cell[1]}"


def _window_name(position: Pair) -> str:
    return f"window {position[0]},{position[1]}"
