"""The figures of the chapter on measures, computed by `convolve.metrics`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from drawing import matrix, number, sheet, text
from matplotlib.figure import Figure
from plots import grid

from convolve.metrics.confusion import class_metrics
from convolve.metrics.intervals import accuracy_interval
from convolve.reports.colors import INK, LINE, MUTED, RIGHT, WRONG

DOGS = np.array([[90, 10], [0, 90]])
"""The lecture's confusion matrix: a row for each true class, dog and cat."""
SCORES = np.array([0.95, 0.9, 0.8, 0.6, 0.4, 0.2])
IS_DOG = np.array([1, 1, 0, 1, 0, 0])
MEASURED = ((3, 3), (9, 10), (95, 100), (950, 1000))
"""Right images, and all."""


def confusion() -> Figure:
    """The lecture's matrix with recall at its rows and precision below its columns."""
    metrics = class_metrics(DOGS)
    on = sheet(9, 4.6)
    matrix(on, (2.5, 1.2), DOGS, {(0, 0): RIGHT, (1, 1): RIGHT, (0, 1): WRONG})
    for index, name in enumerate(("dog", "cat")):
        text(on, (1.6, 1.7 + index), name)
        text(on, (3 + index, 0.7), name)
        text(on, (5.4, 1.7 + index), number(metrics.recall[index]), RIGHT)
        text(on, (3 + index, 3.7), number(metrics.precision[index]), RIGHT)
    text(on, (7.2, 2.2), "TP / (TP + FN)", MUTED, 8.5)
    text(on, (6.2, 3.7), "TP / (TP + FP)", MUTED, 8.5)
    return on.figure


def threshold() -> Figure:
    """Precision and recall of the six images for every threshold."""
    figure, (ax,) = grid(1, 1, (5.2, 2.8))
    thresholds = np.linspace(0.01, 0.95, 471)
    found = thresholds[:, None] <= SCORES
    right = (found & (IS_DOG == 1)).sum(1)
    ax.plot(thresholds, right / found.sum(1), color=RIGHT, linewidth=2, label="TP / (TP + FP)")
    ax.plot(thresholds, right / IS_DOG.sum(), color=WRONG, linewidth=2, linestyle="--", label="TP / (TP + FN)")
    ax.set(xlim=(0, 1), ylim=(0, 1.05))
    ax.legend(frameon=False, fontsize=8, labelcolor=INK, loc="lower left")
    return figure


def interval() -> Figure:
    """Wilson's intervals of four measurements."""
    figure, (ax,) = grid(1, 1, (5.2, 2.0))
    for row, (right, total) in enumerate(MEASURED):
        lower, upper = accuracy_interval(right, total)
        ax.plot((100 * lower, 100 * upper), (row, row), color=RIGHT, linewidth=5, solid_capstyle="butt")
        ax.plot(100 * right / total, row, "o", color=WRONG, markersize=5)
    ax.set_yticks(range(len(MEASURED)), [f"{right} / {total}" for right, total in MEASURED])
    ax.set(xlim=(30, 101), ylim=(len(MEASURED) - 0.5, -0.5), xlabel="%")
    ax.xaxis.label.set(color=INK, fontsize=9)
    ax.grid(axis="x", color=LINE, linewidth=0.5)
    return figure


FIGURES: dict[str, Callable[[], Figure]] = {
    "measures-confusion.svg": confusion,
    "measures-threshold.svg": threshold,
    "measures-interval.svg": interval,
}
