"""The twelve metrics of COCO, and average precision of each class: those of its program to 1e-12.

Lin et al., "Microsoft COCO: Common Objects in Context" (2014), and the program that the challenge uses. In each image
and class the 100 detections of highest score count. Each takes the object of greatest overlap that is still free, if
the overlap is at least the threshold (`match_best_free`). Objects that are crowds or whose area is out of the range are
ignored: so are detections that take one, and those that take none and are out of the range themselves. Both ends belong
to a range; an object's area is ``areas``, a detection's that of its box. Average precision is the mean over the recalls
0, 0.01 … 1 and over classes; average recall that over classes; both over the thresholds 0.5, 0.55 … 0.95.

COCO knows no difficult objects: here they count as any other. Deviations: what the program gives as -1 is nan; the
precision of a first true detection is 1, where the program has 2e-16 less.

>>> objects = ObjectBoxes.of(np.array([[0.0, 0, 4, 4], [5, 5, 9, 9]]), np.array([0, 0]), np.array([0, 0]))
>>> detections = Detections(np.array([[0.0, 0, 4, 3]]), np.array([0.9]), np.array([0]), np.array([0]))
>>> metrics = coco_metrics(objects, detections, classes=1)
>>> round(metrics.ap50, 3), round(metrics.ap, 3), round(metrics.ar_100, 3), metrics.ap_large
(0.505, 0.303, 0.3, nan)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from convolve.metrics.average_precision import COCO_POINTS, mean_precision_at
from convolve.metrics.boxes import box_areas
from convolve.metrics.confusion import Fractions
from convolve.metrics.detection_matching import Overlaps, find_overlaps, match_best_free, order_by_class, rank_in_groups
from convolve.metrics.detections import Detections, ObjectBoxes, check_indices
from convolve.metrics.ranking import nanmean
from convolve.values import Flags, Indices

THRESHOLDS: Final = np.linspace(0.5, 0.95, 10)
"""Intersection over union; not sums of 0.05, which round otherwise."""
MAX_DETECTIONS: Final = 100
"""Of one class in one image."""
AREAS: Final = ((0.0, 1e10), (0.0, 32.0**2), (32.0**2, 96.0**2), (96.0**2, 1e10))
"""All, small, medium and large, in square pixels."""


@dataclass(frozen=True, eq=False)
class CocoMetrics:
    """The twelve metrics in the program's order: average precision, and average recall of at most 1, 10, 100 detections
    of a class in an image, from 0 to 1; nan where there is no object. Of each of C classes: ``class_ap``,
    ``class_ap50``, ``class_ar_100`` (C,), and at the `THRESHOLDS` ``class_ap_by_iou`` and ``class_recall_by_iou``
    (10, C).
    """

    ap: float
    ap50: float
    ap75: float
    ap_small: float
    ap_medium: float
    ap_large: float
    ar_1: float
    ar_10: float
    ar_100: float
    ar_small: float
    ar_medium: float
    ar_large: float
    class_ap: Fractions
    class_ap50: Fractions
    class_ar_100: Fractions
    class_ap_by_iou: Fractions
    class_recall_by_iou: Fractions

    def summary(self) -> dict[str, float]:
        """The twelve metrics by name, in the program's order."""
        return {name: value for name, value in vars(self).items() if isinstance(value, float)}


class RankedMatches(NamedTuple):
    """What COCO's rule makes of detections in the order of classes, then descending scores, at T thresholds.

    ``matches`` (T, D) is the object that each takes, -1 for none; ``ignored`` (T, D) says which do not count, and
    ``sought`` (M,) which objects are to be found.
    """

    detections: Detections
    matches: Indices
    ignored: Flags
    sought: Flags


