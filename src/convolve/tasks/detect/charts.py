"""Charts of a detector's report: precision against recall, what errors cost, anchors among the sizes of boxes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from convolve.datasets.class_colors import class_color
from convolve.fonts import plot_label
from convolve.metrics.precision_recall import PrecisionRecall
from convolve.reports.colors import INK, MUTED, RIGHT, WRONG
from convolve.reports.drawing import UNTRANSLATED, style, use_log_scale
from convolve.values import Floats

MOST_CURVES = 12
"""How many classes have a curve of their own at most."""
_MOST_POINTS = 2000


def precision_recall_figure(curves: Sequence[tuple[str, int, PrecisionRecall, float]]) -> Figure:
    """A curve for each class: its name, index, precision and recall, and the recall at the threshold (a dot)."""
    with style():
        figure = Figure(figsize=(4.2, 3.6), layout="constrained")
        axes = figure.add_subplot()
        for name, index, curve, recall in curves:
            color = tuple(value / 255 for value in class_color(index))
            recalls, precisions = np.append(0, curve.recall), np.append(curve.precision[:1], curve.precision)
            axes.step(recalls, precisions, where="post", color=color, linewidth=1.4, label=plot_label(name, 20))
            at = int(np.searchsorted(curve.recall, recall))
            if recall > 0 and at < len(curve.recall):
                axes.plot(curve.recall[at], curve.precision[at], "o", color=color, markersize=4)
        axes.set(xlim=(0, 1.01), ylim=(0, 1.02), xlabel="recall", ylabel="precision")
        axes.grid(visible=True)
        if curves:
            for text in figure.legend(loc="outside right upper").get_texts():
                text.set_gid(UNTRANSLATED)
    return figure


def error_figure(names: Sequence[str], costs: Sequence[float]) -> Figure:
    """A bar for each kind of error: the average precision that it costs."""
    with style():
        figure = Figure(figsize=(4.2, 0.5 + 0.28 * len(names)), layout="constrained")
        axes = figure.add_subplot()
        axes.barh(range(len(names)), 100 * np.nan_to_num(np.array(costs)), color=WRONG, height=0.6)
        axes.set_yticks(range(len(names)), names)
        axes.invert_yaxis()
        axes.set(xlabel="AP50 lost, in points")
        axes.tick_params(axis="y", length=0)
    return figure


def anchor_figure(sides: Floats, anchors: Floats) -> Figure:
    """(M, 2) widths and heights of boxes in pixels of the input, and (A, 2) those of the anchors as squares."""
    step = max(1, len(sides) // _MOST_POINTS)
    with style():
        figure = Figure(figsize=(4.2, 3.6), layout="constrained")
        axes = figure.add_subplot()
        axes.plot(*sides[::step].T, ".", color=RIGHT, markersize=3, alpha=0.5, label="boxes", markeredgewidth=0)
        axes.plot(*anchors.T, "s", color=WRONG, markersize=6, label="anchors", markeredgecolor=INK, markeredgewidth=0.6)
        use_log_scale(axes, "x")
        use_log_scale(axes, "y")
        axes.set(xlabel="width in pixels of the input", ylabel="height")
        axes.grid(visible=True)
        axes.axline((10, 10), (100, 100), color=MUTED, linewidth=0.8, linestyle=(0, (3, 2)))
        figure.legend(loc="outside right upper")
    return figure
