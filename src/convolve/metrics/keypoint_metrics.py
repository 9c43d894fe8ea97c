"""Average precision of keypoints by COCO's rules: those of its program to 1e-12.

The object keypoint similarity (OKS) takes the place of the overlap of boxes: exp(-d² / (2 s² k²)) averaged over the
labeled points of an object, with d the distance, s² the object's area and k twice the point's sigma
(cocodataset.org/#keypoints-eval). In each image the 20 detections of highest score count. Crowds and objects without a
labeled point are ignored; the similarity to the latter is that of the points to the object's box, grown by its own size
on every side. A detection's area is that of the box around its points.

Deviations: what the program gives as -1 is nan; the precision of a first true detection is 1, where the program has
2e-16 less.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

import numpy as np
import numpy.typing as npt

from convolve.errors import DataError
from convolve.metrics.boxes import BoxArray
from convolve.metrics.coco_metrics import AREAS, THRESHOLDS, RankedMatches, average_precisions, recalls_of
from convolve.metrics.confusion import Fractions
from convolve.metrics.detection_matching import Overlaps, match_best_free, order_by_class, rank_in_groups
from convolve.metrics.detections import Detections, ObjectBoxes
from convolve.values import Flags, Indices

MOST_DETECTIONS: Final = 20
"""In one image."""
_MEDIUM, _LARGE = 2, 3
PointArray = npt.NDArray[np.float64]


@final
@dataclass(frozen=True, eq=False)
class KeypointObjects:
    """M objects: their ``points`` (M, P, 2), which of them are ``labeled`` (M, P), ``images`` (M,), ``areas`` (M,) in
    square pixels, ``boxes`` (M, 4), and whether each is a ``crowd`` (M,). Raises `DataError` for arrays that do not
    fit.

    >>> points = np.array([[[3.0, 4.0], [6.0, 8.0]]])
    >>> alone, area = np.array([0]), np.array([80.0])
    >>> box, crowd = np.array([[0.0, 0.0, 8.0, 10.0]]), np.array([False])
    >>> KeypointObjects(points, np.array([[True, False]]), alone, area, box, crowd).pointless
    array([False])
    """

    points: PointArray
    labeled: Flags
    images: Indices
    areas: PointArray
    boxes: BoxArray
    crowd: Flags

    def __post_init__(self) -> None:
        count = len(self.points)
        if self.points.shape != (*self.labeled.shape, 2) or self.boxes.shape != (count, 4):
            raise DataError(f"The points of {count} objects do not fit to their labels and boxes.")
        if any(column.shape != (count,) for column in (self.images, self.areas, self.crowd)):
            raise DataError(f"{count} objects need an image, an area and a flag each.")

    @property
    def pointless(self) -> Flags:
        """(M,) which objects have no labeled point."""
        return np.asarray(~self.labeled.any(1), dtype=bool)

    def take(self, rows: Indices) -> KeypointObjects:
        """Some of the objects, in the order asked."""
        return KeypointObjects(
            self.points[rows],
            self.labeled[rows],
            self.images[rows],
            self.areas[rows],
            self.boxes[rows],
            self.crowd[rows],
        )

    def as_boxes(self) -> ObjectBoxes:
        """The objects for matching: those without a labeled point are the difficult ones."""
        classes = np.zeros(len(self.points), dtype=np.int64)
        return ObjectBoxes(self.boxes, classes, self.images, self.areas, self.crowd, self.pointless)


@final
@dataclass(frozen=True, eq=False)
class KeypointDetections:
    """D detections: their ``points`` (D, P, 2), ``scores`` (D,) and ``images`` (D,). Raises `DataError` for arrays that
    do not fit.
    """

    points: PointArray
    scores: Fractions
    images: Indices

    def __post_init__(self) -> None:
        count = len(self.points)
        if self.points.ndim != 3 or self.scores.shape != (count,) or self.images.shape != (count,):
            raise DataError(f"{count} detections need points, a score and an image each.")

    def as_boxes(self) -> Detections:
        """The boxes around their points."""
        boxes = np.concatenate([self.points.min(1), self.points.max(1)], axis=1)
        return Detections(boxes, self.scores, np.zeros(len(boxes), dtype=np.int64), self.images)


@dataclass(frozen=True)
class KeypointMetrics:
    """Average precision and recall, in the program's order; nan where there is no object."""

    ap: float
    ap50: float
    ap75: float
    ap_medium: float
    ap_large: float
    ar: float
    ar50: float
    ar75: float
    ar_medium: float
    ar_large: float


