"""Outlines of objects as annotation files have them, and the pixels that they cover.

Coordinates count from the outer edge of the first pixel; a pixel is covered where its center lies inside.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, final

import numpy as np
import numpy.typing as npt

from convolve.datasets.layouts.painting import (
    DECODED_STEPS,
    ELLIPSE_STEPS,
    Corners,
    cover,
    ellipse_box,
    ellipse_extent,
    paint_ellipse,
    paint_polygon,
    pixels_of,
    polygon_steps,
)
from convolve.datasets.rle import columns_inside, decode, from_text
from convolve.errors import DataError, shorten
from convolve.untrusted.fields import FARTHEST
from convolve.untrusted.images import MAX_PIXELS, check_cost, open_image
from convolve.values import Flags, Pixels

_CORNERS = 3  # of a polygon, at least
Edges: TypeAlias = tuple[float, float, float, float]
"""Left, top, right and bottom of a box."""


class Shape(Protocol):
    """What an object covers; its `repr` has all of it."""

    def area(self) -> float:
        """About how many pixels it covers. Raises `DataError` for a damaged one."""
        ...

    def steps(self, size: tuple[int, int]) -> int:
        """How long `area` and `paint` take for an image of a ``size`` (height, width), as pixels that they look at.
        Raises `DataError` for a damaged one.
        """
        ...

    def bounds(self, size: tuple[int, int]) -> Edges | None:
        """The box around it in an image of a ``size`` (height, width), which it may reach beyond; None where it covers
        nothing. Takes as long as `paint` at most. Raises `DataError` for a damaged one.
        """
        ...

    def paint(self, mask: Pixels, value: int) -> None:
        """Give the pixels of a mask (H, W) that it covers a ``value``. Raises `DataError` for a damaged one."""
        ...


@final
@dataclass(frozen=True)
class Polygons:
    """One or several polygons as a file has them (see `corner_lists`)."""

    outlines: Any

    def area(self) -> float:
        """By Gauss's formula; that of an outline which crosses itself is smaller."""
        return sum(map(polygon_area, corner_lists(self.outlines)))

    def steps(self, size: tuple[int, int]) -> int:
        """The pixels of the boxes around the polygons, and more for each row of corners that cross many columns."""
        return sum(polygon_steps(polygon, size) for polygon in corner_lists(self.outlines))

    def bounds(self, size: tuple[int, int]) -> Edges | None:  # noqa: ARG002 - wherever the image ends
        """Around all corners."""
        corners = np.concatenate([np.empty((0, 2)), *corner_lists(self.outlines)])
        return points_bounds(corners) if len(corners) else None

    def paint(self, mask: Pixels, value: int) -> None:
        """What lies inside one of the polygons."""
        for polygon in corner_lists(self.outlines):
            paint_polygon(mask, polygon, value)


@final
@dataclass(frozen=True)
class Rle:
    """COCO's run lengths: ``counts`` as a list or as compressed text, ``size`` the height and width they fill."""

    counts: Any
    size: Any

    def area(self) -> float:
        """The pixels inside."""
        return float(sum(self._lengths()[1::2]))

    def steps(self, size: tuple[int, int]) -> int:
        """The pixels of the columns between the first and the last one inside."""
        columns, _ = self._columns(size)
        return size[0] * int(columns.stop - columns.start)

    def bounds(self, size: tuple[int, int]) -> Edges | None:
        """Around the pixels inside."""
        columns, runs = self._columns(size)
        inside = decode(runs, (size[0], columns.stop - columns.start))
        return flags_bounds(inside, (columns.start, 0))

    def paint(self, mask: Pixels, value: int) -> None:
        """The pixels inside; the image must have the same size."""
        columns, runs = self._columns((mask.shape[0], mask.shape[1]))
        part = mask[:, columns]
        cover(part, decode(runs, (part.shape[0], part.shape[1])), value)

    def _columns(self, size: tuple[int, int]) -> tuple[slice, list[int]]:
        if not isinstance(self.size, list) or self.size != list(size):
            raise DataError(f"its run lengths are of {shorten(str(self.size))}, the image is {list(size)}")
        return columns_inside(self._lengths(), size)

    def _lengths(self) -> list[int]:
        counts = self.counts
        if isinstance(counts, str):
            return from_text(counts)
        if not isinstance(counts, list) or not all(type(count) is int and abs(count) <= MAX_PIXELS for count in counts):
            raise DataError("its run lengths are neither whole numbers nor text")
        return counts


