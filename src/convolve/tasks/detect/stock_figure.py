"""The number of objects over time, a panel for each region and a curve for each class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from convolve.datasets.class_colors import class_color
from convolve.fonts import plot_label
from convolve.reports.drawing import UNTRANSLATED, style
from convolve.tasks.detect.stock import Stock

_MOST_CURVES = 10


def stock_figure(series: Sequence[Stock]) -> Figure:
    """Stock in the order of time, one entry or more. A dashed line is a minimum. Classes that never occur and have no
    minimum have no curve; of more than ten, those with the most objects have one.
    """
    regions, names = series[0].regions, tuple(series[0].counts[0])
    totals = {name: sum(counts[name] for stock in series for counts in stock.counts) for name in names}
    wanted = {name for region in regions for name in region.minimums}
    ranked = sorted((name for name in names if totals[name] or name in wanted), key=lambda name: -totals[name])
    ranked.sort(key=lambda name: name not in wanted)
    curves = ranked[:_MOST_CURVES]
    with style():
        figure = Figure(figsize=(7, 0.6 + 1.5 * len(regions)), layout="constrained")
        panels = figure.subplots(len(regions), 1, sharex=True, squeeze=False)[:, 0]
        for index, (region, axes) in enumerate(zip(regions, panels, strict=True)):
            _draw_panel(axes, series, index, {name: names.index(name) for name in curves})
            axes.set_title(plot_label(region.name, 60), loc="left", fontsize=9, gid=UNTRANSLATED)
        locator = AutoDateLocator()  # type: ignore[no-untyped-call]
        panels[-1].xaxis.set_major_locator(locator)
        panels[-1].xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
        figure.supylabel("objects", fontsize=9)
        if curves:
            for text in figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right upper").get_texts():
                text.set_gid(UNTRANSLATED)
    return figure


def _draw_panel(axes: Axes, series: Sequence[Stock], index: int, curves: dict[str, int]) -> None:
    times = np.array([stock.time.moment for stock in series if stock.time], dtype="datetime64[us]")
    for name, number in curves.items():
        color = tuple(value / 255 for value in class_color(number))
        counts = [stock.counts[index][name] for stock in series]
        axes.plot(times, counts, ".-", color=color, linewidth=1.4, label=plot_label(name, 20))
        least = series[0].regions[index].minimums.get(name)
        if least is not None:
            axes.axhline(least, color=color, linewidth=1, linestyle=(0, (4, 3)))
    axes.set_ylim(bottom=0)
    axes.margins(y=0.15)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(visible=True)
