"""Masks that were smoothed or resampled hold values along edges that mean nothing: those are found here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from convolve.datasets.stored_masks import COLOR, TRANSPARENT, StoredMask, read_stored, stored_color
from convolve.errors import DataError
from convolve.values import IGNORE, Floats

_LEAST = 2  # soft values that make masks smoothed: a single one can be a thin class between two others
FEWEST_SMOOTHED = 4
"""Values of a smoothed mask, at least: two that lie between two others."""
_CHECKED = 12  # values of a mask that are looked at, at most
_SOLID = 16  # most frequent values that others may lie between
_WITHIN = 0.9  # of the pixels of a soft value, at least, lie between lower and higher ones
_AREA = 0.25  # of all pixels, at most, are soft; what is more is noise
_SMALL = 64  # class numbers up to this are small, and 255 next to them is void
_WINDOW = 512  # height and width of the part of a mask that is looked at
_TOLERANCE = 2.0  # levels by which an interpolated color may be off


def refuse_soft_edges(paths: Sequence[Path], masks: Sequence[StoredMask] | None = None) -> None:
    """Raises `DataError` for masks where two values or more, and most of those that could, occur only along edges
    between lower and higher ones. ``masks`` are those of the files, where they have been read.
    """
    within, total, pixels = Counter[int](), Counter[int](), 0
    for mask in masks or map(read_stored, paths):
        stored = _window(mask.translate(mask.values, by_color=mask.palette is not None))
        pixels += stored.size
        for value, between, count in _values_between(stored):
            within[value] += between
            total[value] += count
    soft = [value for value, count in total.items() if within[value] >= _WITHIN * count]
    area = sum(total[value] for value in soft)
    if len(soft) >= _LEAST and 2 * len(soft) >= len(total) and area <= _AREA * pixels:
        what = f"color {stored_color(soft[0])}" if soft[0] >= COLOR else f"value {soft[0]}"
        raise DataError(
            f"The masks of {paths[0].parent} are smoothed, such as {paths[0].name}: the {what} lies between two "
            "others along their edges. Export them without smoothing, or list what all values mean in a classes.txt."
        )


def _window(stored: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.integer[Any]]:
    """A part of a large mask, around its rarest value, which is on an edge if any is."""
    if stored.size <= _WINDOW**2:
        return stored
    values, counts = np.unique(stored, return_counts=True)
    center = np.unravel_index(np.argmax(stored == values[np.argmin(counts)]), stored.shape)
    top, left = (max(0, int(position) - _WINDOW // 2) for position in center)
    return stored[top : top + _WINDOW, left : left + _WINDOW]


def _values_between(stored: npt.NDArray[np.integer[Any]]) -> list[tuple[int, int, int]]:
    """Those values of a mask that could come from two others, with how many of their pixels lie between lower and
    higher ones, and how many they are.
    """
    values, inverse, counts = np.unique(stored, return_inverse=True, return_counts=True)
    small = bool((values[values != IGNORE] <= _SMALL).all())
    void = (values == TRANSPARENT) | ((values == IGNORE) & small)
    by_frequency = [int(index) for index in np.argsort(-counts) if not void[index]]
    points, found = _points(values), []
    for index in by_frequency[: -_CHECKED - 1 : -1]:
        positions = _along(points, index, by_frequency[:_SOLID])
        if positions is not None:
            positions[void] = positions[index]
            between = _lies_between(positions[inverse.reshape(stored.shape)], positions[index])
            found.append((int(values[index]), int((between & (stored == values[index])).sum()), int(counts[index])))
    return found


def _points(values: npt.NDArray[np.integer[Any]]) -> Floats:
    """(K, 3) the colors of some values; a number is its gray level."""
    channels = [np.where(values < COLOR, values, values >> shift & 255) for shift in (16, 8, 0)]
    return np.stack(channels, axis=1).astype(np.float32)


def _along(points: Floats, index: int, solid: Sequence[int]) -> Floats | None:
    """(K,) where each color lies on the longest line between two solid ones that a color lies on; the others are put
    where that color is. None where there is no such line.
    """
    best, longest = None, 0.0
    for first, last in combinations([each for each in solid if each != index], 2):
        line = points[last] - points[first]
        length = float(np.linalg.norm(line))
        positions = (points - points[first]) @ line / length
        off = np.linalg.norm(points - points[first] - positions[:, None] * line / length, axis=1)
        if longest < length and off[index] <= _TOLERANCE and 1 <= positions[index] <= length - 1:
            best, longest = np.where(off <= _TOLERANCE, positions, positions[index]), length
    return best


def _lies_between(positions: Floats, value: np.float32) -> npt.NDArray[np.bool_]:
    """(H, W) which pixels have a lower and a higher neighbor than a value."""
    kernel = np.ones((3, 3), np.uint8)
    lower, higher = cv2.erode(positions, kernel), cv2.dilate(positions, kernel)
    return np.asarray((lower < value - 0.5) & (higher > value + 0.5))
