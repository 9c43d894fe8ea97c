"""Receptive fields drawn on the image: the theoretical and the effective one, stage by stage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

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


class Field(Protocol):
    """The receptive field of one unit, as `convolve.explainers.receptive_fields` computes it."""

    @property
    def stage(self) -> str:
        """The unit's stage."""
        ...

    @property
    def theoretical(self) -> Indices:
        """(4,) left, top, right, bottom in pixels."""
        ...

    @property
    def effective(self) -> Indices:
        """(4,) left, top, right, bottom in pixels."""
        ...

    @property
    def gradients(self) -> Floats:
        """(H, W), from 0 to 1."""
        ...


def fields_figure(image: Pixels, fields: Sequence[Field], title: str) -> Figure:
    """An image with each unit's boxes, over how much each pixel counts for it (logarithmic).

    The image (h, w, 1 or 3) covers the same area as the gradients, and may be finer. The view is as wide as the widest
    box, at most three images wide; what lies beyond the image is padding.
    """
    with style():
        single = len(fields) == 1  # its two panels are side by side
        size = (7.4, 3.9) if single else (max(5.2, 2.3 * len(fields) + 0.9), 5.6)
        figure = Figure(figsize=size, layout="constrained")
        figure.suptitle(plot_label(title, 80), fontsize=10)
        grid = figure.subplots(1, 2).reshape(2, 1) if single else figure.subplots(2, len(fields))
        view = _view(fields)
        for index, field in enumerate(fields):
            _draw_image(grid[0, index], image, field, view)
            heights = _draw_gradients(grid[1, index], field, view)
        bar = figure.colorbar(
            heights,
            ax=list(grid.flat),
            shrink=0.9 if single else 0.46,
            anchor=(0, 0),
            aspect=16,
            pad=0.02,
            ticks=[-3, -2, -1, 0],
        )
        bar.ax.set_yticklabels(["0.001", "0.01", "0.1", "1"])
        bar.set_label("gradient, fraction of the largest")
        bar.outline.set_visible(False)
        figure.legend(handles=_keys(), loc="outside lower center", ncols=3)
    return figure


def _draw_image(axes: Axes, image: Pixels, field: Field, view: tuple[float, float, float, float]) -> None:
    height, width = field.gradients.shape
    gray = image.shape[-1] == 1
    axes.imshow(image[..., 0] if gray else image, cmap="gray", extent=(0, width, height, 0), vmin=0, vmax=255)
    sides = field.theoretical[2:] - field.theoretical[:2]
    effective = field.effective[2:] - field.effective[:2]
    axes.set_title(
        f"{plot_label(field.stage)}\nfield {sides[0]}×{sides[1]}, effective {effective[0]}×{effective[1]}", fontsize=8.5
    )
    _draw_boxes(axes, field, view)


def _draw_gradients(axes: Axes, field: Field, view: tuple[float, float, float, float]) -> AxesImage:
    height, width = field.gradients.shape
    magnitude = np.log10(np.maximum(field.gradients, _DARKEST))
    drawn = axes.imshow(magnitude, cmap="viridis", vmin=-3, vmax=0, extent=(0, width, height, 0))
    _draw_boxes(axes, field, view)
    return drawn


def _draw_boxes(axes: Axes, field: Field, view: tuple[float, float, float, float]) -> None:
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
    height, width = fields[0].gradients.shape
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
