"""The same warp as `geometry.warp` for many small pictures of one size: one call for all of them.

A call costs several microseconds whatever the picture's size. For 28 × 28 pixels that is most of the time, and as many
short calls from several threads as a batch has pictures mostly hand the interpreter lock to and fro.
"""

from __future__ import annotations

from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from convolve.values import Floats, Pixels

SMALL = 64 * 64
"""Pixels of the largest picture for which this pays (measured)."""
_TALLEST = 2**15 - 1  # rows of the largest picture that OpenCV resamples


def warp_small(images: Pixels, matrices: npt.NDArray[np.float64], height: int, width: int) -> Pixels:
    """(N, height, width, C) of (N, H, W, C) by (N, 2, 3) from source to frame; beyond its edges a picture is mirrored.

    The pictures stand on top of each other as one tall picture; their maps of coordinates lead each to its own part.
    """
    count, source_height, source_width, channels = images.shape
    step = _TALLEST // max(1, source_height)
    grid = _grid(height, width)
    result = np.empty((count, height, width, channels), np.uint8)
    for first in range(0, count, step):
        part = images[first : first + step]
        columns, rows = _coordinates(matrices[first : first + step], grid)
        _mirror(columns, source_width)
        _mirror(rows, source_height)
        rows += np.arange(0, len(part) * source_height, source_height, dtype=np.float32)[:, None]
        warped = _sampled(part, columns, rows)
        result[first : first + step] = warped.reshape(-1, height, width, channels)
    return result


def _sampled(images: Pixels, columns: Floats, rows: Floats) -> Pixels:
    """The tall picture at those places. OpenCV is faster with four channels than with three, and with long rows."""
    count, _, width, channels = images.shape
    if channels != 3:
        return cast(Pixels, cv2.remap(images.reshape(-1, width, channels), columns, rows, cv2.INTER_LINEAR))
    four = cv2.cvtColor(images.reshape(count, -1, 3), cv2.COLOR_RGB2RGBA).reshape(-1, width, 4)
    return cast(Pixels, cv2.cvtColor(cv2.remap(four, columns, rows, cv2.INTER_LINEAR), cv2.COLOR_RGBA2RGB))


def _grid(height: int, width: int) -> Floats:
    """(3, height * width) column, row and 1 of every pixel of the frame."""
    rows, columns = np.divmod(np.arange(height * width), width)
    return np.stack([columns, rows, np.ones_like(rows)]).astype(np.float32)


def _coordinates(matrices: npt.NDArray[np.float64], grid: Floats) -> tuple[Floats, Floats]:
    """(N, pixels) the column and the row in the source for each place of the grid, from the first pixel's center."""
    back = np.linalg.inv(matrices[:, :, :2])
    start = back.sum(axis=2, keepdims=True) / 2 - back @ matrices[:, :, 2:] - 0.5
    whole = np.concatenate([back, start], axis=2).astype(np.float32).transpose(1, 0, 2).reshape(-1, 3)
    columns, rows = (whole @ grid).reshape(2, len(matrices), -1)
    return columns, rows


def _mirror(places: Floats, length: int) -> None:
    """Lead coordinates back between the centers of the first and the last pixel, mirrored twice at most."""
    last = np.float32(length - 1)
    for _ in range(2):
        np.abs(places, out=places)
        np.subtract(last, places, out=places)
    np.maximum(places, 0, out=places)
