"""Average precision (AP) of a detector, for one class: from detections sorted by score to one number.

Slides "Precision / Recall": precision = TP / predictions, recall = TP / ground truths; the PASCAL VOC challenge made a
number of the curve, by eleven points (until 2009) and by its area (from 2010).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from convolve.from_scratch.arrays import Array, Labels
from convolve.from_scratch.boxes import intersection_over_union

ELEVEN_RECALLS = np.arange(11) / 10
"""0, 0.1, …, 1. PASCAL VOC's own program adds up steps of 0.1, whose rounding misses a recall of exactly 3/10, 6/10 or
7/10; here these count.
"""


class ImageBoxes(NamedTuple):
    """The ``images`` (N,) that boxes (N, 4) are in."""

    images: Labels
    boxes: Array


def find_true_positives(detections: ImageBoxes, objects: ImageBoxes, threshold: float) -> Array:
    """1 for a true positive, 0 for a false one (D,), of detections that are sorted by descending score.

    A detection belongs to the object of its image with the largest IoU. It is a true positive where that IoU is above
    ``threshold`` and no earlier detection has found the object: a second detection of an object is a false positive.
    """
    hits = np.zeros(len(detections.boxes))
    found = np.zeros(len(objects.boxes), np.bool_)
    for index, (image, box) in enumerate(zip(detections.images, detections.boxes, strict=True)):
        candidates = np.flatnonzero(objects.images == image)
        if not candidates.size:
            continue
        iou = intersection_over_union(box[None], objects.boxes[candidates])[0]
        best = candidates[iou.argmax()]
        hits[index] = iou.max() > threshold and not found[best]
        found[best] |= bool(hits[index])
    return hits


def precision_and_recall(hits: Array, count: int) -> tuple[Array, Array]:
    """Both (D,) after each of the detections, which are in descending order of score; ``count`` is the number of
    objects.
    """
    true_positives = np.cumsum(hits)
    return true_positives / np.arange(1, len(hits) + 1), true_positives / count


def precision_envelope(precision: Array) -> Array:
    """The largest precision (D,) at this recall or a larger one."""
    envelope: Array = np.maximum.accumulate(precision[::-1])[::-1]
    return envelope


def eleven_point_average_precision(precision: Array, recall: Array) -> float:
    """The mean over recalls r = 0, 0.1, …, 1 of the largest precision where the recall is at least r, 0 if nowhere."""
    levels = [precision[recall >= level] for level in ELEVEN_RECALLS]
    return float(np.mean([values.max() if values.size else 0.0 for values in levels]))


def area_average_precision(precision: Array, recall: Array) -> float:
    """The area under the envelope of the curve."""
    steps = np.diff(recall, prepend=0)
    return float((steps * precision_envelope(precision)).sum())
