"""Metrics of dense prediction: all but the boundary's come from one confusion matrix of pixels.

With n_ij the pixels of class i predicted to be of class j and t_i all of class i (Long, Shelhamer, Darrell 2015,
section 5): pixel accuracy sum_i n_ii / sum_i t_i, mean accuracy and mean IoU over the classes that occur, IoU_i =
n_ii / (t_i + sum_j n_ji - n_ii), frequency-weighted IoU sum_i t_i IoU_i / sum_i t_i.

>>> targets, predictions = np.array([[0, 0, 1, 255]], np.uint8), np.array([[0, 1, 1, 1]], np.uint8)
>>> metrics = pixel_metrics(pixel_confusion(targets, predictions, classes=2))
>>> metrics.iou.tolist(), metrics.mean_iou
([0.5, 0.5], 0.5)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from convolve.metrics.confusion import Fractions, confusion_matrix
from convolve.values import IGNORE, Indices, Pixels

TOLERANCE = 0.0075
"""How far, as a fraction of the image's diagonal, a boundary may be off (Csurka et al. 2013; Perazzi et al. 2016)."""
_BLOCK = 2**20  # pixels that are counted together, for memory
_ROUNDING = 1e-3  # pixels: less than from one distance on the grid to the next, up to a radius of 500


@dataclass(frozen=True)
class PixelMetrics:
    """All from 0 to 1. Of each class: ``iou`` (C,), nan where it neither occurs nor is predicted, and ``recall`` (C,),
    nan where it does not occur.
    """

    pixel_accuracy: float
    mean_accuracy: float
    mean_iou: float
    weighted_iou: float
    iou: Fractions
    recall: Fractions


def pixel_confusion(targets: Pixels, predictions: Pixels, classes: int) -> Indices:
    """Class indices (any shape) to (classes, classes) counts, a row for each true class; `IGNORE` does not count.

    Raises `ValueError` when another index is not between 0 and ``classes`` - 1.
    """
    matrix = np.zeros((classes, classes), dtype=np.int64)
    for start in range(0, targets.size, _BLOCK):
        true, predicted = (indices.reshape(-1)[start : start + _BLOCK] for indices in (targets, predictions))
        counted = true != IGNORE
        matrix += confusion_matrix(true[counted].astype(np.int64), predicted[counted].astype(np.int64), classes)
    return matrix


def pixel_metrics(matrix: Indices) -> PixelMetrics:
    """The metrics of a (C, C) confusion matrix of pixels; nan where there is none to count."""
    hits, support, predictions = np.diagonal(matrix), matrix.sum(1), matrix.sum(0)
    occurring = support > 0
    if not occurring.any():
        empty = np.full(len(matrix), math.nan)
        return PixelMetrics(math.nan, math.nan, math.nan, math.nan, empty, empty)
    with np.errstate(divide="ignore", invalid="ignore"):
        recall, iou = hits / support, hits / (support + predictions - hits)
    return PixelMetrics(
        pixel_accuracy=float(hits.sum() / matrix.sum()),
        mean_accuracy=float(recall[occurring].mean()),
        mean_iou=float(iou[occurring].mean()),
        weighted_iou=float((support * iou)[occurring].sum() / support.sum()),
        iou=iou,
        recall=recall,
    )


@dataclass(frozen=True)
class BoundaryCounts:
    """Of each class in some images: pixels of the predicted and of the true boundary, and how many of each lie near
    the other; all (C,) int64.
    """

    predicted: Indices
    predicted_near: Indices
    true: Indices
    true_near: Indices

    def __add__(self, other: BoundaryCounts) -> BoundaryCounts:
        """The counts of both sets of images."""
        return BoundaryCounts(
            self.predicted + other.predicted,
            self.predicted_near + other.predicted_near,
            self.true + other.true,
            self.true_near + other.true_near,
        )

    def f_measure(self) -> Fractions:
        """(C,) the boundary F-measure: harmonic mean of the fractions of both boundaries that lie near the other; nan
        for classes without a boundary (Csurka et al. 2013).
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            precision, recall = self.predicted_near / self.predicted, self.true_near / self.true
            found = 2 * precision * recall / (precision + recall)
        missed = (self.predicted + self.true > 0) & (self.predicted_near + self.true_near == 0)
        fractions: Fractions = np.where(missed, 0.0, found)
        return fractions


def boundary_counts(targets: Pixels, predictions: Pixels, classes: int) -> BoundaryCounts:
    """The boundaries in one image (H, W), class by class; pixels that are `IGNORE` belong to no class in either.

    Near is no further than `TOLERANCE` times the diagonal, and at least one pixel.
    """
    radius = max(1, round(TOLERANCE * math.hypot(*targets.shape)))
    counts = np.zeros((4, classes), dtype=np.int64)
    counted = targets != IGNORE
    for index in range(classes):
        edges = [_edge(indices == index, counted) for indices in (predictions, targets)]
        if not any(edge.any() for edge in edges):
            continue
        for row, (edge, other) in enumerate(zip(edges, edges[::-1], strict=True)):
            counts[2 * row, index] = edge.sum()
            counts[2 * row + 1, index] = edge[_near(other, radius)].sum()
    return BoundaryCounts(*counts)


def _near(edge: Pixels, radius: int) -> npt.NDArray[np.bool_]:
    """(H, W) whether the nearest pixel of a boundary is at most ``radius`` away."""
    if not edge.any():
        return np.zeros(edge.shape, np.bool_)
    distance = cv2.distanceTransform(1 - edge, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(distance < radius + _ROUNDING)


def _edge(flags: npt.NDArray[np.bool_], counted: npt.NDArray[np.bool_]) -> Pixels:
    """(H, W) 1 on the pixels of a region that touch, above, below, left or right, one outside of it."""
    region = (flags & counted).astype(np.uint8)
    inner = cv2.erode(region, cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3)), borderType=cv2.BORDER_REPLICATE)
    return np.asarray(region - inner, dtype=np.uint8)
