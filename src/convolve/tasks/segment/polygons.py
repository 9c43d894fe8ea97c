"""Regions as polygons, as COCO's annotations have them: x and y count from the outer edge of the first pixel, so that a
polygon encloses its pixels, and drawn again it is the same region to the pixel.

A polygon cannot have a hole. From each hole's highest pixel a slit of no width goes up to what lies above, and the
polygon follows it up and down again: one polygon is left for each region. OpenCV's contours run through the centers of
pixels; in an image four times as large they run within an eighth of a pixel of the original's edges, and a slit is one
of its pixels wide.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from convolve.values import Indices, Pixels

_FINER = 4
Flags = npt.NDArray[np.bool_]


class Polygon(NamedTuple):
    """A region's outline: its ``corners`` (corners, 2) as x and y, and how many pixels it encloses."""

    corners: Indices
    area: int

    def flat(self) -> list[int]:
        """[x1, y1, x2, y2, …], as COCO has it."""
        numbers: list[int] = self.corners.reshape(-1).tolist()
        return numbers

    def box(self) -> list[int]:
        """[left, top, width, height]."""
        least, most = self.corners.min(0), self.corners.max(0)
        return [*least.tolist(), *(most - least).tolist()]


def find_polygons(inside: Flags) -> list[Polygon]:
    """One for each connected region of (H, W), pixels that touch at a corner being connected; the largest first."""
    left, top, width, height = cv2.boundingRect(inside.view(np.uint8))
    part = np.pad(inside[top : top + height, left : left + width], 1).view(np.uint8)
    fine = np.repeat(np.repeat(part, _FINER, 0), _FINER, 1)
    for column, rows in _slits(part):
        fine[rows, column] = 0
    boundaries, _ = cv2.findContours(fine, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    found = [_polygon(np.asarray(outline, np.int64)[:, 0], (left - 1, top - 1)) for outline in boundaries]
    return sorted(found, key=lambda polygon: (-polygon.area, polygon.corners[0].tolist()))


def _slits(part: Pixels) -> Iterator[tuple[int, slice]]:
    """The column and the rows, in the enlarged image, of a slit from each hole of a region with a border around it. It
    ends at the first pixel outside, above or to the left, which always belongs to a hole that begins higher.
    """
    _, numbers, boxes, _ = cv2.connectedComponentsWithStats(1 - part, connectivity=4)
    across = part.T  # by columns: whether this pixel or the next is outside
    edge = np.ascontiguousarray((across[1:] == 0) | (across[:-1] == 0))
    for hole, (left, top, width) in enumerate(boxes[1:, :3].tolist(), 1):
        if top:  # else it is the border
            column = left + int(np.argmax(numbers[top, left : left + width] == hole))
            above = int(np.flatnonzero(edge[column - 1, :top])[-1])
            end = _FINER * (above + 1) - int(part[above, column])
            yield _FINER * column, slice(end, _FINER * top)


def _polygon(outline: Indices, corner: tuple[int, int]) -> Polygon:
    """The edges that a contour (points, 2) of the enlarged image runs along."""
    points = (outline + _FINER // 2) // _FINER + corner
    points = points[(points != np.roll(points, 1, 0)).any(1)]
    before, after = points - np.roll(points, 1, 0), np.roll(points, -1, 0) - points
    collinear = (before[:, 0] * after[:, 1] == before[:, 1] * after[:, 0]) & ((before * after).sum(1) > 0)
    corners = points[~collinear]
    x, y = corners.T
    area = int(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) // 2
    return Polygon(corners, area)