@final
@dataclass(frozen=True)
class Ellipse:
    """An ellipse about ``center`` (x, y) of ``radii`` (horizontal, vertical), turned clockwise by ``angle`` degrees."""

    center: tuple[float, float]
    radii: tuple[float, float]
    angle: float = 0.0

    def area(self) -> float:
        """Of the whole ellipse."""
        return math.pi * self.radii[0] * self.radii[1]

    def steps(self, size: tuple[int, int]) -> int:
        """Those of the pixels around it."""
        self._check()
        return ELLIPSE_STEPS * pixels_of(ellipse_box(self.center, self.radii, self.angle, size))

    def bounds(self, size: tuple[int, int]) -> Edges:  # noqa: ARG002 - wherever the image ends
        """Around the whole ellipse."""
        self._check()
        (x, y), (across, down) = self.center, ellipse_extent(self.radii, self.angle)
        return x - across, y - down, x + across, y + down

    def paint(self, mask: Pixels, value: int) -> None:
        """The pixels whose centers lie inside."""
        self._check()
        paint_ellipse(mask, self.center, self.radii, self.angle, value)

    def _check(self) -> None:
        if not all(map(math.isfinite, (*self.center, *self.radii, self.angle))) or min(self.radii) <= 0:
            raise DataError("its ellipse has no size")


@final
@dataclass(frozen=True)
class Bitmap:
    """A small image file (``content``) whose upper left pixel lies on pixel ``origin`` (x, y): what is not black, or
    not transparent where it has an alpha channel, belongs to the object.
    """

    content: bytes
    origin: tuple[int, int]

    def area(self) -> float:
        """The pixels of the object."""
        return float(np.count_nonzero(self._flags()))

    def steps(self, size: tuple[int, int]) -> int:  # noqa: ARG002 - its own pixels are all decoded
        """Those of its own pixels, wherever they lie."""
        return bitmap_steps(self.content)

    def bounds(self, size: tuple[int, int]) -> Edges | None:  # noqa: ARG002 - wherever the image ends
        """Around the pixels of the object."""
        return flags_bounds(self._flags(), self.origin)

    def paint(self, mask: Pixels, value: int) -> None:
        """The pixels of the object that lie in the image."""
        paste(mask, self._flags(), self.origin, value)

    def _flags(self) -> Flags:
        return read_bitmap(self.content, len(self.content))


def bitmap_steps(content: bytes) -> int:
    """How long it takes to decode an image file twice. Raises `DataError` where it is damaged."""
    try:
        with open_image(content) as file:
            return DECODED_STEPS * file.width * file.height
    except Exception as error:  # a damaged image can raise anything
        raise DataError("its bitmap is not a readable PNG") from error


def read_bitmap(content: bytes, length: int) -> Flags:
    """What is not black, or not transparent where it has an alpha channel, in an image file that takes ``length`` bytes
    of the document. Raises `DataError` where it is damaged or larger than they vouch for.
    """
    try:
        with open_image(content) as file:
            check_cost(file, length)
            alpha = "A" in file.getbands() or "transparency" in file.info
            pixels = np.asarray(file.convert("RGBA").getchannel("A") if alpha else file.convert("L"))
    except Exception as error:  # a damaged image can raise anything
        raise DataError("its bitmap is not a readable PNG") from error
    return np.asarray(pixels > 0)


