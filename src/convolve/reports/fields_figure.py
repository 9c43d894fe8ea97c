"""What units see, drawn on the image: the theoretical and the effective receptive field, stage by stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Patch, Rectangle

from convolve.fonts import plot_label
from convolve.reports.colors import CELL, INK, LINE, PAPER, RIGHT, WRONG
from convolve.reports.drawing import style
from convolve.values import Floats, Indices, Pixels

_DARKEST = 1e-3


@dataclass(frozen=True)
class Field:
    """One unit: its stage, the boxes (4,) left, top, right, bottom in pixels, and its ``slopes`` (H, W), 0 to 1."""

    stage: str
    theoretical: Indices
    effective: Indices
    slopes: Floats


def fields_figure(image: Pixels, fields: Sequence[Field], title: str) -> Figure:
    """An image with each unit's boxes, over how much each pixel counts for it (logarithmic).

    The image (h, w, 1 or 3) fills the frame of the slopes, and may be finer. The view is as wide as the widest box,
    at most three images wide; what lies beyond the image is padding.
    """
    with style():
        single = len(fields) == 1  # its two panels stand side by side
        size = (7.4, 3.9) if single else (max(5.2, 2.3 * len(fields) + 0.9), 5.6)
        figure = Figure(figsize=size, layout="constrained")
        figure.suptitle(plot_label(title, 80), fontsize=10)
        grid = figure.subplots(1, 2).reshape(2, 1) if single else figure.subplots(2, len(fields))
        view = _view(fields)
        for place, field in enumerate(fields):
            _picture(grid[0, place], image, field, view)
            shown = _slopes(grid[1, place], field, view)
        bar = figure.colorbar(
            shown,
            ax=list(grid.flat),
            shrink=0.9 if single else 0.46,
            anchor=(0, 0),
            aspect=16,
            pad=0.02,
            ticks=[-3, -2, -1, 0],
        )
        bar.ax.set_yticklabels(["0.001", "0.01", "0.1", "1"])
        bar.set_label("slope, share of the steepest")
        bar.outline.set_visible(False)
        figure.legend(handles=_keys(), loc="outside lower center", ncols=3)
    return figure


def _picture(axes: Axes, image: Pixels, field: Field, view: tuple[float, float, float, float]) -> None:
    height, width = field.slopes.shape
    gray = image.shape[-1] == 1
    axes.imshow(image[..., 0] if gray else image, cmap="gray", extent=(0, width, height, 0), vmin=0, vmax=255)
    sides = field.theoretical[2:] - field.theoretical[:2]
    effective = field.effective[2:] - field.effective[:2]
    axes.set_title(
        f"{plot_label(field.stage)}\nsees {sides[0]}×{sides[1]}, effective {effective[0]}×{effective[1]}", fontsize=8.5
    )
    _frame(axes, field, view)


def _slopes(axes: Axes, field: Field, view: tuple[float, float, float, float]) -> AxesImage:
    height, width = field.slopes.shape
    depth = np.log10(np.maximum(field.slopes, _DARKEST))
    shown = axes.imshow(depth, cmap="viridis", vmin=-3, vmax=0, extent=(0, width, height, 0))
    _frame(axes, field, view)
    return shown


def _frame(axes: Axes, field: Field, view: tuple[float, float, float, float]) -> None:
    for box, color, width in (
        (field.theoretical, WRONG, 3.4),
        (field.effective, PAPER, 2.2),
        (field.effective, RIGHT, 1.3),
    ):
        left, top, right, bottom = box.tolist()
        shape = Rectangle((left, top), right - left, bottom - top, fill=False, edgecolor=color, linewidth=width)
        axes.add_patch(shape)
    axes.set(xlim=view[:2], ylim=view[:1:-1], xticks=[], yticks=[])
    axes.set_facecolor(CELL)
    axes.spines[:].set(visible=True, color=LINE)


def _view(fields: Sequence[Field]) -> tuple[float, float, float, float]:
    """Left, right, top and bottom of what is shown, with a little air."""
    height, width = fields[0].slopes.shape
    boxes = np.stack([field.theoretical for field in fields])
    low = np.maximum(np.minimum(boxes[:, :2].min(0), 0), [-width, -height])
    high = np.minimum(np.maximum(boxes[:, 2:].max(0), [width, height]), [2 * width, 2 * height])
    air = 0.03 * float((high - low).max())
    return float(low[0] - air), float(high[0] + air), float(low[1] - air), float(high[1] + air)


def _keys() -> list[Patch]:
    return [
        Patch(facecolor="none", edgecolor=WRONG, linewidth=3, label="theoretical field"),
        Patch(facecolor="none", edgecolor=RIGHT, linewidth=1.6, label="effective field"),
        Patch(facecolor=CELL, edgecolor=INK, linewidth=0.4, label="padding beyond the image"),
    ]
