"""The charts of an embedding: the ROC curve, and how far apart pairs are."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from convolve.metrics.verification import Verification
from convolve.reports.colors import INK, MUTED, RIGHT, WRONG
from convolve.reports.drawing import style, use_log_scale

_BINS = 40


def roc_figure(pairs: Verification, threshold: float) -> Figure:
    """TAR against FAR, on a logarithmic axis that begins where a single pair of different identities is accepted; a dot
    at the threshold.
    """
    far, tar = pairs.curve()
    least = 1 / len(pairs.different)
    with style():
        figure = Figure(figsize=(3.9, 3.1), layout="constrained")
        axes = figure.add_subplot()
        axes.plot(np.maximum(far, least), tar, color=RIGHT, linewidth=1.6, drawstyle="steps-post")
        own_far, own_tar = pairs.rates(threshold)
        axes.plot([max(own_far, least)], [own_tar], "o", color=INK, markersize=5, label="threshold", clip_on=False)
        use_log_scale(axes, "x")
        axes.set(xlim=(least, 1), ylim=(0, 1.02), xlabel="FAR", ylabel="TAR")
        axes.grid(visible=True)
        axes.legend(loc="lower right")
    return figure


def distance_figure(pairs: Verification, threshold: float) -> Figure:
    """How many of the pairs of one identity, and of different ones, have which distance; a line at the threshold."""
    edges = np.linspace(0, max(1e-6, pairs.same[-1], pairs.different[-1], threshold), _BINS + 1)
    with style():
        figure = Figure(figsize=(3.9, 3.1), layout="constrained")
        axes = figure.add_subplot()
        for found, label, color in (
            (pairs.same, "same identity", RIGHT),
            (pairs.different, "different identities", WRONG),
        ):
            heights = np.histogram(found, edges)[0] / len(found)
            axes.stairs(heights, edges, fill=True, color=color, alpha=0.45, label=label)
            axes.stairs(heights, edges, color=color)
        axes.axvline(threshold, color=MUTED, linewidth=0.9, linestyle=(0, (3, 2)), label="threshold")
        axes.set(xlabel="distance", ylabel="fraction of pairs", xlim=(0, edges[-1]))
        axes.set_ylim(bottom=0)
        figure.legend(loc="outside upper left", ncols=2)
    return figure
