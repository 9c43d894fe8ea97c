"""A class's score as a sum: which positions and channels add to it, and which subtract."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from convolve.fonts import plot_label
from convolve.reports.colors import INK, LINE, MUTED, RIGHT, WRONG, diverging_colors
from convolve.reports.drawing import style
from convolve.values import Floats, Pixels

_LARGEST = 10
"""Channels that get a bar of their own; the others' sum is one bar."""


@dataclass(frozen=True)
class ScoreSum:
    """One image (H, W, 1 or 3) and class: ``values`` (channels, h, w) or (features,) and ``bias`` make ``score``."""

    image: Pixels
    label: str
    values: Floats
    bias: float
    score: float


def contributions_figure(sums: Sequence[ScoreSum], title: str) -> Figure:
    """A row for each sum: the image, its positions where the values have some, and its largest channels as bars."""
    spatial = sums[0].values.ndim == 3
    with style():
        figure = Figure(figsize=(9.4 if spatial else 7.2, 0.5 + 3.0 * len(sums)), layout="constrained")
        figure.suptitle(plot_label(title, 100), fontsize=10)
        widths = [1, 1, 1.9] if spatial else [1, 1.9]
        grid = figure.subplots(len(sums), len(widths), squeeze=False, gridspec_kw={"width_ratios": widths})
        for axes, one in zip(grid, sums, strict=True):
            _draw_image(axes[0], one)
            if spatial:
                _draw_positions(axes[1], one)
            _draw_bars(axes[-1], one)
        grid[0, -1].set_title("what adds up to the score", fontsize=9)
    return figure


def _draw_image(axes: Axes, one: ScoreSum) -> None:
    gray = one.image.shape[-1] == 1
    axes.imshow(one.image[..., 0] if gray else one.image, cmap="gray", vmin=0, vmax=255)
    axes.set_title(f"{plot_label(one.label, 24)}: score {_format(one.score)}", fontsize=9)
    axes.set_axis_off()


def _draw_positions(axes: Axes, one: ScoreSum) -> None:
    """The sum over the channels at each position, as large as the position is in the image; white is 0."""
    height, width = one.image.shape[:2]
    positions = one.values.sum(0)
    end = float(np.abs(positions).max()) or 1.0
    axes.imshow(diverging_colors(positions / end), extent=(0, width, height, 0), interpolation="nearest")
    axes.set_title(f"positions, from {_format(positions.min())} to {_format(positions.max())}", fontsize=9)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(visible=True, color=LINE)


def _draw_bars(axes: Axes, one: ScoreSum) -> None:
    channels = one.values.reshape(len(one.values), -1).sum(1)
    largest = np.argsort(-np.abs(channels), kind="stable")[:_LARGEST]
    largest = largest[np.argsort(-channels[largest], kind="stable")]
    kind = "channel" if one.values.ndim == 3 else "feature"
    rows = [(f"{kind} {index}", float(channels[index])) for index in largest.tolist()]
    rest = len(channels) - len(largest)
    rows += [(f"{rest} others", float(channels.sum() - channels[largest].sum()))] if rest else []
    rows += [("bias", one.bias)]
    ends = np.cumsum([value for _, value in rows])
    starts = ends - [value for _, value in rows]
    for row, ((_, value), start) in enumerate(zip(rows, starts.tolist(), strict=True)):
        axes.barh(row, value, 0.66, start, color=WRONG if value > 0 else RIGHT)
        axes.text(max(start, start + value), row, f" {_format(value, '+')}", va="center", fontsize=7, color=MUTED)
    axes.barh(len(rows), one.score, 0.66, color=INK)
    axes.text(max(one.score, 0), len(rows), f" {_format(one.score)}", va="center", fontsize=7.5, color=INK)
    axes.axvline(0, color=MUTED, linewidth=0.8)
    axes.set_yticks(range(len(rows) + 1), [*(name for name, _ in rows), "score"], fontsize=7.5)
    axes.set_ylim(len(rows) + 0.6, -0.6)
    low, high = min(0.0, float(ends.min())), max(0.0, one.score, float(ends.max()), float(starts.max()))
    axes.set_xlim(low - (0.04 * (high - low) if low < 0 else 0), high + 0.14 * (high - low))
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def _format(value: float, sign: str = "-") -> str:
    return format(round(float(value), 2) + 0.0, f"{sign}.2f").replace("-", "\N{MINUS SIGN}")
