"""A class's score as the sum that it is: which places and channels add to it, and which take away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from convolve.fonts import plot_label
from convolve.reports.colors import INK, LINE, MUTED, RIGHT, WRONG
from convolve.reports.drawing import style
from convolve.reports.ramps import diverging
from convolve.values import Floats, Pixels

_LARGEST = 10
"""Channels that get a bar of their own; the others' sum is one bar."""


@dataclass(frozen=True)
class ScoreSum:
    """One image (H, W, 1 or 3) and class: ``values`` (channels, h, w) or (features,) and ``bias`` make ``score``."""

    picture: Pixels
    label: str
    values: Floats
    bias: float
    score: float


def contributions_figure(sums: Sequence[ScoreSum], title: str) -> Figure:
    """A row for each sum: the image, its places where the values have some, and its largest channels as bars."""
    placed = sums[0].values.ndim == 3
    with style():
        figure = Figure(figsize=(9.4 if placed else 7.2, 0.5 + 3.0 * len(sums)), layout="constrained")
        figure.suptitle(plot_label(title, 100), fontsize=10)
        widths = [1, 1, 1.9] if placed else [1, 1.9]
        grid = figure.subplots(len(sums), len(widths), squeeze=False, gridspec_kw={"width_ratios": widths})
        for axes, one in zip(grid, sums, strict=True):
            _picture(axes[0], one)
            if placed:
                _places(axes[1], one)
            _bars(axes[-1], one)
        grid[0, -1].set_title("what adds up to the score", fontsize=9)
    return figure


def _picture(axes: Axes, one: ScoreSum) -> None:
    gray = one.picture.shape[-1] == 1
    axes.imshow(one.picture[..., 0] if gray else one.picture, cmap="gray", vmin=0, vmax=255)
    axes.set_title(f"{plot_label(one.label, 24)}: score {_rounded(one.score)}", fontsize=9)
    axes.set_axis_off()


def _places(axes: Axes, one: ScoreSum) -> None:
    """The sum over the channels at each place, as large as the place is in the image; white is 0."""
    height, width = one.picture.shape[:2]
    places = one.values.sum(0)
    end = float(np.abs(places).max()) or 1.0
    axes.imshow(diverging(places / end), extent=(0, width, height, 0), interpolation="nearest")
    axes.set_title(f"places, from {_rounded(places.min())} to {_rounded(places.max())}", fontsize=9)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(visible=True, color=LINE)


def _bars(axes: Axes, one: ScoreSum) -> None:
    channels = one.values.reshape(len(one.values), -1).sum(1)
    largest = np.argsort(-np.abs(channels), kind="stable")[:_LARGEST]
    largest = largest[np.argsort(-channels[largest], kind="stable")]
    kind = "channel" if one.values.ndim == 3 else "feature"
    rows = [(f"{kind} {place}", float(channels[place])) for place in largest.tolist()]
    others = len(channels) - len(largest)
    rows += [(f"{others} others", float(channels.sum() - channels[largest].sum()))] if others else []
    rows += [("bias", one.bias)]
    ends = np.cumsum([value for _, value in rows])
    starts = ends - [value for _, value in rows]
    for place, ((_, value), start) in enumerate(zip(rows, starts.tolist(), strict=True)):
        axes.barh(place, value, 0.66, start, color=WRONG if value > 0 else RIGHT)
        axes.text(max(start, start + value), place, f" {_rounded(value, '+')}", va="center", fontsize=7, color=MUTED)
    axes.barh(len(rows), one.score, 0.66, color=INK)
    axes.text(max(one.score, 0), len(rows), f" {_rounded(one.score)}", va="center", fontsize=7.5, color=INK)
    axes.axvline(0, color=MUTED, linewidth=0.8)
    axes.set_yticks(range(len(rows) + 1), [*(name for name, _ in rows), "score"], fontsize=7.5)
    axes.set_ylim(len(rows) + 0.6, -0.6)
    low, high = min(0.0, float(ends.min())), max(0.0, one.score, float(ends.max()), float(starts.max()))
    axes.set_xlim(low - (0.04 * (high - low) if low < 0 else 0), high + 0.14 * (high - low))
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def _rounded(value: float, sign: str = "-") -> str:
    return format(round(float(value), 2) + 0.0, f"{sign}.2f").replace("-", "\N{MINUS SIGN}")
