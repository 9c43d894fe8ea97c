"""Training images that are each put together from four, which meet at a random point: objects are smaller, next to
others than usual, and cut off at other edges.

Bochkovskiy, Wang, Liao 2020, "YOLOv4: Optimal speed and accuracy of object detection", section 3.3. Each image is
shrunk just so far that it fills its part of the input, with a corner at the point where the four meet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from convolve.values import Indices, Matrices, Preprocessing

PARTS: Final = 4
_NEAREST = 0.25
"""Fraction of the input's side that lies between the point where the four meet and the edge, at least."""
_Number = TypeVar("_Number", bound=np.generic)


@dataclass(frozen=True, eq=False)
class Mosaic:
    """For N images, four parts after one another each: their ``regions`` (4 N, 4) left, top, right, bottom in whole
    pixels of the input, and ``matrices`` (4 N, 3, 3) that take a whole input to where its corner fills the region.
    """

    regions: Indices
    matrices: Matrices

    def move(self, matrices: Matrices) -> Matrices:
        """(4 N, 2, 3) the matrices from images to the input (4 N, 2, 3), followed by its own."""
        moved = self.matrices[:, :2, :2] @ matrices
        moved[:, :, 2] += self.matrices[:, :2, 2]
        return moved


def draw_mosaic(count: int, preprocessing: Preprocessing, random: np.random.Generator) -> Mosaic:
    """For ``count`` images: upper left, upper right, lower left, lower right."""
    extent = np.array([preprocessing.width, preprocessing.height])
    meeting = np.rint((_NEAREST + (1 - 2 * _NEAREST) * random.random((count, 1, 2))) * extent).astype(np.int64)
    beyond = np.array([[0, 0], [1, 0], [0, 1], [1, 1]])
    low = np.where(beyond, meeting, 0).reshape(-1, 2)
    high = np.where(beyond, extent, meeting).reshape(-1, 2)
    scales = ((high - low) / extent).max(1)
    shifts = np.where(beyond, meeting, meeting - scales.reshape(count, PARTS, 1) * extent).reshape(-1, 2)
    matrices = np.tile(np.eye(3), (len(low), 1, 1))
    matrices[:, 0, 0] = matrices[:, 1, 1] = scales
    matrices[:, :2, 2] = shifts
    return Mosaic(np.concatenate([low, high], axis=1), matrices)


def put_together(parts: npt.NDArray[_Number], regions: Indices) -> npt.NDArray[_Number]:
    """(N, H, W, …) of four times as many (4 N, H, W, …), each of which gives its region (4 N, 4)."""
    whole = np.empty((len(parts) // PARTS, *parts.shape[1:]), parts.dtype)
    for number, (part, (left, top, right, bottom)) in enumerate(zip(parts, regions.tolist(), strict=True)):
        whole[number // PARTS, top:bottom, left:right] = part[top:bottom, left:right]
    return whole
