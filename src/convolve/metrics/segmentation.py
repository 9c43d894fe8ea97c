"""How well every pixel is told: all figures but the boundary's come from one confusion matrix of pixels.

With n_ij the pixels of class i taken for class j and t_i all of class i (Long, Shelhamer, Darrell 2015, section 5):
pixel accuracy sum_i n_ii / sum_i t_i, mean accuracy and mean IoU over the classes that occur, IoU_i =
n_ii / (t_i + sum_j n_ji - n_ii), frequency-weighted IoU sum_i t_i IoU_i / sum_i t_i.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from convolve.metrics.confusion import confusion_matrix
from convolve.values import IGNORE, Indices, Pixels

TOLERANCE = 0.0075
"""How far, as a share of the picture's diagonal, an outline may be off (Csurka et al. 2013; Perazzi et al. 2016)."""
Shares = npt.NDArray[np.float64]
_BAND = 2**20  # pixels that are counted together
_ROUNDING = 1e-3  # pixels: less than from one distance on the grid to the next, up to a radius of 500


@dataclass(frozen=True)
class PixelFigures:
    """Shares from 0 to 1. ``iou`` and ``recall`` (C,) are nan for classes that neither occur nor are predicted."""

    pixel_accuracy: float
    mean_accuracy: float
    mean_iou: float
    weighted_iou: float
    iou: Shares
    recall: Shares


def pixel_confusion(truth: Pixels, predicted: Pixels, classes: int) -> Indices:
    """Class numbers (any shape) to (classes, classes) counts, rows truths; pixels that are `IGNORE` do not count."""
    matrix = np.zeros((classes, classes), dtype=np.int64)
    for start in range(0, truth.size, _BAND):
        true, found = (numbers.reshape(-1)[start : start + _BAND] for numbers in (truth, predicted))
        counted = true != IGNORE
        matrix += confusion_matrix(true[counted].astype(np.int64), found[counted].astype(np.int64), classes)
    return matrix


def pixel_figures(matrix: Indices) -> PixelFigures:
    """The figures of a (C, C) confusion matrix of pixels."""
    hits, truths, predictions = np.diagonal(matrix), matrix.sum(1), matrix.sum(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        recall, iou = hits / truths, hits / (truths + predictions - hits)
        accuracy = float(hits.sum() / matrix.sum()) if matrix.any() else math.nan
        weighted = float(np.nansum(np.where(truths > 0, truths * iou, 0)) / truths.sum()) if matrix.any() else math.nan
    return PixelFigures(accuracy, _mean(recall[truths > 0]), _mean(iou[truths > 0]), weighted, iou, recall)


@dataclass(frozen=True)
class Outline:
    """Of one class in some pictures: pixels of the predicted outline, and of the true one, and how many of each lie
    near the other.
    """

    predicted: Indices
    predicted_near: Indices
    true: Indices
    true_near: Indices

    def __add__(self, other: Outline) -> Outline:
        """Both pictures' counts."""
        return Outline(
            self.predicted + other.predicted,
            self.predicted_near + other.predicted_near,
            self.true + other.true,
            self.true_near + other.true_near,
        )

    def f_measure(self) -> Shares:
        """(C,) the harmonic mean of both shares, nan for classes without an outline."""
        with np.errstate(divide="ignore", invalid="ignore"):
            precision, recall = self.predicted_near / self.predicted, self.true_near / self.true
            found = 2 * precision * recall / (precision + recall)
        missed = (self.predicted + self.true > 0) & (self.predicted_near + self.true_near == 0)
        shares: Shares = np.where(missed, 0.0, found)
        return shares


def outline(truth: Pixels, predicted: Pixels, classes: int) -> Outline:
    """The outlines of one picture (H, W), class by class; pixels that are `IGNORE` belong to no class in either."""
    radius = max(1, round(TOLERANCE * math.hypot(*truth.shape)))
    counts = np.zeros((4, classes), dtype=np.int64)
    counted = truth != IGNORE
    for number in range(classes):
        edges = [_edge(numbers == number, counted) for numbers in (predicted, truth)]
        if not any(edge.any() for edge in edges):
            continue
        for place, (edge, other) in enumerate(zip(edges, edges[::-1], strict=True)):
            counts[2 * place, number] = edge.sum()
            counts[2 * place + 1, number] = edge[_near(other, radius)].sum()
    return Outline(*counts)


def _near(edge: Pixels, radius: int) -> npt.NDArray[np.bool_]:
    """(H, W) whether the nearest pixel of an outline is at most ``radius`` away."""
    if not edge.any():
        return np.zeros(edge.shape, np.bool_)
    distance = cv2.distanceTransform(1 - edge, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(distance < radius + _ROUNDING)


def _edge(flags: npt.NDArray[np.bool_], counted: npt.NDArray[np.bool_]) -> Pixels:
    """(H, W) 1 on the pixels of a region that touch, above, below, left or right, one outside of it."""
    region = (flags & counted).astype(np.uint8)
    inner = cv2.erode(region, cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3)), borderType=cv2.BORDER_REPLICATE)
    return np.asarray(region - inner, dtype=np.uint8)


def _mean(values: Shares) -> float:
    return float(values.mean()) if len(values) else math.nan
