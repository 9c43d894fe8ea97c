"""Building blocks of the drawings: matrices of numbers on a sheet whose unit is one cell, and signs between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from convolve.reports.colors import CELL, INK, LINE, MUTED, RIGHT

CELL_INCHES = 0.36
Fills = Mapping[tuple[int, int], str]
"""Colors of cells by (row, column), used as tints."""


@dataclass(frozen=True)
class Sheet:
    """A figure and its axes: x to the right and y downwards, both in cells."""

    figure: Figure
    axes: Axes


def sheet(width: float, height: float) -> Sheet:
    """An empty sheet of so many cells."""
    figure = Figure(figsize=(width * CELL_INCHES, height * CELL_INCHES))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.set_axis_off()
    return Sheet(figure, axes)


def matrix(on: Sheet, at: tuple[float, float], values: npt.ArrayLike, fills: Fills | None = None) -> None:
    """A matrix of numbers or short words whose upper left corner is ``at`` (x, y)."""
    table = np.atleast_2d(np.asarray(values))
    for (row, column), value in np.ndenumerate(table):
        color = (fills or {}).get((row, column))
        box(on, (at[0] + column, at[1] + row), (1, 1), color)
        text(on, (at[0] + column + 0.5, at[1] + row + 0.5), number(value))


def box(on: Sheet, at: tuple[float, float], size: tuple[float, float], fill: str | None = None) -> None:
    """A cell, or a box of some cells, tinted if a color is named."""
    on.axes.add_patch(Rectangle(at, *size, facecolor=CELL, edgecolor="none"))
    if fill:
        on.axes.add_patch(Rectangle(at, *size, facecolor=fill, alpha=0.28, edgecolor="none"))
    on.axes.add_patch(Rectangle(at, *size, facecolor="none", edgecolor=LINE, linewidth=0.8))


def outline(on: Sheet, at: tuple[float, float], size: tuple[float, float], color: str = RIGHT) -> None:
    """A heavy outline, such as that of the window."""
    outline = Rectangle(at, *size, facecolor="none", edgecolor=color, linewidth=2.0, joinstyle="miter", zorder=3)
    on.axes.add_patch(outline)


def text(on: Sheet, at: tuple[float, float], words: str, color: str = INK, size: float = 9.5) -> None:
    """Words around a point."""
    on.axes.text(*at, words, color=color, fontsize=size, ha="center", va="center_baseline", zorder=4)


def arrow(on: Sheet, start: tuple[float, float], end: tuple[float, float], color: str = MUTED) -> None:
    """An arrow from one point to another."""
    way = {"arrowstyle": "-|>", "color": color, "linewidth": 1.1, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 9}
    on.axes.annotate("", xy=end, xytext=start, arrowprops=way, zorder=2)


def number(value: object) -> str:
    """A number as it is written: without trailing zeros, and with a minus sign."""
    words = f"{value:.4g}" if isinstance(value, int | float | np.number) else str(value)
    return words.replace("-", "\N{MINUS SIGN}")