def keypoint_metrics(
    objects: KeypointObjects, detections: KeypointDetections, sigmas: npt.ArrayLike
) -> KeypointMetrics:
    """The metrics of all images together. Of equal scores, images count in the order of their indices."""
    boxes, known = detections.as_boxes(), objects.as_boxes()
    order = order_by_class(boxes)
    order = order[rank_in_groups(boxes.images[order]) < MOST_DETECTIONS]
    ranked = boxes.take(order)
    overlaps = _find_similar(objects, detections.points[order], ranked, np.asarray(sigmas, dtype=np.float64))
    tables = {area: _judge(known, ranked, overlaps, AREAS[area]) for area in (0, _MEDIUM, _LARGE)}
    (precision, recall), medium, large = (tables[area] for area in (0, _MEDIUM, _LARGE))
    return KeypointMetrics(
        ap=float(precision.mean()),
        ap50=float(precision[0]),
        ap75=float(precision[5]),
        ap_medium=float(medium[0].mean()),
        ap_large=float(large[0].mean()),
        ar=float(recall.mean()),
        ar50=float(recall[0]),
        ar75=float(recall[5]),
        ar_medium=float(medium[1].mean()),
        ar_large=float(large[1].mean()),
    )


def object_keypoint_similarity(objects: KeypointObjects, points: PointArray, sigmas: Fractions) -> Fractions:
    """(M,) the similarity of objects and as many points (M, P, 2)."""
    nearest, farthest = _grown(objects.boxes)
    outside = np.maximum(nearest[:, None] - points, 0) + np.maximum(points - farthest[:, None], 0)
    pointless = objects.pointless
    apart = np.where(pointless[:, None, None], outside, points - objects.points)
    counted = objects.labeled | pointless[:, None]
    exponents = (apart**2).sum(2) / (2 * sigmas) ** 2 / (objects.areas[:, None] + np.spacing(1)) / 2
    similarity: Fractions = (np.exp(-exponents) * counted).sum(1) / counted.sum(1)
    return similarity


def _grown(boxes: BoxArray) -> tuple[PointArray, PointArray]:
    """The corners of boxes that are grown by their own size on every side."""
    sides = boxes[:, 2:] - boxes[:, :2]
    return boxes[:, :2] - sides, boxes[:, :2] + 2 * sides


def _find_similar(objects: KeypointObjects, points: PointArray, ranked: Detections, sigmas: Fractions) -> Overlaps:
    """The pairs of a detection and an object of the same image with at least the least threshold's similarity."""
    rows, columns = np.nonzero(ranked.images[:, None] == objects.images[None])
    similarity = object_keypoint_similarity(objects.take(columns), points[rows], sigmas)
    near = similarity >= THRESHOLDS[0]
    rows, columns, similarity = rows[near], columns[near], similarity[near]
    steps = rank_in_groups(ranked.images)[rows]
    order = np.lexsort((columns, similarity, rows, steps))
    return Overlaps(rows[order], columns[order], similarity[order], steps[order])


def _judge(
    objects: ObjectBoxes, ranked: Detections, overlaps: Overlaps, area: tuple[float, float]
) -> tuple[Fractions, Fractions]:
    """(T,) average precision and (T,) recall of a range of areas."""
    ignored = objects.ignored | (objects.areas < area[0]) | (objects.areas > area[1])
    matches = match_best_free(overlaps, objects, ranked, THRESHOLDS, ignored)
    sides = (ranked.boxes[:, 2:] - ranked.boxes[:, :2]).prod(1)
    outside = (sides < area[0]) | (sides > area[1])
    dropped = np.append(ignored, False)[matches] | ((matches < 0) & outside)
    judged, positives = RankedMatches(ranked, matches, dropped, ~ignored), np.array([(~ignored).sum()])
    counted = np.ones(len(ranked), dtype=bool)
    return average_precisions(judged, positives)[:, 0], recalls_of(judged, positives, counted)[:, 0]
