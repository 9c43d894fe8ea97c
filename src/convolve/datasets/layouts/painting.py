"""Painting regions into masks, in time and memory that grow with the box around a region, not with the image."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from convolve.values import Flags, Pixels

Corners = npt.NDArray[np.float64]
_Columns = npt.NDArray[np.int64]
Box: TypeAlias = tuple[slice, slice]
"""Rows and columns of an image."""
MOST_STEPS: Final = 2**31
"""Pixels of the boxes around all objects of an image, and more for what takes longer: two to three seconds. That is 24
objects each as large as the largest image that is read, or 7,000 each as large as an image of COCO; objects that share
an image among them need a hundredth.
"""
CROSSING_STEPS: Final = 16
"""For each column (or row) that an edge of a polygon crosses, compared with a pixel of its box."""
ELLIPSE_STEPS: Final = 8
DECODED_STEPS: Final = 8
"""For each pixel of an image file that is decoded, once for its area and once for its pixels."""
_BAND: Final = 2**18  # pixels or crossings that are computed at a time


def cover(mask: Pixels, flags: Flags | Pixels, value: int) -> None:
    """Give a part of a mask the ``value`` wherever the flags (or ones among zeros) of the same shape say so."""
    for rows in _bands(*mask.shape):
        part = mask[rows]
        inside = np.negative(flags[rows].view(np.uint8))  # 0 or 255
        inside &= part ^ np.uint8(value)
        part ^= inside


def box_of(points: npt.ArrayLike, size: tuple[int, int]) -> Box:
    """The pixels of an image of a ``size`` (height, width) around points (points, 2) of x, y, with a margin of one."""
    edges = np.array(points, np.float64)
    columns, rows = (
        slice(min(max(math.floor(start) - 1, 0), length), min(max(math.ceil(stop) + 1, 0), length))
        for start, stop, length in zip(edges.min(axis=0), edges.max(axis=0), size[::-1], strict=True)
    )
    return rows, columns


def pixels_of(box: Box) -> int:
    """How many pixels a box has."""
    return math.prod(max(0, side.stop - side.start) for side in box)


def polygon_steps(corners: Corners, size: tuple[int, int]) -> int:
    """How long `paint_polygon` takes."""
    first, last = _crossed_columns(corners, size[1])
    return pixels_of(box_of(corners, size)) + CROSSING_STEPS * int((last - first).sum())


def paint_polygon(mask: Pixels, corners: Corners, value: int) -> None:
    """Give the pixels whose centers lie inside a polygon (corners, 2) of x, y, which count from the outer edge of the
    first pixel, a ``value``: where a line up from there crosses its edges an odd number of times.
    """
    box = rows, columns = box_of(corners, (mask.shape[0], mask.shape[1]))
    if not pixels_of(box):
        return
    height, width = rows.stop - rows.start, columns.stop - columns.start
    crossed = np.zeros((height + 1, width), np.uint8)
    flat = crossed.reshape(-1)
    for crossing_rows, crossing_columns in _crossings(corners, mask.shape[1]):
        below = (np.minimum(crossing_rows, rows.stop).clip(rows.start) - rows.start).astype(np.int64)
        np.add.at(flat, below * width + (crossing_columns - columns.start), np.uint8(1))
    above = np.zeros(width, np.uint8)
    for band in _bands(height, width):
        inside = crossed[:-1][band]
        inside &= 1
        for row in inside:
            np.bitwise_xor(row, above, out=row)
            above = row
        cover(mask[box][band], inside, value)


def ellipse_extent(radii: tuple[float, float], angle: float) -> tuple[float, float]:
    """How far an ellipse (see `paint_ellipse`) reaches from its center to each side, and up and down."""
    cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    return math.hypot(radii[0] * cosine, radii[1] * sine), math.hypot(radii[0] * sine, radii[1] * cosine)


def ellipse_box(center: tuple[float, float], radii: tuple[float, float], angle: float, size: tuple[int, int]) -> Box:
    """The pixels around an ellipse (see `paint_ellipse`)."""
    across, down = ellipse_extent(radii, angle)
    return box_of([(center[0] - across, center[1] - down), (center[0] + across, center[1] + down)], size)


def paint_ellipse(
    mask: Pixels, center: tuple[float, float], radii: tuple[float, float], angle: float, value: int
) -> None:
    """Give the pixels whose centers lie inside an ellipse a ``value``: about a ``center`` (x, y), of ``radii``
    (horizontal, vertical), turned clockwise by ``angle`` degrees.
    """
    rows, columns = ellipse_box(center, radii, angle, (mask.shape[0], mask.shape[1]))
    cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    right = np.arange(columns.start, columns.stop)[None] + 0.5 - center[0]
    for band in _bands(rows.stop - rows.start, columns.stop - columns.start):
        part = mask[rows, columns][band]
        start = rows.start + band.start
        down = np.arange(start, start + len(part))[:, None] + 0.5 - center[1]
        along, across = right * cosine + down * sine, down * cosine - right * sine
        with np.errstate(over="ignore"):  # where a radius is next to nothing
            part[(along / radii[0]) ** 2 + (across / radii[1]) ** 2 <= 1] = value


def _bands(height: int, width: int) -> Iterator[slice]:
    """The rows in parts of about `_BAND` pixels."""
    step = max(1, _BAND // max(1, width))
    return (slice(start, start + step) for start in range(0, height, step))


def _crossed_columns(corners: Corners, width: int) -> tuple[_Columns, _Columns]:
    """Of each edge, the first column whose center it crosses, and the one after the last; none where they are equal."""
    x, following = corners[:, 0], np.roll(corners[:, 0], -1)
    first = np.ceil(np.minimum(x, following) - 0.5).clip(0, width).astype(np.int64)
    last = np.ceil(np.maximum(x, following) - 0.5).clip(0, width).astype(np.int64)
    return first, last


def _crossings(corners: Corners, width: int) -> Iterator[tuple[Corners, _Columns]]:
    """Where the edges cross the centers of columns: the rows below, not all of them in the image, and the columns; as
    many edges at a time as make about `_BAND` crossings.
    """
    first, last = _crossed_columns(corners, width)
    crossing = np.flatnonzero(last > first)
    ends = np.cumsum(last[crossing] - first[crossing])
    parts = np.flatnonzero(np.diff(ends // _BAND)) + 1
    for edges in np.split(crossing, parts):
        lengths = last[edges] - first[edges]
        starts = np.cumsum(lengths) - lengths
        columns = np.arange(int(lengths.sum())) - np.repeat(starts - first[edges], lengths)
        edge = np.repeat(edges, lengths)
        (left, top), (right, bottom) = corners[edge].T, np.roll(corners, -1, axis=0)[edge].T
        heights = top + (columns + 0.5 - left) / (right - left) * (bottom - top)
        yield np.ceil(heights - 0.5), columns
