"""The figure of a claim: what each of its seeds gave."""

from __future__ import annotations

import statistics

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from convolve.experiments.claim import Claim
from convolve.experiments.findings import Finding
from convolve.fonts import plot_label
from convolve.reports.colors import INK, MUTED, RIGHT, WRONG, mix
from convolve.reports.drawing import style

_LONGEST = 40


def claim_figure(claim: Claim, finding: Finding) -> Figure:
    """Curves against the claim's axes, thin for each seed, bold for their mean where they share their x; else a bar for
    each value, the mean of the seeds, which are dots.
    """
    outcome = finding.seeds[0].outcome
    with style():
        height = 3.0 if outcome.curves else 0.8 + 0.34 * len(outcome.values)
        figure = Figure(figsize=(6.4, height), layout="constrained")
        axes = figure.add_subplot()
        if outcome.curves:
            _curves(axes, claim, finding)
        else:
            _bars(axes, claim, finding)
    return figure


def _bars(axes: Axes, claim: Claim, finding: Finding) -> None:
    names = list(finding.seeds[0].outcome.values)
    for row, name in enumerate(names):
        numbers = [seed.outcome.values[name] for seed in finding.seeds]
        axes.barh(row, statistics.fmean(numbers), height=0.62, color=RIGHT, alpha=0.35)
        axes.plot(numbers, [row] * len(numbers), "o", color=INK, markersize=3)
    axes.set_yticks(range(len(names)), [plot_label(name, _LONGEST) for name in names])
    axes.invert_yaxis()
    axes.set_xlabel(plot_label(claim.value, 80))
    axes.grid(visible=True, axis="x")


def _curves(axes: Axes, claim: Claim, finding: Finding) -> None:
    names = list(finding.seeds[0].outcome.curves)
    colors = mix(RIGHT, WRONG, [row / max(len(names) - 1, 1) for row in range(len(names))])
    for name, color in zip(names, colors, strict=True):
        lines = [seed.outcome.curves[name] for seed in finding.seeds if name in seed.outcome.curves]
        for points in lines:
            axes.plot(*zip(*points, strict=True), color=color, linewidth=0.6, alpha=0.5)
        xs = [[x for x, _ in points] for points in lines]
        if all(each == xs[0] for each in xs):
            means = [
                statistics.fmean(values) for values in zip(*([y for _, y in points] for points in lines), strict=True)
            ]
            axes.plot(xs[0], means, color=color, linewidth=1.6, label=plot_label(name, _LONGEST))
        else:
            axes.plot([], [], color=color, linewidth=1.6, label=plot_label(name, _LONGEST))
    axes.set_xlabel(plot_label(claim.axes[0], 80))
    axes.set_ylabel(plot_label(claim.axes[1], 40), color=MUTED)
    axes.legend()
    axes.grid(visible=True)
