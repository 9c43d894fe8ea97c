"""Training curves, confusion matrix and reliability diagram as matplotlib figures.

`drawing.as_svg` and `drawing.as_png` write them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from convolve.fonts import plot_label
from convolve.metrics.calibration import Reliability
from convolve.metrics.confusion import Fractions
from convolve.reports.colors import CELL, INK, MUTED, PAPER, RIGHT, WRONG, mix
from convolve.reports.drawing import style
from convolve.reports.report import Training
from convolve.values import Indices

Panel = Literal["loss", "metric", "learning rate"]
_COUNTED = 20


def panels(training: Training) -> tuple[Panel, ...]:
    """The curves that there are numbers for."""
    found: list[Panel] = ["loss"]
    found += ["metric"] if any(epoch.metric is not None for epoch in training.epochs) else []
    found += ["learning rate"] if any(epoch.learning_rate is not None for epoch in training.epochs) else []
    return tuple(found)


def training_curves(training: Training, selection: Sequence[Panel]) -> Figure:
    """Losses, monitored metric, learning rate: one panel each, side by side, epochs to the right.

    A dotted line marks the best epoch.
    """
    with style():
        figure = Figure(figsize=(3.4 * len(selection), 2.4), layout="constrained")
        for position, panel in enumerate(selection, start=1):
            axes = figure.add_subplot(1, len(selection), position)
            if panel == "loss":
                _curve(axes, training, "train_loss", ("training", RIGHT, "-"))
                _curve(axes, training, "validation_loss", ("validation", WRONG, "--"))
                if axes.lines:
                    axes.legend(loc="upper right")
            elif panel == "metric":
                _curve(axes, training, "metric", ("validation", WRONG, "--"))
            else:
                _curve(axes, training, "learning_rate", ("learning rate", INK, "-"))
                axes.set_ylim(bottom=0)
            axes.set_ylabel(plot_label(training.monitored) if panel == "metric" else panel)
            axes.set_xlabel("epoch")
            axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
            axes.grid(visible=True)
            if training.best is not None:
                axes.axvline(training.best, color=MUTED, linewidth=0.8, linestyle=(0, (2, 2)), zorder=0)
    return figure


def confusion_figure(matrix: Indices, classes: Sequence[str]) -> Figure:
    """A (C, C) confusion matrix: rows true classes, columns predicted ones, counts where there are 20 classes at most.

    Blue on the diagonal, orange beside it; depth is the square root of the fraction of the row, so that few errors are
    visible.
    """
    count = len(classes)
    names = [plot_label(name, 24) for name in classes]
    longest, counted = max(map(len, names), default=0), count <= _COUNTED
    side = 0.7 + 0.07 * longest + count * (0.34 if counted else 9 / max(count, 60))
    fractions = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    right = np.eye(count, dtype=bool)[..., None]
    with style():
        figure = Figure(figsize=(side, side), layout="constrained")
        axes = figure.add_subplot()
        depth = fractions**0.5
        axes.imshow(np.where(right, mix(CELL, RIGHT, depth), mix(CELL, WRONG, depth)), interpolation="nearest")
        size = 8 if counted else 480 / max(count, 80)
        axes.set_xticks(range(count), names, rotation=0 if longest <= 3 and counted else 90, fontsize=size)
        axes.set_yticks(range(count), names, fontsize=size)
        axes.set(xlabel="predicted", ylabel="true")
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        if counted:
            _write_counts(axes, matrix, fractions)
        lines = np.arange(1, count) - 0.5
        axes.vlines(lines, -0.5, count - 0.5, color=PAPER, linewidth=1.2 if counted else 0.3)
        axes.hlines(lines, -0.5, count - 0.5, color=PAPER, linewidth=1.2 if counted else 0.3)
    return figure


def reliability_figure(before: Reliability, after: Reliability | None = None) -> Figure:
    """Accuracy against confidence in bins, with the gap to perfect calibration; below, how many images each bin holds.

    ``after`` adds the accuracies once a temperature is applied, as dots.
    """
    with style():
        figure = Figure(figsize=(4.2, 4.2), layout="constrained")
        upper, lower = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [4, 1]})
        _bars(upper, before)
        if after is not None:
            upper.plot(after.confidence, after.accuracy, "o", color=INK, markersize=3.5, label="with temperature")
        upper.set(xlim=(0, 1), ylim=(0, 1), ylabel="accuracy")
        figure.legend(loc="outside upper left", ncols=3)
        widths = np.diff(before.edges)
        lower.bar(before.edges[:-1], before.counts, widths, align="edge", color=MUTED, edgecolor=PAPER, linewidth=0.8)
        lower.set(xlabel="confidence", ylabel="images")
        lower.yaxis.set_major_locator(MaxNLocator(2, integer=True))
        for axes, axis in ((upper, upper.yaxis), (lower, lower.xaxis)):
            axes.tick_params(length=2)
            axis.set_major_formatter(lambda fraction, _: f"{100 * fraction:.4g} %")
    return figure


def _curve(axes: Axes, training: Training, field: str, look: tuple[str, str, str]) -> None:
    """One field of the epochs; ``look`` is its label, color and line style."""
    label, color, line = look
    values = [(epoch.number, getattr(epoch, field)) for epoch in training.epochs]
    known = [(number, value) for number, value in values if value is not None and np.isfinite(value)]
    if known:
        marker = "o" if len(known) < 3 else ""
        axes.plot(*zip(*known, strict=True), line, color=color, label=label, linewidth=1.5, marker=marker, markersize=4)


def _bars(axes: Axes, bins: Reliability) -> None:
    widths, left = np.diff(bins.edges), bins.edges[:-1]
    axes.bar(left, bins.accuracy, widths, align="edge", color=RIGHT, edgecolor=PAPER, linewidth=0.8, label="accuracy")
    low, gap = np.fmin(bins.accuracy, bins.confidence), np.abs(bins.accuracy - bins.confidence)
    bars = axes.bar(left, gap, widths, low, align="edge", color="none", edgecolor=WRONG, label="gap to confidence")
    for bar in bars:
        bar.set(hatch="/////", linewidth=0.8)
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle=(0, (3, 2)), zorder=4)


def _write_counts(axes: Axes, matrix: Indices, fractions: Fractions) -> None:
    size = 8 if matrix.max(initial=0) < 1000 else 6.5
    for (row, column), number in np.ndenumerate(matrix):
        if number:
            color = PAPER if fractions[row, column] > 0.3 else INK
            axes.text(column, row, str(number), ha="center", va="center", fontsize=size, color=color)
