"""Accuracy against what it costs.

After Canziani, Paszke, Culurciello 2016, "An analysis of deep neural network models for practical applications",
figure 2: operations to the right, accuracy upwards, parameters as areas.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, NullLocator
from matplotlib.transforms import Bbox

from convolve.fonts import plot_label
from convolve.reports.colors import INK, MUTED, RIGHT
from convolve.reports.drawing import style, use_log_scale

_LARGEST, _SMALLEST, _MANY = 17.0, 2.5, 12
_SPACE = "\N{NO-BREAK SPACE}"
_FONT_SIZE = 8.0
_DIRECTIONS = ((1, 0), (0, 1), (-1, 0), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))
_FAR_DIRECTIONS = (
    *_DIRECTIONS,
    *((0.5, 1), (-0.5, 1), (0.5, -1), (-0.5, -1), (1, 0.5), (-1, 0.5), (1, -0.5), (-1, -0.5)),
)


@dataclass(frozen=True)
class CostPoint:
    """A network: its accuracy or another metric from 0 to 1, and multiply-adds, seconds and parameters, all above 0."""

    name: str
    accuracy: float
    macs: float
    seconds: float
    parameters: float


@dataclass(frozen=True)
class CostGroup:
    """Networks that were measured by the same ``metric`` on the same data, whose name is ``data``."""

    data: str
    points: Sequence[CostPoint]
    metric: str = "accuracy"


def cost_figure(groups: Sequence[CostGroup]) -> Figure:
    """A row of panels for each group: accuracy against multiply-adds and against time per image, logarithmic.

    Areas are parameters, on one scale in all panels; a network with few still has a dot that can be seen.
    """
    most = max(point.parameters for group in groups for point in group.points)
    heights = [4.0 if len(group.points) <= _MANY else 6.5 for group in groups]
    width = 5.2 if max(heights) == 4 else 7.5
    with style():
        figure = Figure(figsize=(2 * width, sum(heights)), layout="constrained")
        grid = figure.subplots(len(groups), 2, squeeze=False, height_ratios=heights)
        _draw_legend(figure, grid[0][0], most)
        panels: list[tuple[Axes, CostGroup, list[float]]] = []
        for (left, right), group in zip(grid, groups, strict=True):
            left.set_xlabel("multiply-adds of one image")
            right.set_xlabel("time per image")
            panels.append((left, group, [point.macs for point in group.points]))
            panels.append((right, group, [point.seconds for point in group.points]))
        for position, (axes, group, costs) in enumerate(panels):
            use_log_scale(axes, "x", EngFormatter("s" if position % 2 else "", sep=_SPACE))
            _draw_points(axes, group, costs, most)
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        for axes, group, costs in panels:
            points = np.array([(cost, point.accuracy) for cost, point in zip(costs, group.points, strict=True)])
            radii = [_radius(point.parameters, most) for point in group.points]
            name_points(figure, axes, points, [point.name for point in group.points], radii)
    return figure


def _draw_points(axes: Axes, group: CostGroup, costs: Sequence[float], most: float) -> None:
    heights = [point.accuracy for point in group.points]
    areas = [(2 * _radius(point.parameters, most)) ** 2 for point in group.points]
    axes.scatter(costs, heights, s=areas, color=RIGHT, alpha=0.35, linewidths=0, zorder=3, clip_on=False)
    axes.scatter(costs, heights, s=4, color=INK, linewidths=0, zorder=4, clip_on=False)
    axes.set_title(plot_label(group.data, 60), loc="left", fontsize=9, color=MUTED)
    axes.set(ylabel=group.metric, xlim=(min(costs) / 2.2, max(costs) * 2.2))
    axes.margins(y=0.25 if len(costs) <= _MANY else 0.1)
    axes.set_ylim(top=min(axes.get_ylim()[1], 1.0))
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if max(costs) / min(costs) < 30 else (1,)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(lambda fraction, _: f"{100 * fraction:.4g} %")
    axes.grid(visible=True)


def _radius(parameters: float, most: float) -> float:
    return max(_LARGEST * math.sqrt(parameters / most), _SMALLEST)


def _draw_legend(figure: Figure, axes: Axes, most: float) -> None:
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


def name_points(
    figure: Figure, axes: Axes, points: npt.NDArray[np.float64], names: Sequence[str], radii: Sequence[float]
) -> None:
    """Write each name near its point (N, 2, data coordinates), with a thin line where it is further away.

    ``radii`` (N) are those of the points in typographic points; small ones are named first. No name overlaps a point or
    another name; one that finds no free position within 140 points of its own is left out.
    """
    figure.draw_without_rendering()
    dots, scale = axes.transData.transform(points), figure.dpi / 72
    sizes = [scale * radius for radius in radii]
    taken = [Bbox.from_bounds(x - r, y - r, 2 * r, 2 * r) for (x, y), r in zip(dots, sizes, strict=True)]
    for index in sorted(range(len(names)), key=lambda index: sizes[index]):
        text = axes.text(0, 0, plot_label(names[index]), fontsize=_FONT_SIZE)
        extent = text.get_window_extent()
        text.remove()
        for far, offset, box in _positions(dots[index], sizes[index] / scale, (extent.width, extent.height), scale):
            frame = axes.bbox
            inside = frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1
            if inside and not any(box.overlaps(other) for other in taken):
                taken.append(box)
                line = {"arrowstyle": "-", "color": MUTED, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 3}
                axes.annotate(
                    plot_label(names[index]),
                    (float(points[index, 0]), float(points[index, 1])),
                    xytext=offset,
                    textcoords="offset points",
                    ha="center",
                    va="center",
                    fontsize=_FONT_SIZE,
                    color=INK,
                    arrowprops=line if far else None,
                ).set_in_layout(False)
                break


def _positions(
    dot: npt.NDArray[np.float64], radius: float, extent: tuple[float, float], scale: float
) -> Iterator[tuple[bool, tuple[float, float], Bbox]]:
    """Positions around a dot, nearest first: whether a line must lead there, offset in points, box in pixels."""
    width, height = extent
    for distance in (4, 11, 19, 29, 42, 57, 75, 95, 115, 137):
        for right, up in _DIRECTIONS if distance < 19 else _FAR_DIRECTIONS:
            x = right * ((radius + distance) * scale + width / 2)
            y = up * ((radius + distance) * scale + height / 2)
            corner = dot[0] + x - width / 2, dot[1] + y - height / 2
            yield distance > 11, (x / scale, y / scale), Bbox.from_bounds(*corner, width, height)
