"""The winners of a challenge: their errors as bars by year, next to a person's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from convolve.reports.colors import INK, MUTED, RIGHT, WRONG
from convolve.reports.drawing import style

_ABOVE = 0.5


@dataclass(frozen=True)
class WinnerBar:
    """A year's winner: error in per cent, what is written below and above the bar, and whether it was a convolutional
    network.
    """

    error: float
    below: str
    above: str
    is_convolutional: bool


def winners_figure(bars: Sequence[WinnerBar], human: float) -> Figure:
    """A bar for each year; convolutional networks have another color. A person's error is a line."""
    with style():
        figure = Figure(figsize=(8.8, 3.9), layout="constrained")
        axes = figure.subplots()
        for is_convolutional, color, name in ((False, MUTED, "features and SVMs"), (True, RIGHT, "convolutional")):
            drawn = {index: bar.error for index, bar in enumerate(bars) if bar.is_convolutional == is_convolutional}
            axes.bar(list(drawn), list(drawn.values()), 0.62, color=color, alpha=0.6, linewidth=0, label=name)
        for position, bar in enumerate(bars):
            height = max(bar.error, human if bar.error < human else 0) + _ABOVE  # not across the line
            axes.text(position, height, bar.above, ha="center", va="bottom", color=INK)
        axes.axhline(human, color=WRONG, linewidth=1, linestyle="--", zorder=0)
        axes.text(len(bars) - 0.45, human + _ABOVE / 2, f"a person\n{human} %", color=WRONG, va="bottom")
        axes.set_xticks(range(len(bars)), [bar.below for bar in bars])
        axes.tick_params(axis="x", length=0)
        most = max(bar.error for bar in bars)
        axes.set(ylabel="top-5 error on the test set, %", ylim=(0, 1.15 * most), xlim=(-0.5, len(bars) + 0.2))
        axes.set_title("Winners of ILSVRC, classification", loc="left", fontsize=10)
        axes.legend(loc="upper right")
    return figure
