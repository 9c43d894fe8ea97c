"""Pictures of what was measured, as matplotlib figures; `drawing.as_svg` and `drawing.as_png` write them."""

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

Panel = Literal["loss", "criterion", "rate"]
_COUNTED = 20


def panels(training: Training) -> tuple[Panel, ...]:
    """Which curves there are numbers for."""
    found: list[Panel] = ["loss"]
    found += ["criterion"] if any(epoch.criterion is not None for epoch in training.epochs) else []
    found += ["rate"] if any(epoch.rate is not None for epoch in training.epochs) else []
    return tuple(found)


def training_curves(training: Training, shown: Sequence[Panel]) -> Figure:
    """Loss, the selecting figure, learning rate: one panel each, side by side, epochs to the right."""
    with style():
        figure = Figure(figsize=(3.4 * len(shown), 2.4), layout="constrained")
        for place, panel in enumerate(shown):
            axes = figure.add_subplot(1, len(shown), place + 1)
            _PANELS[panel](axes, training)
            axes.set_xlabel("epoch")
            axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
            if training.best is not None:
                axes.axvline(training.best, color=MUTED, linewidth=0.8, linestyle=(0, (2, 2)), zorder=0)
    return figure


def confusion_figure(matrix: Indices, classes: Sequence[str]) -> Figure:
    """A (C, C) confusion matrix: rows truths, columns predictions, counts where there are 20 classes at most.

    Blue on the diagonal, orange beside it; depth is the square root of the share of the row, so that few errors show.
    """
    count = len(classes)
    names = [plot_label(name, 24) for name in classes]
    side = 0.7 + 0.07 * max(map(len, names), default=0) + count * (0.34 if count <= _COUNTED else 9 / max(count, 60))
    with style():
        figure = Figure(figsize=(side, side), layout="constrained")
        axes = figure.add_subplot()
        shares = row_shares(matrix)
        right = np.eye(count, dtype=bool)[..., None]
        axes.imshow(
            np.where(right, mix(CELL, RIGHT, shares**0.5), mix(CELL, WRONG, shares**0.5)), interpolation="nearest"
        )
        _name_cells(axes, names)
        if count <= _COUNTED:
            _write_counts(axes, matrix, shares)
        _grid(axes, count)
    return figure


def reliability_figure(before: Reliability, after: Reliability | None = None) -> Figure:
    """Accuracy against confidence in bins, with the gap to perfect calibration; below, where the images lie.

    ``after`` adds the accuracies once a temperature is applied, as dots.
    """
    with style():
        figure = Figure(figsize=(4.2, 4.2), layout="constrained")
        upper, lower = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [4, 1]})
        _bars(upper, before)
        if after is not None:
            upper.plot(after.confidence, after.accuracy, "o", color=INK, markersize=3.5, label="with temperature")
        upper.set(xlim=(0, 1), ylim=(0, 1), ylabel="share that is right")
        figure.legend(loc="outside upper left", ncols=3)
        widths = np.diff(before.edges)
        lower.bar(before.edges[:-1], before.counts, widths, align="edge", color=MUTED, edgecolor=PAPER, linewidth=0.8)
        lower.set(xlabel="confidence", ylabel="images")
        lower.yaxis.set_major_locator(MaxNLocator(2, integer=True))
        for axes, axis in ((upper, upper.yaxis), (lower, lower.xaxis)):
            axes.tick_params(length=2)
            axis.set_major_formatter(_percent)
    return figure


def row_shares(matrix: Indices) -> Fractions:
    """Each cell of a (C, C) confusion matrix as a share of its row, 0 in an empty row."""
    totals = np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    return np.asarray(matrix / totals, dtype=np.float64)


def _percent(share: float, _position: float) -> str:
    return f"{100 * share:.4g} %"


def _losses(axes: Axes, training: Training) -> None:
    _line(axes, training, "loss", "training", RIGHT, "-")
    _line(axes, training, "validation_loss", "validation", WRONG, "--")
    axes.set_ylabel("loss")
    axes.legend(loc="upper right")


def _criterion(axes: Axes, training: Training) -> None:
    _line(axes, training, "criterion", "validation", WRONG, "--")
    axes.set_ylabel(plot_label(training.criterion))


def _rate(axes: Axes, training: Training) -> None:
    _line(axes, training, "rate", "learning rate", INK, "-")
    axes.set_ylabel("learning rate")
    axes.set_ylim(bottom=0)


_PANELS = {"loss": _losses, "criterion": _criterion, "rate": _rate}


def _line(axes: Axes, training: Training, field: str, label: str, color: str, style: str) -> None:
    values = [(epoch.number, getattr(epoch, field)) for epoch in training.epochs]
    known = [(number, value) for number, value in values if value is not None and np.isfinite(value)]
    if known:
        marker = "o" if len(known) < 3 else ""
        axes.plot(
            *zip(*known, strict=True), style, color=color, label=label, linewidth=1.5, marker=marker, markersize=4
        )
    axes.grid(visible=True)


def _bars(axes: Axes, bins: Reliability) -> None:
    widths, left = np.diff(bins.edges), bins.edges[:-1]
    axes.bar(left, bins.accuracy, widths, align="edge", color=RIGHT, edgecolor=PAPER, linewidth=0.8, label="accuracy")
    low, gap = np.fmin(bins.accuracy, bins.confidence), np.abs(bins.accuracy - bins.confidence)
    bars = axes.bar(left, gap, widths, low, align="edge", color="none", edgecolor=WRONG, label="gap to confidence")
    for bar in bars:
        bar.set(hatch="/////", linewidth=0.8)
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle=(0, (3, 2)), zorder=4)


def _name_cells(axes: Axes, names: Sequence[str]) -> None:
    size = 8 if len(names) <= _COUNTED else 480 / max(len(names), 80)
    turned = 0 if max(map(len, names), default=0) <= 3 and len(names) <= _COUNTED else 90
    axes.set_xticks(range(len(names)), names, rotation=turned, fontsize=size)
    axes.set_yticks(range(len(names)), names, fontsize=size)
    axes.set(xlabel="predicted", ylabel="true")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _write_counts(axes: Axes, matrix: Indices, shares: Fractions) -> None:
    size = 8 if matrix.max(initial=0) < 1000 else 6.5
    for (row, column), number in np.ndenumerate(matrix):
        if number:
            color = PAPER if shares[row, column] > 0.3 else INK
            axes.text(column, row, str(number), ha="center", va="center", fontsize=size, color=color)


def _grid(axes: Axes, count: int) -> None:
    places = np.arange(1, count) - 0.5
    width = 1.2 if count <= _COUNTED else 0.3
    axes.vlines(places, -0.5, count - 0.5, color=PAPER, linewidth=width)
    axes.hlines(places, -0.5, count - 0.5, color=PAPER, linewidth=width)
