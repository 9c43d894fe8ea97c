"""Images as points, near where the network finds them alike: colored by class, or as the images themselves."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from PIL import Image

from convolve.fonts import plot_label
from convolve.reports.colors import LINE, PAPER
from convolve.reports.drawing import style
from convolve.values import Floats, Indices, Pixels

_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
_IMAGE = 20  # points (1/72 inch) along an image
_INCHES = 7.5


def points_figure(panels: Sequence[tuple[str, Floats]], labels: Indices, classes: Sequence[str]) -> Figure:
    """Panels of a title and points (N, 2), side by side; ``labels`` (N,) are their classes.

    Ten colors, then the same with other markers.
    """
    present = np.unique(labels).tolist()
    columns = min(len(present), 10)
    rows = -(-len(present) // columns)
    with style():
        figure = Figure(figsize=(5.2 * len(panels), 5.0 + 0.22 * rows), layout="constrained")
        for axes, (title, points) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            for label in present:
                own = points[labels == label]
                axes.scatter(own[:, 0], own[:, 1], s=22, marker=_marker(label), label=plot_label(classes[label], 18))
                axes.collections[-1].set(color=_color(label), edgecolor=PAPER, linewidth=0.4)
            _label_panel(axes, title)
        handles, names = axes.get_legend_handles_labels()
        across = _columns([plot_label(classes[label], 18) for label in present], 5.2 * len(panels))
        figure.legend(handles, names, loc="outside lower center", ncols=across, markerscale=1.4)
    return figure


def images_figure(title: str, points: Floats, images: Pixels, labels: Indices, classes: Sequence[str]) -> Figure:
    """Points (N, 2), as many of them as fit drawn as images (N, H, W, 1 or 3) in a border of their class's color."""
    present = np.unique(labels).tolist()
    with style():
        figure = Figure(figsize=(_INCHES, _INCHES + 0.4), layout="constrained")
        axes = figure.add_subplot()
        axes.scatter(points[:, 0], points[:, 1], s=7, c=[_color(label) for label in labels.tolist()], linewidths=0)
        for index in _apart(points):
            box = OffsetImage(_resize(images[index]), zoom=0.5, interpolation="nearest")
            frame = {"edgecolor": _color(int(labels[index])), "linewidth": 1.6, "boxstyle": "square,pad=0.08"}
            center = float(points[index, 0]), float(points[index, 1])
            axes.add_artist(AnnotationBbox(box, center, pad=0.1, bboxprops=frame))
        _label_panel(axes, title)
        axes.margins(0.06)
        names = [plot_label(classes[label], 18) for label in present]
        handles = [axes.scatter([], [], s=40, marker="s", color=_color(label)) for label in present]
        figure.legend(handles, names, loc="outside lower center", ncols=_columns(names, _INCHES))
    return figure


def _apart(points: Floats) -> list[int]:
    """The points, first come first served, that leave each other room for an image."""
    spans = np.maximum(np.ptp(points, axis=0), 1e-12)
    positions = points / spans * (_INCHES * 72 * 0.9) / (_IMAGE * 1.2)
    chosen: list[int] = []
    for index in range(len(positions)):
        if not chosen or (np.abs(positions[chosen] - positions[index]).max(1) >= 1).all():
            chosen.append(index)
    return chosen


def _label_panel(axes: Axes, title: str) -> None:
    axes.set_title(plot_label(title, 60), fontsize=10)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(visible=True, color=LINE)


def _columns(names: Sequence[str], inches: float) -> int:
    """How many names of a legend fit next to each other."""
    widest = max(sum(2 if ord(letter) > 0x2FF else 1 for letter in name) for name in names)
    return max(1, min(len(names), int(inches / (0.075 * widest + 0.4))))


def _resize(image: Pixels) -> Pixels:
    """The image's longer side at twice the size at which it is drawn."""
    resized = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).convert("RGB")
    scale = 2 * _IMAGE / max(resized.size)
    size = max(1, round(resized.width * scale)), max(1, round(resized.height * scale))
    return np.asarray(resized.resize(size, Image.Resampling.LANCZOS))


def _color(label: int) -> tuple[float, float, float]:
    red, green, blue = mpl.colormaps["tab10"](label % 10)[:3]
    return red, green, blue


def _marker(label: int) -> str:
    return _MARKERS[label // 10 % len(_MARKERS)]
