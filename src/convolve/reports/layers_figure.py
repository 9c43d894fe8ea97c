"""Bars by layer: what flows through a network, and what comes back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from convolve.fonts import plot_label
from convolve.reports.colors import INK, MUTED, RIGHT, WRONG
from convolve.reports.drawing import style

_FEW = 5e-3
MOST = 80
"""Layers that a figure has room for; of more, every second, third … is drawn, and the last."""


@dataclass(frozen=True)
class LayerBar:
    """One layer: mean, deviation and share of zeros of its values, and the deviation of its slopes and their zeros."""

    name: str
    mean: float
    deviation: float
    zeros: float
    slopes: float
    slope_zeros: float


def layers_figure(layers: Sequence[LayerBar], title: str) -> Figure:
    """Three panels over the same layers, the first one on top: values, share of zeros, slopes (logarithmic)."""
    step = math.ceil(len(layers) / MOST)
    shown = [layer for place, layer in enumerate(layers) if (len(layers) - 1 - place) % step == 0]
    with style():
        figure = Figure(figsize=(9.6, 1.5 + 0.17 * len(shown)), layout="constrained")
        some = "" if step == 1 else f"; {len(shown)} of {len(layers)} layers"
        figure.suptitle(plot_label(title + some, 110), fontsize=10)
        values, zeros, slopes = figure.subplots(1, 3, sharey=True, gridspec_kw={"width_ratios": [1.2, 1, 1.2]})
        _values(values, shown)
        _zeros(zeros, shown)
        _slopes(slopes, shown)
        values.set_yticks(range(len(shown)), [plot_label(layer.name, 44) for layer in shown], fontsize=7.5)
        values.set_ylim(len(shown) - 0.4, -0.6)
        for axes in (values, zeros, slopes):
            axes.grid(visible=True, axis="x")
            axes.tick_params(axis="y", length=0)
            axes.spines["left"].set_visible(False)
    return figure


def _values(axes: Axes, layers: Sequence[LayerBar]) -> None:
    places = np.arange(len(layers))
    means, deviations = (np.array([getattr(layer, name) for layer in layers]) for name in ("mean", "deviation"))
    axes.barh(places, 2 * deviations, 0.62, means - deviations, color=RIGHT, alpha=0.35, linewidth=0)
    axes.plot(means, places, "|", color=INK, markersize=7, markeredgewidth=1.6)
    axes.axvline(0, color=MUTED, linewidth=0.8)
    axes.set_xlabel("values: mean ± deviation")
    axes.xaxis.set_major_locator(MaxNLocator(5))
    reach = 1.06 * float(np.max(np.abs(means) + deviations, initial=1e-9))
    axes.set_xlim(-reach if (means - deviations).min() < 0 else 0, reach)


def _zeros(axes: Axes, layers: Sequence[LayerBar]) -> None:
    places = np.arange(len(layers))
    axes.barh(places - 0.17, [100 * layer.zeros for layer in layers], 0.32, color=RIGHT, label="values")
    axes.barh(places + 0.17, [100 * layer.slope_zeros for layer in layers], 0.32, color=WRONG, label="slopes")
    axes.set(xlim=(0, 100), xlabel="share of zeros, %")
    if all(max(layer.zeros, layer.slope_zeros) < _FEW for layer in layers):
        axes.text(50, (len(layers) - 1) / 2, "hardly any", ha="center", va="center", color=MUTED)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, borderaxespad=0.1)


def _slopes(axes: Axes, layers: Sequence[LayerBar]) -> None:
    known = [(place, layer.slopes) for place, layer in enumerate(layers) if layer.slopes > 0]
    axes.set_xlabel("slopes of the loss: deviation")
    if known:
        places, deviations = map(np.array, zip(*known, strict=True))
        axes.plot(deviations, places, "-o", color=WRONG, linewidth=1, markersize=3.6)
        axes.set_xscale("log")
        wide = deviations.max() / deviations.min() > 100
        axes.xaxis.set_major_locator(LogLocator(subs=(1,) if wide else (1, 2, 5), numticks=8))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_locator(NullLocator())
