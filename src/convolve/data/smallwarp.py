"""The same warp as `geometry.warp` for many small pictures of one size: one call for all of them.

A call costs several microseconds whatever the picture's size. For 28 × 28 pixels that is most of the time, and as many
short calls from several threads as a batch has pictures mostly hand the interpreter lock to and fro.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from convolve.values import Floats, Pixels

_TALLEST = 2**15 - 1  # rows of the largest picture that OpenCV resamples


def warp_small(images: Pixels, matrices: npt.NDArray[np.float64], height: int, width: int) -> Pixels:
    """(N, height, width, C) of (N, H, W, C) by (N, 2, 3) from source to frame; beyond its edges a picture is mirrored.

    The pictures stand on top of each other as one tall picture; their maps of coordinates lead each to its own part.
    """
    count, source_height, source_width, channels = images.shape
    step = _TALLEST // max(height, source_height)
    result = np.empty((count, height, width, channels), np.uint8)
    for first in range(0, count, step):
        part = images[first : first + step]
        columns, rows = _coordinates(matrices[first : first + step], height, width)
        columns = _mirrored(columns, source_width)
        rows = _mirrored(rows, source_height)
        rows += np.arange(0, len(part) * source_height, source_height, dtype=np.float32)[:, None, None]
        warped = cv2.remap(
            part.reshape(-1, source_width, channels), columns.reshape(-1, width), rows.reshape(-1, width),
            cv2.INTER_LINEAR,
        )  # fmt: skip
        result[first : first + step] = warped.reshape(-1, height, width, channels)
    return result


def _coordinates(matrices: npt.NDArray[np.float64], height: int, width: int) -> tuple[Floats, Floats]:
    """(N, height, width) the column and the row in the source, counted from the first pixel's centre."""
    back = np.linalg.inv(matrices[:, :, :2])
    start = back.sum(axis=2) / 2 - np.einsum("nij,nj->ni", back, matrices[:, :, 2]) - 0.5
    across, down = np.arange(width), np.arange(height)
    along_width = (back[:, :, 0, None] * across).astype(np.float32)
    along_height = (back[:, :, 1, None] * down + start[:, :, None]).astype(np.float32)
    return (
        along_width[:, 0, None, :] + along_height[:, 0, :, None],
        along_width[:, 1, None, :] + along_height[:, 1, :, None],
    )


def _mirrored(places: Floats, length: int) -> Floats:
    """Coordinates led back between the centres of the first and the last pixel, twice mirrored at most. In place."""
    last = np.float32(length - 1)
    np.abs(places, out=places)
    np.subtract(last, places, out=places)
    np.abs(places, out=places)
    np.subtract(last, places, out=places)
    return np.maximum(places, 0, out=places)
