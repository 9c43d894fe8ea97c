"""The confusion matrix of detections on small cases that can be followed by hand, and its sums on any set."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from convolve.errors import DataError
from convolve.metrics.detection_confusion import detection_confusion
from convolve.metrics.detections import Detections, ObjectBoxes
from convolve.metrics.precision_recall import count_detections, judge_detections
from tests.metrics.detection_sets import DetectionSet, detection_sets, random_set

_LEFT, _MIDDLE, _RIGHT = [0.0, 0, 10, 10], [20.0, 0, 30, 10], [40.0, 0, 50, 10]


def _objects(boxes: list[list[float]], classes: list[int], crowd: list[bool] | None = None) -> ObjectBoxes:
    flags = None if crowd is None else np.array(crowd)
    return ObjectBoxes.of(np.array(boxes), np.array(classes), np.zeros(len(boxes), np.int64), crowd=flags)


def _found(boxes: list[list[float]], classes: list[int], scores: list[float]) -> Detections:
    return Detections(np.array(boxes), np.array(scores), np.array(classes), np.zeros(len(boxes), np.int64))


def test_rows_are_true_classes_and_the_last_ones_background() -> None:
    objects = _objects([_LEFT, _MIDDLE, _RIGHT], [0, 1, 1])
    found = _found([_LEFT, _MIDDLE, [90, 90, 99, 99]], [0, 0, 1], [0.9, 0.8, 0.7])
    assert detection_confusion(objects, found, 2, 0.5).tolist() == [[1, 0, 0], [1, 0, 1], [0, 1, 0]]


def test_only_detections_of_at_least_the_score_count() -> None:
    objects, found = _objects([_LEFT, _MIDDLE], [0, 0]), _found([_LEFT, _MIDDLE], [0, 0], [0.5, 0.49])
    assert detection_confusion(objects, found, 1, 0.5).tolist() == [[1, 1], [0, 0]]


def test_the_highest_score_takes_the_object_and_a_second_detection_is_of_the_background() -> None:
    objects, found = _objects([_LEFT], [0]), _found([[0.0, 0, 10, 9], _LEFT], [1, 0], [0.9, 0.8])
    for rows in ([0, 1], [1, 0]):
        matrix = detection_confusion(objects, found.take(np.array(rows)), 2, 0.0)
        assert matrix.tolist() == [[0, 1, 0], [0, 0, 0], [1, 0, 0]]


def test_a_detection_takes_the_next_best_object_that_is_free() -> None:
    objects = _objects([_LEFT, [0.0, 0, 10, 8]], [0, 1])
    found = _found([_LEFT, _LEFT], [0, 0], [0.9, 0.8])
    assert detection_confusion(objects, found, 2, 0.0).tolist() == [[1, 0, 0], [1, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize("classes", [[0, 1], [1, 0]])
def test_of_equal_overlaps_the_own_class_comes_first(classes: list[int]) -> None:
    objects, found = _objects([_LEFT, _LEFT], classes), _found([_LEFT, _LEFT], [1, 0], [0.9, 0.8])
    assert detection_confusion(objects, found, 2, 0.0).tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 0]]


def test_a_greater_overlap_comes_before_the_own_class() -> None:
    objects = _objects([_LEFT, [0.0, 0, 10, 9]], [0, 1])
    assert detection_confusion(objects, _found([_LEFT], [1], [0.9]), 2, 0.0).tolist() == [
        [0, 1, 0],
        [0, 0, 1],
        [0, 0, 0],
    ]


def test_the_overlap_may_be_exactly_the_threshold() -> None:
    objects, found = _objects([_LEFT], [0]), _found([[0.0, 0, 10, 5]], [0], [0.9])
    assert detection_confusion(objects, found, 1, 0.0, iou=0.5).tolist() == [[1, 0], [0, 0]]
    assert detection_confusion(objects, found, 1, 0.0, iou=0.51).tolist() == [[0, 1], [1, 0]]


def test_what_takes_a_crowd_is_left_out() -> None:
    objects = _objects([_LEFT, _MIDDLE], [0, 0], crowd=[True, False])
    found = _found([_LEFT, [1.0, 1, 5, 5], _MIDDLE], [0, 0, 0], [0.9, 0.8, 0.7])
    assert detection_confusion(objects, found, 1, 0.0).tolist() == [[1, 0], [0, 0]]


def test_an_object_to_be_found_comes_before_a_crowd() -> None:
    objects = _objects([_LEFT, [0.0, 0, 10, 6]], [0, 1], crowd=[True, False])
    assert detection_confusion(objects, _found([_LEFT], [0], [0.9]), 2, 0.0)[1].tolist() == [1, 0, 0]


@settings(max_examples=60, deadline=None)
@given(detection_sets())
def test_each_object_is_in_its_row_and_with_one_class_the_counts_are_the_same(made: DetectionSet) -> None:
    matrix = detection_confusion(made.objects, made.detections, made.classes, 0.3)
    assert matrix[:-1].sum(1).tolist() == made.objects.counts(made.classes).tolist()
    assert matrix[-1, -1] == 0
    counted = np.bincount(made.detections.classes[made.detections.scores >= 0.3], minlength=made.classes)
    assert (matrix.sum(0)[:-1] <= counted).all()
    none = np.zeros(len(made.objects), np.int64), np.zeros(len(made.detections), np.int64)
    objects = ObjectBoxes.of(
        made.objects.boxes, none[0], made.objects.images, made.objects.crowd, made.objects.difficult
    )
    found = Detections(made.detections.boxes, made.detections.scores, none[1], made.detections.images)
    counts = count_detections(judge_detections(objects, found, 1), 0.3)
    parts = (counts.true_positives, counts.false_negatives, counts.false_positives)
    assert detection_confusion(objects, found, 1, 0.3).ravel()[:3].tolist() == [int(part[0]) for part in parts]


def test_a_class_that_is_not_there_is_named() -> None:
    with pytest.raises(DataError, match="The class index 2 of an object is none of the 2 classes"):
        detection_confusion(random_set(1).objects, random_set(1).detections, 2, 0.5)
