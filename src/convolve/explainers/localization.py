"""From an attribution to a box: where the object of a class lies, learned from labels alone.

Zhou et al. 2016, "Learning Deep Features for Discriminative Localization", section 3.2: take what is at least 20 % of
the map's maximum, and draw the box around its largest connected region.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from convolve.metrics.boxes import BoxArray, intersection_over_union
from convolve.values import Flags, Floats

THRESHOLD = 0.2
"""Fraction of the maximum from which on a map counts as the object."""
OVERLAP = 0.5
"""Intersection over union from which on a box counts as right (Russakovsky et al. 2015, section 4.2)."""


@dataclass(frozen=True)
class ImageLocalization:
    """One map against an image's boxes: the best ``overlap`` with any of them, and whether the map's largest value
    lies ``inside`` one (the pointing game of Zhang et al. 2016, "Top-down Neural Attention by Excitation Backprop",
    without tolerance).
    """

    overlap: float
    inside: bool


@dataclass(frozen=True)
class Localization:
    """Over ``images`` images: the fraction whose box overlaps a ground truth box by at least `OVERLAP`, the mean
    overlap, and the fraction whose largest value lies in a ground truth box.
    """

    images: int
    accuracy: float
    mean_overlap: float
    pointing: float


def largest_region(attribution: Floats, threshold: float = THRESHOLD) -> Flags:
    """(H, W) True on the largest connected region of the (H, W) pixels that reach ``threshold`` times the maximum.

    Pixels are connected at sides and corners; of equal regions the first from the top counts. Nothing is True where the
    map is nowhere above 0.
    """
    from scipy import ndimage  # type: ignore[import-untyped]

    highest = float(attribution.max())
    if not highest > 0:
        return np.zeros(attribution.shape, dtype=bool)
    regions, count = ndimage.label(attribution >= threshold * highest, structure=np.ones((3, 3)))
    sizes = np.bincount(regions.ravel(), minlength=count + 1)
    sizes[0] = 0
    return np.asarray(regions == sizes.argmax())


def attribution_box(attribution: Floats, threshold: float = THRESHOLD) -> BoxArray:
    """(4,) left, top, right, bottom around the largest region of an (H, W) map; all 0 where there is none."""
    region = largest_region(attribution, threshold)
    rows, columns = np.flatnonzero(region.any(axis=1)), np.flatnonzero(region.any(axis=0))
    if not len(rows):
        return np.zeros(4)
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], dtype=np.float64)


def localize(attribution: Floats, boxes: BoxArray) -> ImageLocalization:
    """How well an (H, W) map finds one of an image's (N, 4) boxes, N at least 1, in the map's own pixels."""
    overlap = float(intersection_over_union(attribution_box(attribution)[None], boxes).max())
    row, column = np.unravel_index(int(attribution.argmax()), attribution.shape)
    x, y = float(column) + 0.5, float(row) + 0.5
    inside = (boxes[:, 0] <= x) & (x < boxes[:, 2]) & (boxes[:, 1] <= y) & (y < boxes[:, 3])
    return ImageLocalization(overlap, bool(inside.any()))


def summarize_localization(images: Sequence[ImageLocalization]) -> Localization:
    """The metrics of at least one image."""
    overlaps = np.array([image.overlap for image in images])
    inside = np.array([image.inside for image in images])
    return Localization(len(images), float((overlaps >= OVERLAP).mean()), float(overlaps.mean()), float(inside.mean()))
