"""From heat to a box: where the object of a class lies, learned from labels alone.

Zhou et al. 2016, "Learning Deep Features for Discriminative Localization", section 3.2: keep what is at least 20 % of
the map's maximum, and draw the box round its largest connected piece.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage  # type: ignore[import-untyped]

from convolve.metrics.boxes import BoxArray, intersection_over_union
from convolve.values import Floats

THRESHOLD = 0.2
"""Share of the maximum from which on a map counts as the object."""
OVERLAP = 0.5
"""Intersection over union from which on a box counts as right (Russakovsky et al. 2015, section 4.2)."""
_NOWHERE = (0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Localized:
    """One map against an image's boxes: the best ``overlap`` with any of them, and whether the map's hottest pixel
    lies ``inside`` one (the pointing game of Zhang et al. 2016, "Top-down Neural Attention by Excitation Backprop",
    without tolerance).
    """

    overlap: float
    inside: bool


def largest_piece(heat: Floats, threshold: float = THRESHOLD) -> npt.NDArray[np.bool_]:
    """(H, W) True on the largest piece of a map's (H, W) pixels that reach ``threshold`` times its maximum.

    Pixels belong together that touch at sides or corners; of equal pieces the first from the top counts. Nothing is
    True where the map is nowhere above 0.
    """
    highest = float(heat.max())
    if not highest > 0:
        return np.zeros(heat.shape, dtype=bool)
    pieces, count = ndimage.label(heat >= threshold * highest, structure=np.ones((3, 3)))
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)
    sizes[0] = 0
    return np.asarray(pieces == sizes.argmax())


def heat_box(heat: Floats, threshold: float = THRESHOLD) -> BoxArray:
    """(4,) left, top, right, bottom round the largest piece of an (H, W) map; all 0 where there is none."""
    rows, columns = (np.flatnonzero(largest_piece(heat, threshold).any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return np.array(_NOWHERE)
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], dtype=np.float64)


def localize(heat: Floats, boxes: BoxArray) -> Localized:
    """How well an (H, W) map finds one of an image's (N, 4) boxes, N at least 1, in the map's own pixels."""
    overlap = float(intersection_over_union(heat_box(heat)[None], boxes).max())
    row, column = np.unravel_index(int(heat.argmax()), heat.shape)
    x, y = float(column) + 0.5, float(row) + 0.5
    inside = (boxes[:, 0] <= x) & (x < boxes[:, 2]) & (boxes[:, 1] <= y) & (y < boxes[:, 3])
    return Localized(overlap, bool(inside.any()))


@dataclass(frozen=True)
class Localization:
    """Over ``images`` images: the share whose box overlaps a true one by at least `OVERLAP`, the mean overlap, and the
    share whose hottest pixel lies in a true box.
    """

    images: int
    accuracy: float
    mean_overlap: float
    pointing: float


def localization(found: Sequence[Localized]) -> Localization:
    """The figures of at least one image."""
    overlaps = np.array([one.overlap for one in found])
    inside = np.array([one.inside for one in found])
    return Localization(len(found), float((overlaps >= OVERLAP).mean()), float(overlaps.mean()), float(inside.mean()))
