"""Average precision by the rules of Pascal VOC: eleven points until 2009, the whole area from 2010.

Everingham et al., "The Pascal Visual Object Classes (VOC) Challenge", IJCV 88 (2010), section 4.2, and the programs of
its development kit. Detections of a class are taken by descending score over all images. Each belongs to the object of
its class and image with the greatest overlap, if that is more than the threshold: it is true if the object has not been
found before, else false, even where another object is free. A detection of a difficult object is neither. Difficult
objects and crowds need not be found. Equal scores count in the order of the detections; the programs leave it open.

The programs add 1 to widths and heights, since their right and bottom edges are the last pixels; here edges are
continuous, which is the same.

>>> objects = ObjectBoxes.of(np.array([[0.0, 0, 4, 4], [5, 5, 9, 9]]), np.array([0, 0]), np.array([0, 0]))
>>> detections = Detections(np.array([[0.0, 0, 4, 3]]), np.array([0.9]), np.array([0]), np.array([0]))
>>> metrics = voc_metrics(objects, detections, classes=1)
>>> round(metrics.mean_eleven_point, 3), metrics.mean_area
(0.545, 0.5)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from convolve.metrics.average_precision import ELEVEN_POINTS, area_under_envelope, mean_precision_at
from convolve.metrics.confusion import Fractions
from convolve.metrics.detection_matching import find_overlaps, match_best
from convolve.metrics.detections import Detections, ObjectBoxes, check_indices
from convolve.metrics.ranking import nanmean
from convolve.values import Flags, Indices


@dataclass(frozen=True, eq=False)
class VocMetrics:
    """Average precision of C classes from 0 to 1 by both rules, (C,) and their means; nan for a class without objects,
    which the means leave out.

    ``objects`` (C,) counts those to be found, without difficult ones; ``detections`` (C,) all; ``true_positives`` and
    ``false_positives`` (C,) those that found an object and those that found none.
    """

    mean_eleven_point: float
    mean_area: float
    eleven_point: Fractions
    area: Fractions
    objects: Indices
    detections: Indices
    true_positives: Indices
    false_positives: Indices


def voc_metrics(objects: ObjectBoxes, detections: Detections, classes: int, iou: float = 0.5) -> VocMetrics:
    """The metrics at one threshold of overlap, which must be exceeded.

    Raises `DataError` where a class index is not below ``classes``.
    """
    check_indices(objects, detections, classes)
    ranked = detections.take(np.lexsort((-detections.scores, detections.classes)))
    true, false = _judge(objects, ranked, iou)
    positives, counted = objects.counts(classes), np.cumsum(true | false)
    eleven, area = np.empty(classes), np.empty(classes)
    first = np.searchsorted(ranked.classes, np.arange(classes + 1))
    for index in range(classes):
        before = counted[first[index] - 1] if first[index] else 0
        ranks = first[index] + np.flatnonzero(true[first[index] : first[index + 1]])
        hits = np.arange(1, len(ranks) + 1)
        eleven[index] = mean_precision_at(ELEVEN_POINTS, hits, counted[ranks] - before, positives[index])
        area[index] = area_under_envelope(hits, counted[ranks] - before, positives[index])
    return VocMetrics(
        mean_eleven_point=nanmean(eleven),
        mean_area=nanmean(area),
        eleven_point=eleven,
        area=area,
        objects=positives,
        detections=_count(ranked.classes, classes),
        true_positives=_count(ranked.classes[true], classes),
        false_positives=_count(ranked.classes[false], classes),
    )


def _judge(objects: ObjectBoxes, ranked: Detections, iou: float) -> tuple[Flags, Flags]:
    """(D,) which detections are true and (D,) which are false, where they are in descending order of score."""
    matches = match_best(find_overlaps(objects, ranked, iou, crowds=False), ranked, iou)
    matched = np.flatnonzero(matches >= 0)
    to_find = matched[~objects.ignored[matches[matched]]]
    _, first = np.unique(matches[to_find], return_index=True)
    true = np.zeros(len(ranked), dtype=np.bool_)
    true[to_find[first]] = True
    false = ~true
    false[matched[objects.ignored[matches[matched]]]] = False
    return true, false


def _count(classes: Indices, count: int) -> Indices:
    return np.bincount(classes, minlength=count).astype(np.int64)