def coco_metrics(objects: ObjectBoxes, detections: Detections, classes: int) -> CocoMetrics:
    """The metrics of all images together. Of equal scores, images count in the order of their indices.

    Raises `DataError` where a class index is not below ``classes``.
    """
    check_indices(objects, detections, classes)
    ranked = limit_detections(detections)
    ranks = rank_in_groups(ranked.images * classes + ranked.classes)
    overlaps = find_overlaps(objects, ranked, float(THRESHOLDS[0]))
    precisions, recalls = [], []
    for area in AREAS:
        judged = match_by_area(objects, ranked, overlaps, area)
        positives = np.bincount(objects.classes[judged.sought], minlength=classes)
        precisions.append(average_precisions(judged, positives))
        recalls.append([recalls_of(judged, positives, ranks < limit) for limit in (1, 10, MAX_DETECTIONS)])
    ap = [nanmean(table) for table in precisions]
    ar = [[nanmean(table) for table in tables] for tables in recalls]
    return CocoMetrics(
        ap=ap[0],
        ap50=nanmean(precisions[0][0]),
        ap75=nanmean(precisions[0][5]),
        ap_small=ap[1],
        ap_medium=ap[2],
        ap_large=ap[3],
        ar_1=ar[0][0],
        ar_10=ar[0][1],
        ar_100=ar[0][2],
        ar_small=ar[1][2],
        ar_medium=ar[2][2],
        ar_large=ar[3][2],
        class_ap=precisions[0].mean(axis=0),
        class_ap50=precisions[0][0],
        class_ar_100=recalls[0][2].mean(axis=0),
        class_ap_by_iou=precisions[0],
        class_recall_by_iou=recalls[0][2],
    )


def limit_detections(detections: Detections) -> Detections:
    """The `MAX_DETECTIONS` best of each class in each image, in the order of classes, then descending scores."""
    ranked = detections.take(order_by_class(detections))
    span = int(ranked.classes[-1]) + 1 if len(ranked) else 1
    return ranked.take(rank_in_groups(ranked.images * span + ranked.classes) < MAX_DETECTIONS)


def match_by_area(
    objects: ObjectBoxes, ranked: Detections, overlaps: Overlaps, area: tuple[float, float] = AREAS[0]
) -> RankedMatches:
    """Which of the detections that `limit_detections` gives take which objects of a range of areas, at `THRESHOLDS`."""
    ignored = objects.crowd | (objects.areas < area[0]) | (objects.areas > area[1])
    matches = match_best_free(overlaps, objects, ranked, THRESHOLDS, ignored)
    sides = box_areas(ranked.boxes)
    outside = (sides < area[0]) | (sides > area[1])
    dropped = np.append(ignored, False)[matches] | ((matches < 0) & outside)
    return RankedMatches(ranked, matches, dropped, ~ignored)


def average_precisions(judged: RankedMatches, positives: Indices) -> Fractions:
    """(T, C) average precision of each class at each threshold."""
    first = np.searchsorted(judged.detections.classes, np.arange(len(positives) + 1))
    table = np.empty((len(judged.matches), len(positives)))
    for row, matches, ignored in zip(table, judged.matches, judged.ignored, strict=True):
        counted = np.append(0, np.cumsum(~ignored))
        true = np.flatnonzero((matches >= 0) & ~ignored)
        bounds = np.searchsorted(true, first)
        for index in range(len(positives)):
            ranks = true[bounds[index] : bounds[index + 1]]
            before = counted[first[index]]
            hits = np.arange(1, len(ranks) + 1)
            row[index] = mean_precision_at(COCO_POINTS, hits, counted[ranks + 1] - before, positives[index])
    return table


def recalls_of(judged: RankedMatches, positives: Indices, chosen: Flags) -> Fractions:
    """(T, C) the fraction of the objects that the ``chosen`` (D,) detections find."""
    table = np.full((len(judged.matches), len(positives)), np.nan)
    for row, matches, ignored in zip(table, judged.matches, judged.ignored, strict=True):
        true = (matches >= 0) & ~ignored & chosen
        hits = np.bincount(judged.detections.classes[true], minlength=len(positives))
        np.divide(hits, positives, out=row, where=positives > 0)
    return table
