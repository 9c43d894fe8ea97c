"""What the plots of the book have in common: quiet frames, and rows of small histograms."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from convolve.from_scratch.arrays import Array
from convolve.reports.colors import INK, LINE, MUTED, RIGHT, WRONG


def grid(rows: int, columns: int, size: tuple[float, float]) -> tuple[Figure, list[Axes]]:
    """A figure of small plots, row by row; ``size`` is its width and height in inches."""
    figure = Figure(figsize=size, layout="constrained")
    axes = [figure.add_subplot(rows, columns, number + 1) for number in range(rows * columns)]
    for place in axes:
        place.tick_params(labelsize=8, colors=MUTED)
        place.spines[:].set_color(LINE)
        place.title.set_fontsize(10)
    return figure, axes


def histogram(place: Axes, values: Array, reach: tuple[float, float]) -> None:
    """How a layer's outputs lie within ``reach``, with their deviation below; orange where that is under 0.1.

    Where ReLU leaves most of them at 0, the bar there is cut off, so that the others show.
    """
    color = RIGHT if values.std() > 0.1 else WRONG
    counts, *_ = place.hist(values.ravel(), bins=30, range=reach, color=color)
    most = max(counts[1:])
    place.set(xticks=[], yticks=[], ylim=(0, 3 * most if counts[0] > 3 * most else 1.1 * max(counts)))
    place.set_xlabel(f"{values.std():.2g}", fontsize=7.5, color=INK)
    place.spines[["top", "left", "right"]].set_visible(False)
