"""Precision and recall of detections as the least score varies: curves, the best threshold, counts of each class.

One overlap decides here, and detections take objects by COCO's rule (`match_best_free`), without a limit of detections
in an image. Crowds and difficult objects are ignored, and so are the detections that take one. A higher threshold of
score only removes the last detections, and changes nothing for the others, so that all thresholds are judged at once.

>>> objects = ObjectBoxes.of(np.array([[0.0, 0, 4, 4], [5, 5, 9, 9]]), np.array([0, 1]), np.array([0, 0]))
>>> boxes = np.array([[0.0, 0, 4, 3], [5, 5, 9, 9], [0, 0, 1, 1]])
>>> detections = Detections(boxes, np.array([0.9, 0.8, 0.3]), np.array([0, 1, 1]), np.array([0, 0, 0]))
>>> judged = judge_detections(objects, detections, classes=2)
>>> best_threshold(judged)
OperatingPoint(threshold=0.8, f1=1.0, precision=1.0, recall=1.0)
>>> precision_recall_curves(judged)[1].precision.tolist(), count_detections(judged, 0.5).false_positives.tolist()
([1.0, 0.5], [0, 0])
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, final

import numpy as np

from convolve.metrics.average_precision import COCO_POINTS, mean_precision_at
from convolve.metrics.confusion import ClassMetrics, Fractions, metrics_from_counts
from convolve.metrics.detection_matching import find_overlaps, match_best_free, order_by_class
from convolve.metrics.detections import Detections, ObjectBoxes, check_indices
from convolve.values import Flags, Indices


@final
@dataclass(frozen=True, eq=False)
class JudgedDetections:
    """K detections without the ignored ones, in the order of classes, then descending scores.

    ``rows`` (K,) are their rows among those that were judged, ``matches`` (K,) the objects that they take, -1 for none;
    ``scores`` and ``classes`` (K,) are theirs. ``positives`` (C,) counts the objects of each class to be found.
    """

    rows: Indices
    scores: Fractions
    classes: Indices
    matches: Indices
    positives: Indices

    @property
    def true(self) -> Flags:
        """(K,) those that take an object."""
        return self.matches >= 0


@final
@dataclass(frozen=True, eq=False)
class PrecisionRecall:
    """The curve of a class: with all detections of at least ``scores`` (K,), which descend and are distinct, there are
    ``precision`` (K,) and ``recall`` (K,); the latter is nan where the class has no object.
    """

    scores: Fractions
    precision: Fractions
    recall: Fractions


class OperatingPoint(NamedTuple):
    """A threshold of score, and the F1, precision and recall over all classes of the detections that reach it."""

    threshold: float
    f1: float
    precision: float
    recall: float


@final
@dataclass(frozen=True, eq=False)
class DetectionCounts:
    """Of each class, (C,): detections that take an object, those that take none, and objects that none takes."""

    true_positives: Indices
    false_positives: Indices
    false_negatives: Indices

    def metrics(self) -> ClassMetrics:
        """Precision, recall and F1; 0 where the denominator is."""
        hits = self.true_positives
        return metrics_from_counts(hits, hits + self.false_positives, hits + self.false_negatives)


def judge_detections(objects: ObjectBoxes, detections: Detections, classes: int, iou: float = 0.5) -> JudgedDetections:
    """Which detections take an object of their class, at an overlap of at least ``iou``.

    Raises `DataError` where a class index is not below ``classes``, `OptionError` for an ``iou`` outside of 0 to 1.
    """
    check_indices(objects, detections, classes)
    rows = order_by_class(detections)
    ranked = detections.take(rows)
    overlaps = find_overlaps(objects, ranked, iou)
    matches = match_best_free(overlaps, objects, ranked, np.array([iou]), objects.ignored)[0]
    counted = ~np.append(objects.ignored, False)[matches]
    return JudgedDetections(
        rows[counted], ranked.scores[counted], ranked.classes[counted], matches[counted], objects.counts(classes)
    )


def precision_recall_curves(judged: JudgedDetections) -> list[PrecisionRecall]:
    """One curve for each of the C classes."""
    curves = []
    for index, positives in enumerate(judged.positives):
        chosen = judged.classes == index
        scores, hits, counted = _running_counts(judged.scores[chosen], judged.true[chosen])
        recall = hits / positives if positives else np.full(len(hits), np.nan)
        curves.append(PrecisionRecall(scores, hits / counted, recall))
    return curves


def class_average_precision(judged: JudgedDetections) -> Fractions:
    """(C,) the mean precision at the recalls 0, 0.01 … 1; nan for a class without objects.

    It is COCO's at the same overlap where no object is difficult and no image has over 100 detections of a class.
    """
    first = np.searchsorted(judged.classes, np.arange(len(judged.positives) + 1))
    values = np.empty(len(judged.positives))
    for index, positives in enumerate(judged.positives):
        ranks = np.flatnonzero(judged.true[first[index] : first[index + 1]])
        values[index] = mean_precision_at(COCO_POINTS, np.arange(1, len(ranks) + 1), ranks + 1, positives)
    return values


def best_threshold(judged: JudgedDetections) -> OperatingPoint:
    """The score at which F1 over all classes together is greatest; of several the highest.

    F1 is 2 TP / (detections + objects). Where no detection takes an object the threshold is nan, and the rest 0.
    """
    order = np.argsort(-judged.scores, kind="stable")
    scores, hits, counted = _running_counts(judged.scores[order], judged.true[order])
    positives = int(judged.positives.sum())
    if not judged.true.any():
        return OperatingPoint(float("nan"), 0.0, 0.0, 0.0)
    f1 = 2 * hits / (counted + positives)
    best = int(f1.argmax())
    precision, recall = hits[best] / counted[best], hits[best] / positives
    return OperatingPoint(float(scores[best]), float(f1[best]), float(precision), float(recall))


def count_detections(judged: JudgedDetections, score: float) -> DetectionCounts:
    """What the detections of at least a score find and miss."""
    chosen, count = judged.scores >= score, len(judged.positives)
    hits = np.bincount(judged.classes[chosen & judged.true], minlength=count).astype(np.int64)
    false = np.bincount(judged.classes[chosen & ~judged.true], minlength=count).astype(np.int64)
    return DetectionCounts(hits, false, judged.positives - hits)


def _running_counts(scores: Fractions, true: Flags) -> tuple[Fractions, Indices, Indices]:
    """The distinct ones of descending scores, and how many of the detections that reach each are true, and how many
    there are.
    """
    last = np.flatnonzero(np.diff(scores, append=-np.inf) < 0)
    return scores[last], np.cumsum(true, dtype=np.int64)[last], last + 1
