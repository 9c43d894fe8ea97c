"""Accuracy against what it costs.

After Canziani, Paszke, Culurciello 2016, "An analysis of deep neural network models for practical applications",
figure 2: operations to the right, accuracy upwards, parameters as areas.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, NullLocator

from convolve.fonts import plot_label
from convolve.reports.colors import INK, MUTED, RIGHT
from convolve.reports.drawing import style
from convolve.reports.labels import name_points

_LARGEST, _SMALLEST, _MANY = 17.0, 2.5, 12
_SPACE = "\N{NO-BREAK SPACE}"


@dataclass(frozen=True)
class CostPoint:
    """A network: its accuracy or another figure from 0 to 1, and multiply-adds, seconds and parameters, all above 0."""

    name: str
    accuracy: float
    macs: float
    seconds: float
    parameters: float


@dataclass(frozen=True)
class CostGroup:
    """Networks that were measured on the same data by the same ``figure``, and what the data was."""

    data: str
    points: Sequence[CostPoint]
    figure: str = "accuracy"


def cost_figure(groups: Sequence[CostGroup]) -> Figure:
    """A row of panels to each group: accuracy against multiply-adds and against time per image, logarithmic.

    The areas are the parameters, on one scale in all panels; what has few keeps a dot that can be seen.
    """
    most = max(point.parameters for group in groups for point in group.points)
    heights = [4.0 if len(group.points) <= _MANY else 6.5 for group in groups]
    wide = 5.2 if max(heights) == 4 else 7.5
    with style():
        figure = Figure(figsize=(2 * wide, sum(heights)), layout="constrained")
        grid = figure.subplots(len(groups), 2, squeeze=False, height_ratios=heights)
        _legend(figure, grid[0][0], most)
        for (left, right), group in zip(grid, groups, strict=True):
            _panel(left, group, [point.macs for point in group.points], ("multiply-adds of one image", ""), most)
            _panel(right, group, [point.seconds for point in group.points], ("time per image", "s"), most)
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        for (left, right), group in zip(grid, groups, strict=True):
            _name(figure, left, group, [point.macs for point in group.points], most)
            _name(figure, right, group, [point.seconds for point in group.points], most)
    return figure


def _panel(axes: Axes, group: CostGroup, costs: Sequence[float], cost: tuple[str, str], most: float) -> None:
    heights = [point.accuracy for point in group.points]
    areas = [(2 * _radius(point.parameters, most)) ** 2 for point in group.points]
    axes.scatter(costs, heights, s=areas, color=RIGHT, alpha=0.35, linewidths=0, zorder=3)
    axes.scatter(costs, heights, s=4, color=INK, linewidths=0, zorder=4)
    axes.set_title(plot_label(group.data, 60), loc="left", fontsize=9, color=MUTED)
    axes.set_xscale("log")
    axes.set(xlabel=cost[0], ylabel=group.figure, xlim=(min(costs) / 2.2, max(costs) * 2.2))
    axes.margins(y=0.25 if len(costs) <= _MANY else 0.1)
    axes.set_ylim(top=min(axes.get_ylim()[1], 1.04))
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if max(costs) / min(costs) < 30 else (1,)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(EngFormatter(cost[1], sep=_SPACE))
    axes.yaxis.set_major_formatter(lambda fraction, _: f"{100 * fraction:.4g} %")
    axes.grid(visible=True)


def _name(figure: Figure, axes: Axes, group: CostGroup, costs: Sequence[float], most: float) -> None:
    positions = np.array([(cost, point.accuracy) for cost, point in zip(costs, group.points, strict=True)])
    radii = [_radius(point.parameters, most) for point in group.points]
    name_points(figure, axes, positions, [point.name for point in group.points], radii)


def _radius(parameters: float, most: float) -> float:
    return max(_LARGEST * math.sqrt(parameters / most), _SMALLEST)


def _legend(figure: Figure, axes: Axes, most: float) -> None:
    """What three areas mean, the largest a round number near the most."""
    top = 10 ** math.floor(math.log10(most))
    top *= max(step for step in (1, 2, 5) if step * top <= most)
    counts = [top, top / 5, top / 25]
    marks = [
        axes.scatter([], [], s=(2 * _radius(count, most)) ** 2, color=RIGHT, alpha=0.35, linewidths=0)
        for count in counts
    ]
    write = EngFormatter(sep=_SPACE)
    figure.legend(
        marks,
        [f"{write(count)} parameters" for count in counts],
        loc="outside upper left",
        ncols=3,
        borderpad=0.8,
        handletextpad=1.6,
    )
