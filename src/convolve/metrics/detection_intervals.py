"""How sure average precision is: intervals by the bootstrap over images.

Davison, Hinkley, "Bootstrap Methods and their Application" (1997), section 5.2.1, equation 5.6: the basic interval. A
replicate draws as many images as there are, with replacement; its average precision is measured as if it were the
split. Detections are matched once: an image that is drawn twice only counts twice. Where scores are equal, the two
draws of a detection are taken to follow each other.

Average precision comes out higher on fewer objects, because its envelope keeps what chance makes better. A replicate
has fewer different images than the split, and so lies a little above it on average, as the split lies above a greater
one. The basic interval takes the replicates' distances from the split to be the split's from what is estimated, and so
moves against that bias. In a simulation it covered the value on very many images in 92 % of splits with 3 classes and
100 images, and in 85 % with 20 classes, most of them rare, and 500 images; the replicates' own percentiles in 84 % and
32 %.

>>> images = np.arange(20)
>>> boxes = np.tile([0.0, 0, 4, 4], (20, 1))
>>> objects = ObjectBoxes.of(boxes, np.zeros(20, int), images)
>>> found = Detections(boxes[:15], np.ones(15), np.zeros(15, int), images[:15])
>>> intervals = bootstrap_intervals(objects, found, classes=1, images=20, replicates=200)
>>> [round(end, 2) for end in intervals.ap50]
[0.6, 0.95]
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from convolve.errors import DataError
from convolve.metrics.average_precision import COCO_POINTS, mean_precision_at
from convolve.metrics.coco_metrics import THRESHOLDS, RankedMatches, coco_metrics, limit_detections, match_by_area
from convolve.metrics.confusion import Fractions
from convolve.metrics.detection_matching import find_overlaps
from convolve.metrics.detections import Detections, ObjectBoxes, check_indices
from convolve.metrics.intervals import Interval

_BLOCK = 2**22  # numbers in one array, for memory
_Weights = npt.NDArray[np.int64]


class BootstrapIntervals(NamedTuple):
    """Intervals for COCO's AP50 and AP of all classes; nan at both ends where there is nothing to measure."""

    ap50: Interval
    ap: Interval


def bootstrap_intervals(
    objects: ObjectBoxes, detections: Detections, classes: int, images: int, *, replicates: int = 1000, seed: int = 0
) -> BootstrapIntervals:
    """The 95 % intervals for a split of ``images`` images, those without objects or detections included.

    A class that has no object among a replicate's images is left out of its mean. The same seed gives the same
    intervals. Raises `DataError` where a class or image index is too great.
    """
    check_indices(objects, detections, classes)
    for part in (objects.images, detections.images):
        if len(part) and int(part.max()) >= images:
            raise DataError(f"The image index {int(part.max())} is none of the {images} images.")
    values = bootstrap_replicates(objects, detections, classes, images, replicates=replicates, seed=seed)
    split = coco_metrics(objects, detections, classes)
    ends = (_basic_interval(value, column) for value, column in zip((split.ap50, split.ap), values.T, strict=True))
    return BootstrapIntervals(*ends)


def bootstrap_replicates(
    objects: ObjectBoxes, detections: Detections, classes: int, images: int, *, replicates: int = 1000, seed: int = 0
) -> Fractions:
    """(replicates, 2) AP50 and AP of each replicate; nan where none of its images has an object."""
    ranked = limit_detections(detections)
    judged = match_by_area(objects, ranked, find_overlaps(objects, ranked, float(THRESHOLDS[0])))
    largest = max(images, len(objects), int(np.bincount(ranked.classes, minlength=1).max()), 1)
    values = []
    for weights in _draw(images, replicates, max(1, _BLOCK // largest), seed):
        table = np.stack([_class_precisions(objects, judged, index, weights) for index in range(classes)], axis=1)
        measured = ~np.isnan(table[0])
        count = np.maximum(measured.sum(axis=0), 1)
        means = np.where(measured.any(axis=0), np.nan_to_num(table).sum(axis=1) / count, np.nan)
        values.append(np.stack([means[0], means.mean(axis=0)], axis=1))
    return np.concatenate(values)


def _draw(images: int, replicates: int, block: int, seed: int) -> Iterator[_Weights]:
    """(images, B) how often each replicate draws each image, in blocks of replicates."""
    random = np.random.default_rng(seed)
    for start in range(0, replicates, block):
        size = min(block, replicates - start)
        drawn = [np.bincount(random.integers(0, images, images), minlength=images) for _ in range(size)]
        yield np.stack(drawn, axis=1)


def _class_precisions(objects: ObjectBoxes, judged: RankedMatches, index: int, weights: _Weights) -> Fractions:
    """(T, B) average precision of a class at each threshold in each replicate."""
    first, last = np.searchsorted(judged.detections.classes, [index, index + 1])
    drawn = weights[judged.detections.images[first:last]]
    everything = np.cumsum(drawn, axis=0)
    positives = weights[objects.images[judged.sought & (objects.classes == index)]].sum(axis=0)
    rows = []
    for matches, ignored in zip(judged.matches[:, first:last], judged.ignored[:, first:last], strict=True):
        ranks = np.flatnonzero((matches >= 0) & ~ignored)
        dropped = np.flatnonzero(ignored)
        counted = everything[ranks]
        if len(dropped):
            before = np.cumsum(np.pad(drawn[dropped], ((1, 0), (0, 0))), axis=0)
            counted -= before[np.searchsorted(dropped, ranks)]
        rows.append(mean_precision_at(COCO_POINTS, np.cumsum(drawn[ranks], axis=0), counted, positives))
    return np.stack(rows)


def _basic_interval(estimate: float, values: Fractions) -> Interval:
    """The middle 95 % of the replicates' values that are not nan, reflected at the estimate, within 0 and 1."""
    measured = values[~np.isnan(values)]
    if not len(measured):
        return Interval(float("nan"), float("nan"))
    lower, upper = np.quantile(measured, [0.025, 0.975])
    low, high = np.clip([2 * estimate - upper, 2 * estimate - lower], 0, 1).tolist()
    return Interval(low, high)
