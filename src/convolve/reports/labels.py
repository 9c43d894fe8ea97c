"""Names beside the points of a scatter plot, none on top of another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from convolve.fonts import plot_label
from convolve.reports.colors import INK, MUTED

_SIZE = 8.0
_SIDES = ((1, 0), (0, 1), (-1, 0), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))
_SIDES_FAR = (*_SIDES, (0.5, 1), (-0.5, 1), (0.5, -1), (-0.5, -1), (1, 0.5), (-1, 0.5), (1, -0.5), (-1, -0.5))


def name_points(
    figure: Figure,
    axes: Axes,
    points: npt.NDArray[np.float64],
    names: Sequence[str],
    radii: Sequence[float] | None = None,
) -> None:
    """Write each name near its point (N, 2, data coordinates), with a thin line where it must stand further off.

    ``radii`` (N) are those of the points in points of print, 3 unless given; small ones are named first. A name that
    finds no free index within 140 points of its own is left out.
    """
    figure.draw_without_rendering()
    dots, scale = axes.transData.transform(points), figure.dpi / 72
    sizes = [scale * radius for radius in radii or [3.0] * len(names)]
    taken = [Bbox.from_bounds(x - r, y - r, 2 * r, 2 * r) for (x, y), r in zip(dots, sizes, strict=True)]
    order = sorted(range(len(names)), key=lambda index: sizes[index])
    for point, dot, name, size in ((points[index], dots[index], names[index], sizes[index]) for index in order):
        width, height = _extent(axes, plot_label(name))
        for far, offset, box in _positions(dot, size / scale, (width, height), scale):
            if axes.bbox.containsx(box.x0) and axes.bbox.containsx(box.x1) and _free(box, axes.bbox, taken):
                taken.append(box)
                _write(axes, plot_label(name), point, offset, far)
                break


def _extent(axes: Axes, name: str) -> tuple[float, float]:
    text = axes.text(0, 0, name, fontsize=_SIZE)
    box = text.get_window_extent()
    text.remove()
    return box.width, box.height


def _positions(
    dot: npt.NDArray[np.float64], radius: float, extent: tuple[float, float], scale: float
) -> Iterator[tuple[bool, tuple[float, float], Bbox]]:
    """Places around a dot, nearest first: whether a line must lead there, the offset in points, the box in pixels."""
    width, height = extent
    for distance in (4, 11, 19, 29, 42, 57, 75, 95, 115, 137):
        for right, up in _SIDES if distance < 19 else _SIDES_FAR:
            x = right * ((radius + distance) * scale + width / 2)
            y = up * ((radius + distance) * scale + height / 2)
            corner = dot[0] + x - width / 2, dot[1] + y - height / 2
            yield distance > 11, (x / scale, y / scale), Bbox.from_bounds(*corner, width, height)


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
