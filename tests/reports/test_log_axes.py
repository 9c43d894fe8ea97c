"""Logarithmic axes: plain numbers at their ticks, whatever the range, and nowhere a power of ten as raw TeX."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatterSciNotation

from convolve.reports.cost_figure import CostGroup, CostPoint, cost_figure
from convolve.reports.drawing import style, use_log_scale
from convolve.reports.layers_figure import LayerBar, layers_figure
from convolve.reports.trials_figure import sweep_figure
from convolve.tasks.detect.charts import anchor_figure

RANGES = [(1.0, 1.0), (1.0, 3.0), (0.02, 0.9), (1e-7, 1e4)]


def _costs(low: float, high: float) -> Figure:
    points = [CostPoint(name, 0.5, 1e6 * cost, cost, 1e5) for name, cost in (("a", low), ("b", high))]
    return cost_figure([CostGroup("digits", points)])


def _layers(low: float, high: float) -> Figure:
    return layers_figure([LayerBar(f"conv{n}", 0.1, 1, 0, value, 0) for n, value in enumerate((low, high))], "lenet")


def _sweep(low: float, high: float) -> Figure:
    return sweep_figure({"": [(low, [0.5]), (high, [0.6])]}, "learning rate", "accuracy", logarithmic=True)


def _anchors(low: float, high: float) -> Figure:
    return anchor_figure(np.array([[low, high], [high, low]]), np.array([[low, low]]))


@pytest.mark.parametrize(("low", "high"), RANGES)
@pytest.mark.parametrize("draw", [_costs, _layers, _sweep, _anchors])
def test_ticks_are_plain_numbers(draw: Callable[[float, float], Figure], low: float, high: float) -> None:
    figure = draw(low, high)
    with style():
        figure.draw_without_rendering()
    axes = [axis for ax in figure.axes for axis in (ax.xaxis, ax.yaxis) if axis.get_scale() == "log"]
    assert axes
    for axis in axes:
        labels = [text.get_text() for text in (*axis.get_ticklabels(), *axis.get_ticklabels(minor=True))]
        assert any(labels)
        assert not any("$" in label or "\\" in label for label in labels), labels


def test_a_tick_has_its_number() -> None:
    with style():
        figure = Figure()
        axes = figure.add_subplot()
        use_log_scale(axes, "y")
        axes.plot([1, 2], [1e-3, 10])
        figure.draw_without_rendering()
        labels = {label.get_position()[1]: label.get_text() for label in axes.yaxis.get_ticklabels()}
        assert {0.001: "0.001", 0.1: "0.1", 1.0: "1"}.items() <= labels.items()
        axes.yaxis.set_major_formatter(LogFormatterSciNotation())  # matplotlib's own
        assert "mathdefault" in axes.yaxis.get_ticklabels()[3].get_text()
