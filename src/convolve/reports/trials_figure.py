"""Figures of several trainings: what the parts of a recipe are worth, and a metric over the values that were tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from convolve.fonts import plot_label
from convolve.reports.colors import INK, MUTED, RIGHT
from convolve.reports.drawing import style, use_log_scale

Bar = tuple[str, float, tuple[float, float] | None]
"""A name, a value and the two ends of its interval, if it has one."""
Points = Sequence[tuple[float, Sequence[float]]]
"""A value that was tried, and the metric of each seed."""


def worth_figure(bars: Sequence[Bar], metric: str) -> Figure:
    """A bar for each part of a recipe: the points that ``metric``, from 0 to 1, loses without it, with its interval."""
    with style():
        figure = Figure(figsize=(6.0, 1.0 + 0.32 * max(len(bars), 1)), layout="constrained")
        axes = figure.add_subplot()
        rows = range(len(bars))
        axes.barh(rows, [100 * value for _, value, _ in bars], color=RIGHT, alpha=0.45, height=0.6)
        for row, (_, _, interval) in zip(rows, bars, strict=True):
            if interval:
                axes.plot([100 * end for end in interval], [row, row], color=INK, linewidth=1.2)
        axes.axvline(0, color=MUTED, linewidth=0.8)
        axes.set_yticks(rows, [plot_label(name, 40) for name, _, _ in bars])
        axes.invert_yaxis()
        axes.set_xlabel(f"worth in points of {metric}")
        axes.grid(visible=True, axis="x")
    return figure


def sweep_figure(lines: Mapping[str, Points], option: str, metric: str, logarithmic: bool) -> Figure:
    """A line for each name: the mean of ``metric``, from 0 to 1, over an option's values, and each seed as a dot."""
    with style():
        figure = Figure(figsize=(6.0, 4.0), layout="constrained")
        axes = figure.add_subplot()
        for number, (name, points) in enumerate(lines.items()):
            color = f"C{number % 10}"
            means = [100 * sum(scores) / len(scores) for _, scores in points]
            axes.plot([value for value, _ in points], means, color=color, label=plot_label(name, 40) or None)
            for value, scores in points:
                axes.scatter([value] * len(scores), [100 * score for score in scores], s=12, color=color)
        if logarithmic:
            use_log_scale(axes, "x")
        ticks = sorted({value for points in lines.values() for value, _ in points})
        axes.set_xticks(ticks, [f"{value:g}" for value in ticks])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set(xlabel=plot_label(option, 40), ylabel=f"{metric}, validation (%)")
        axes.grid(visible=True)
        if any(lines):
            figure.legend(loc="outside lower center", ncols=3)
    return figure
