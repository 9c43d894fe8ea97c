"""Names beside the points of a scatter plot, none on top of another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from convolve.reports.colours import INK, MUTED
from convolve.reports.fonts import legible

_SIZE = 8.0
_SIDES = ((1, 0), (0, 1), (-1, 0), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))


def name_points(figure: Figure, axes: Axes, points: npt.NDArray[np.float64], names: Sequence[str]) -> None:
    """Write each name near its point (N, 2, data coordinates), with a thin line where it must stand further off.

    A name that finds no free place within 60 points of its own is left out.
    """
    figure.draw_without_rendering()
    dots = axes.transData.transform(points)
    taken = [Bbox.from_bounds(x - 5, y - 5, 10, 10) for x, y in dots]
    for point, dot, name in zip(points, dots, names, strict=True):
        width, height = _extent(axes, legible(name))
        for far, offset, box in _places(dot, width, height, figure.dpi / 72):
            if axes.bbox.containsx(box.x0) and axes.bbox.containsx(box.x1) and _free(box, axes.bbox, taken):
                taken.append(box)
                _write(axes, legible(name), point, offset, far)
                break


def _extent(axes: Axes, name: str) -> tuple[float, float]:
    text = axes.text(0, 0, name, fontsize=_SIZE)
    box = text.get_window_extent()
    text.remove()
    return box.width, box.height


def _places(
    dot: npt.NDArray[np.float64], width: float, height: float, scale: float
) -> Iterator[tuple[bool, tuple[float, float], Bbox]]:
    """Places around a dot, nearest first: whether a line must lead there, the offset in points, the box in pixels."""
    for distance in (7, 14, 22, 32, 45, 60):
        for right, up in _SIDES:
            x = right * (distance * scale + width / 2)
            y = up * (distance * scale + height / 2)
            corner = dot[0] + x - width / 2, dot[1] + y - height / 2
            yield distance > 14, (x / scale, y / scale), Bbox.from_bounds(*corner, width, height)


def _free(box: Bbox, frame: Bbox, taken: Sequence[Bbox]) -> bool:
    return frame.y0 <= box.y0 and box.y1 <= frame.y1 and not any(box.overlaps(other) for other in taken)


def _write(axes: Axes, name: str, point: npt.NDArray[np.float64], offset: tuple[float, float], far: bool) -> None:
    line = {"arrowstyle": "-", "color": MUTED, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 3} if far else None
    axes.annotate(
        name,
        (float(point[0]), float(point[1])),
        xytext=offset,
        textcoords="offset points",
        ha="center",
        va="center",
        fontsize=_SIZE,
        color=INK,
        arrowprops=line,
    ).set_in_layout(False)
