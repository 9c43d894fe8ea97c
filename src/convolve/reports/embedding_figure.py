"""Images as points, near where the network finds them alike: colored by class, or as the pictures themselves."""

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

_MARKS = ("o", "s", "^", "D", "v", "P", "X", "*")
_PICTURE = 20  # points (1/72 inch) along a picture
_INCHES = 7.5


def points_figure(panels: Sequence[tuple[str, Floats]], labels: Indices, classes: Sequence[str]) -> Figure:
    """Panels of a title and points (N, 2), side by side; ``labels`` (N,) are their classes.

    Ten colors, then the same with other marks.
    """
    present = np.unique(labels).tolist()
    columns = min(len(present), 10)
    rows = -(-len(present) // columns)
    with style():
        figure = Figure(figsize=(5.2 * len(panels), 5.0 + 0.22 * rows), layout="constrained")
        for axes, (title, points) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            for place in present:
                own = points[labels == place]
                axes.scatter(own[:, 0], own[:, 1], s=22, marker=_mark(place), label=plot_label(classes[place], 18))
                axes.collections[-1].set(color=_color(place), edgecolor=PAPER, linewidth=0.4)
            _plain(axes, title)
        handles, names = axes.get_legend_handles_labels()
        across = _columns([plot_label(classes[place], 18) for place in present], 5.2 * len(panels))
        figure.legend(handles, names, loc="outside lower center", ncols=across, markerscale=1.4)
    return figure


def pictures_figure(title: str, points: Floats, pictures: Pixels, labels: Indices, classes: Sequence[str]) -> Figure:
    """Points (N, 2), as many of them as find room as pictures (N, H, W, 1 or 3) in a frame of their class's color."""
    present = np.unique(labels).tolist()
    with style():
        figure = Figure(figsize=(_INCHES, _INCHES + 0.4), layout="constrained")
        axes = figure.add_subplot()
        axes.scatter(points[:, 0], points[:, 1], s=7, c=[_color(label) for label in labels.tolist()], linewidths=0)
        for place in _apart(points):
            shown = OffsetImage(_small(pictures[place]), zoom=0.5, interpolation="nearest")
            frame = {"edgecolor": _color(int(labels[place])), "linewidth": 1.6, "boxstyle": "square,pad=0.08"}
            center = float(points[place, 0]), float(points[place, 1])
            axes.add_artist(AnnotationBbox(shown, center, pad=0.1, bboxprops=frame))
        _plain(axes, title)
        axes.margins(0.06)
        names = [plot_label(classes[place], 18) for place in present]
        handles = [axes.scatter([], [], s=40, marker="s", color=_color(place)) for place in present]
        figure.legend(handles, names, loc="outside lower center", ncols=_columns(names, _INCHES))
    return figure


def _apart(points: Floats) -> list[int]:
    """The points, first come first served, that leave each other room for a picture."""
    spans = np.maximum(np.ptp(points, axis=0), 1e-12)
    room = points / spans * (_INCHES * 72 * 0.9) / (_PICTURE * 1.2)
    kept: list[int] = []
    for place in range(len(room)):
        if not kept or (np.abs(room[kept] - room[place]).max(1) >= 1).all():
            kept.append(place)
    return kept


def _plain(axes: Axes, title: str) -> None:
    axes.set_title(plot_label(title, 60), fontsize=10)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(visible=True, color=LINE)


def _columns(names: Sequence[str], inches: float) -> int:
    """How many names of a legend go beside each other."""
    widest = max(sum(2 if ord(letter) > 0x2FF else 1 for letter in name) for name in names)
    return max(1, min(len(names), int(inches / (0.075 * widest + 0.4))))


def _small(picture: Pixels) -> Pixels:
    """The picture's longer side at twice the size at which it is drawn."""
    image = Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture).convert("RGB")
    scale = 2 * _PICTURE / max(image.size)
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    return np.asarray(image.resize(size, Image.Resampling.LANCZOS))


def _color(place: int) -> tuple[float, float, float]:
    red, green, blue = mpl.colormaps["tab10"](place % 10)[:3]
    return red, green, blue


def _mark(place: int) -> str:
    return _MARKS[place // 10 % len(_MARKS)]
