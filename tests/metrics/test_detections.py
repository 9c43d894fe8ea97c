"""Objects and detections are checked when they are made."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from convolve.errors import DataError
from convolve.metrics.detections import Detections, ObjectBoxes, check_indices


def _objects() -> ObjectBoxes:
    boxes = np.array([[0.0, 0, 4, 4], [-1, 2, 8, 6], [3, 3, 3, 9]])
    flags = np.array([False, True, False]), np.array([False, False, True])
    return ObjectBoxes.of(boxes, np.array([0, 2, 0]), np.array([0, 1, 1]), *flags)


def _detections() -> Detections:
    boxes = np.array([[0.0, 0, 4, 4], [2, 2, 2, 2]])
    return Detections(boxes, np.array([0.5, -2.0]), np.array([1, 0]), np.array([3, 0]))


def test_areas_are_those_of_the_boxes_unless_given() -> None:
    assert _objects().areas.tolist() == [16, 36, 0]
    assert replace(_objects(), areas=np.array([3.0, 2, 1])).areas.tolist() == [3, 2, 1]


def test_crowds_and_difficult_objects_are_ignored_and_not_counted() -> None:
    assert _objects().ignored.tolist() == [False, True, True]
    assert _objects().counts(4).tolist() == [1, 0, 0, 0]


def test_rows_are_taken_in_the_order_asked() -> None:
    objects = _objects().take(np.array([2, 0]))
    assert (objects.boxes[:, 3].tolist(), objects.classes.tolist(), objects.images.tolist()) == ([9, 4], [0, 0], [1, 0])
    assert (objects.areas.tolist(), objects.crowd.tolist(), objects.difficult.tolist()) == (
        [0, 16],
        [False, False],
        [True, False],
    )
    detections = _detections().take(np.array([False, True]))
    assert (detections.boxes.tolist(), detections.scores.tolist()) == ([[2, 2, 2, 2]], [-2])
    assert (detections.classes.tolist(), detections.images.tolist()) == ([0], [0])


def test_there_may_be_none() -> None:
    none = np.zeros(0, np.int64)
    assert len(_objects().take(none)) == len(_detections().take(none)) == 0
    assert _objects().take(none).counts(2).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"boxes": np.zeros((3, 5))}, "3 objects need four edges, a class and an image each"),
        ({"boxes": np.zeros(3)}, "3 objects need four edges, a class and an image each"),
        ({"classes": np.zeros(2, np.int64)}, "3 objects need four edges, a class and an image each"),
        ({"images": np.zeros((3, 1), np.int64)}, "3 objects need four edges, a class and an image each"),
        ({"areas": np.zeros(2)}, "3 objects need an area and two flags each"),
        ({"crowd": np.zeros(2, bool)}, "3 objects need an area and two flags each"),
        ({"difficult": np.zeros(4, bool)}, "3 objects need an area and two flags each"),
        ({"areas": np.array([1, -1, 1.0])}, "The area of an object is negative or not a number"),
        ({"areas": np.array([1, np.nan, 1])}, "The area of an object is negative or not a number"),
        ({"boxes": np.full((3, 4), np.nan)}, "An edge of the objects is not a finite number"),
        ({"boxes": np.array([[0, 0, 1, 1.0]] * 2 + [[2, 0, 1, 1]])}, "right or bottom edge of one of the objects"),
        ({"boxes": np.array([[0, 0, 1, 1.0]] * 2 + [[0, 2, 1, 1]])}, "right or bottom edge of one of the objects"),
        ({"classes": np.array([0, -1, 0])}, "The class and image indices of objects count from 0"),
        ({"images": np.array([0, -1, 0])}, "The class and image indices of objects count from 0"),
    ],
)
def test_objects_that_do_not_fit_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        replace(_objects(), **change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"boxes": np.zeros((2, 3))}, "2 detections need four edges, a class and an image each"),
        ({"scores": np.zeros(3)}, "2 detections need a score each"),
        ({"scores": np.array([0.5, np.nan])}, "The score of a detection is not a finite number"),
        ({"scores": np.array([0.5, np.inf])}, "The score of a detection is not a finite number"),
        ({"boxes": np.array([[0, 0, 1, np.inf]] * 2)}, "An edge of the detections is not a finite number"),
        ({"boxes": np.array([[0, 0, 1, -1.0]] * 2)}, "right or bottom edge of one of the detections"),
        ({"images": np.array([0, -1])}, "The class and image indices of detections count from 0"),
    ],
)
def test_detections_that_do_not_fit_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        replace(_detections(), **change)


def test_columns_are_converted_and_fractions_are_no_indices() -> None:
    objects, detections = _objects(), _detections()
    changes: dict[str, Any] = {"boxes": objects.boxes.astype(int), "classes": objects.classes.astype(np.uint8)}
    converted = replace(objects, **changes)
    assert [converted.boxes.dtype.name, converted.classes.dtype.name] == ["float64", "int64"]
    changes = {"scores": detections.scores.astype(np.float32), "images": detections.images.astype(np.int32)}
    found = replace(detections, **changes)
    assert [found.scores.dtype.name, found.images.dtype.name] == ["float64", "int64"]
    with pytest.raises(TypeError, match="Cannot cast"):
        replace(detections, classes=np.array([0.5, 1]))


def test_class_indices_must_be_below_the_number_of_classes() -> None:
    check_indices(_objects(), _detections(), 3)
    with pytest.raises(DataError, match="The class index 2 of an object is none of the 2 classes"):
        check_indices(_objects(), _detections(), 2)
    with pytest.raises(DataError, match="The class index 1 of a detection is none of the 1 classes"):
        check_indices(_objects().take(np.array([0])), _detections(), 1)