def corner_lists(shape: Any) -> list[Corners]:
    """The polygons of at least three corners in a list of `[x, y, x, y …]` or of `[[x, y], [x, y] …]`, or in one of
    those alone: (corners, 2) x and y. Raises `DataError` for anything else.
    """
    if not isinstance(shape, Sequence) or isinstance(shape, str):
        raise DataError("its outline is no list of polygons")
    found = []
    for polygon in shape if _is_list_of_polygons(shape) else [shape]:
        try:
            numbers = np.array(polygon, np.float64)
        except (TypeError, ValueError, OverflowError) as error:
            raise DataError("its polygon does not consist of numbers") from error
        if not np.isfinite(numbers).all() or numbers.ndim > 2 or numbers.shape[1:] not in ((), (2,)):
            raise DataError("its polygon does not consist of numbers")
        if np.abs(numbers).max(initial=0) > FARTHEST:
            raise DataError("its polygon lies far outside of the image")
        if numbers.size % 2:
            raise DataError(f"its polygon of {numbers.size} numbers ends in the middle of a corner")
        if numbers.size >= 2 * _CORNERS:
            found.append(numbers.reshape(-1, 2))
    return found


def is_outline(shape: Any) -> bool:
    """Whether a COCO `segmentation` outlines anything; what is damaged does, so that it will be named. (A polygon needs
    three corners.)
    """
    if not isinstance(shape, list) or not shape:
        return bool(shape)
    parts = shape if _is_list_of_polygons(shape) else [shape]
    return any(
        not isinstance(part, list) or len(part) >= (_CORNERS if isinstance(part[0], list) else 2 * _CORNERS)
        for part in parts
        if part
    )


def _is_list_of_polygons(shape: Sequence[Any]) -> bool:
    """Whether it is not one polygon, of numbers or of corners that are pairs of numbers."""
    first = shape[0] if shape else []
    if not isinstance(first, list | tuple | dict):
        return isinstance(first, str)
    return any(not isinstance(part, list | tuple) or len(part) != 2 for part in shape)


def polygon_area(corners: Corners) -> float:
    """Of a polygon (corners, 2)."""
    x, y = corners.T
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2


def points_bounds(points: npt.ArrayLike) -> Edges:
    """The box around points (points, 2) of x, y."""
    (left, top), (right, bottom) = ((float(x), float(y)) for x, y in (np.min(points, axis=0), np.max(points, axis=0)))
    return left, top, right, bottom


def flags_bounds(flags: Flags | Pixels, origin: tuple[int, int] = (0, 0)) -> Edges | None:
    """The box around the pixels inside of a small region (h, w) on pixel ``origin`` (x, y); None without any."""
    columns, rows = (np.flatnonzero(flags.any(axis)) for axis in (0, 1))
    if not len(columns):
        return None
    (left, top), (across, down) = origin, (columns, rows)
    return float(left + across[0]), float(top + down[0]), float(left + across[-1] + 1), float(top + down[-1] + 1)


def rectangle(
    edges: tuple[float, float, float, float], pivot: tuple[float, float] = (0.0, 0.0), angle: float = 0.0
) -> Polygons:
    """A rectangle between its ``edges`` (left, top, right, bottom), turned clockwise about a point by degrees."""
    left, top, right, bottom = edges
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    if angle:
        cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        offsets = [(x - pivot[0], y - pivot[1]) for x, y in corners]
        corners = [(pivot[0] + x * cosine - y * sine, pivot[1] + x * sine + y * cosine) for x, y in offsets]
    return Polygons([[value for corner in corners for value in corner]])


def paste(mask: Pixels, flags: Flags, origin: tuple[int, int], value: int) -> None:
    """Give a ``value`` to the pixels of a small region (h, w) on pixel ``origin`` (x, y) of a mask; what lies outside
    is cut off.
    """
    left, top = origin
    height, width = mask.shape
    part = flags[max(0, -top) : max(0, height - top), max(0, -left) : max(0, width - left)]
    top, left = max(0, top), max(0, left)
    cover(mask[top : top + part.shape[0], left : left + part.shape[1]], part, value)
