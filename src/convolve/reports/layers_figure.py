"""Bars by layer: the values that flow through a network, and the gradients that flow back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from convolve.fonts import plot_label
from convolve.reports.colors import INK, MUTED, RIGHT, WRONG
from convolve.reports.drawing import style, use_log_scale

_FEW = 5e-3
MOST = 80
"""Layers that fit into a figure; of more, every second, third … is drawn, and the last."""


@dataclass(frozen=True)
class LayerBar:
    """One layer: mean, standard deviation and fraction of zeros of its values; standard deviation and fraction of zeros
    of the gradients of the loss with respect to them.
    """

    name: str
    mean: float
    deviation: float
    zeros: float
    gradients: float
    gradient_zeros: float


def layers_figure(layers: Sequence[LayerBar], title: str) -> Figure:
    """Three panels over the same layers, the first one on top: values, fraction of zeros, gradients (logarithmic)."""
    step = math.ceil(len(layers) / MOST)
    drawn = [layer for index, layer in enumerate(layers) if (len(layers) - 1 - index) % step == 0]
    with style():
        figure = Figure(figsize=(9.6, 1.5 + 0.17 * len(drawn)), layout="constrained")
        some = "" if step == 1 else f"; {len(drawn)} of {len(layers)} layers"
        figure.suptitle(plot_label(title + some, 110), fontsize=10)
        values, zeros, gradients = figure.subplots(1, 3, sharey=True, gridspec_kw={"width_ratios": [1.2, 1, 1.2]})
        _values(values, drawn)
        _zeros(zeros, drawn)
        _gradients(gradients, drawn)
        values.set_yticks(range(len(drawn)), [plot_label(layer.name, 44) for layer in drawn], fontsize=7.5)
        values.set_ylim(len(drawn) - 0.4, -0.6)
        for axes in (values, zeros, gradients):
            axes.grid(visible=True, axis="x")
            axes.tick_params(axis="y", length=0)
            axes.spines["left"].set_visible(False)
    return figure


def _values(axes: Axes, layers: Sequence[LayerBar]) -> None:
    positions = np.arange(len(layers))
    means, deviations = (np.array([getattr(layer, name) for layer in layers]) for name in ("mean", "deviation"))
    axes.barh(positions, 2 * deviations, 0.62, means - deviations, color=RIGHT, alpha=0.35, linewidth=0)
    axes.plot(means, positions, "|", color=INK, markersize=7, markeredgewidth=1.6)
    axes.axvline(0, color=MUTED, linewidth=0.8)
    axes.set_xlabel("values: mean ± deviation")
    axes.xaxis.set_major_locator(MaxNLocator(5))
    reach = 1.06 * float(np.max(np.abs(means) + deviations, initial=1e-9))
    axes.set_xlim(-reach if (means - deviations).min() < 0 else 0, reach)


def _zeros(axes: Axes, layers: Sequence[LayerBar]) -> None:
    positions = np.arange(len(layers))
    axes.barh(positions - 0.17, [100 * layer.zeros for layer in layers], 0.32, color=RIGHT, label="values")
    axes.barh(positions + 0.17, [100 * layer.gradient_zeros for layer in layers], 0.32, color=WRONG, label="gradients")
    axes.set(xlim=(0, 100), xlabel="zeros, %")
    if all(max(layer.zeros, layer.gradient_zeros) < _FEW for layer in layers):
        axes.text(50, (len(layers) - 1) / 2, "hardly any", ha="center", va="center", color=MUTED)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, borderaxespad=0.1)


def _gradients(axes: Axes, layers: Sequence[LayerBar]) -> None:
    known = [(position, layer.gradients) for position, layer in enumerate(layers) if layer.gradients > 0]
    axes.set_xlabel("gradients of the loss: deviation")
    if known:
        positions, deviations = map(np.array, zip(*known, strict=True))
        axes.plot(deviations, positions, "-o", color=WRONG, linewidth=1, markersize=3.6)
        use_log_scale(axes, "x")
        wide = deviations.max() / deviations.min() > 100
        axes.xaxis.set_major_locator(LogLocator(subs=(1,) if wide else (1, 2, 5), numticks=8))
        axes.xaxis.set_minor_locator(NullLocator())
