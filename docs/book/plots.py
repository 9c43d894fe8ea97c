"""What the plots of the book share: their style, and small histograms."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from convolve.from_scratch.arrays import Array
from convolve.reports.colors import INK, LINE, MUTED, RIGHT, WRONG


def grid(rows: int, columns: int, size: tuple[float, float]) -> tuple[Figure, list[Axes]]:
    """A figure of small plots, row by row; ``size`` is its width and height in inches."""
    figure = Figure(figsize=size, layout="constrained")
    axes = [figure.add_subplot(rows, columns, number + 1) for number in range(rows * columns)]
    for ax in axes:
        ax.tick_params(labelsize=8, colors=MUTED)
        ax.spines[:].set_color(LINE)
        ax.title.set_fontsize(10)
    return figure, axes


def histogram(ax: Axes, values: Array, reach: tuple[float, float]) -> None:
    """A layer's outputs within ``reach``, with their standard deviation below; orange if that is under 0.1.

    If ReLU leaves most of them at 0, the bar there is cut off, so that the others are visible.
    """
    color = RIGHT if values.std() > 0.1 else WRONG
    counts, *_ = ax.hist(values.ravel(), bins=30, range=reach, color=color)
    most = max(counts[1:])
    ax.set(xticks=[], yticks=[], ylim=(0, 3 * most if counts[0] > 3 * most else 1.1 * max(counts)))
    ax.set_xlabel(f"{values.std():.2g}", fontsize=7.5, color=INK)
    ax.spines[["top", "left", "right"]].set_visible(False)
