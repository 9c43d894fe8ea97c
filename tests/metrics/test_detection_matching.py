"""Overlaps and the two rules of matching, against loops over one detection after another."""

from __future__ import annotations

from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convolve.errors import OptionError
from convolve.metrics import detection_matching
from convolve.metrics.boxes import intersection_over_union
from convolve.metrics.detection_matching import (
    best_overlaps,
    find_overlaps,
    match_best,
    match_best_free,
    order_by_class,
    rank_in_groups,
)
from convolve.metrics.detections import Detections, ObjectBoxes
from tests.metrics.detection_sets import DetectionSet, detection_sets, random_set


def _sorted(made: DetectionSet) -> Detections:
    return made.detections.take(order_by_class(made.detections))


def _matches_by_loop(
    objects: ObjectBoxes, detections: Detections, iou: float, ignored: np.ndarray, *, same_class: bool
) -> list[int]:
    taken: set[int] = set()
    matches = []
    for row in np.argsort(-detections.scores, kind="stable"):
        choices = []
        for column in range(len(objects)):
            same = bool(objects.classes[column] == detections.classes[row])
            if objects.images[column] != detections.images[row] or (same_class and not same) or column in taken:
                continue
            overlap = _overlap(objects, detections, column, int(row))
            if overlap >= iou:
                choices.append((not ignored[column], overlap, same, column))
        best = max(choices)[-1] if choices else -1
        taken |= {best} if best >= 0 and not objects.crowd[best] else set()
        matches.append((int(row), best))
    return [best for _, best in sorted(matches)]


def _overlap(objects: ObjectBoxes, detections: Detections, column: int, row: int) -> float:
    (left, top, right, bottom), (x1, y1, x2, y2) = detections.boxes[row], objects.boxes[column]
    width, height = min(right, x2) - max(left, x1), min(bottom, y2) - max(top, y1)
    if width <= 0 or height <= 0:
        return 0.0
    area = (right - left) * (bottom - top)
    union = area if objects.crowd[column] else area + (x2 - x1) * (y2 - y1) - width * height
    return float(width * height / union)


@settings(max_examples=50, deadline=None)
@given(detection_sets(), st.sampled_from([0.1, 0.5, 0.75, 1.0]), st.booleans())
def test_each_takes_the_best_that_is_free(made: DetectionSet, iou: float, same_class: bool) -> None:
    order = np.argsort(-made.detections.scores, kind="stable")
    detections = made.detections.take(order)
    overlaps = find_overlaps(made.objects, detections, min(iou, 0.9), same_class=same_class)
    found = match_best_free(overlaps, made.objects, detections, np.array([0.95, iou]), made.objects.ignored)
    for row, threshold in zip(found, (0.95, iou), strict=True):
        expected = _matches_by_loop(made.objects, detections, threshold, made.objects.ignored, same_class=same_class)
        assert row.tolist() == expected


@pytest.mark.parametrize("block", [1, 7, 100, 2**18])
def test_blocks_change_nothing(block: int) -> None:
    made = random_set(5, objects=30, detections=200)
    detections = _sorted(made)
    whole = find_overlaps(made.objects, detections, 0.1)
    with mock.patch.object(detection_matching, "_BLOCK", block):
        parts = find_overlaps(made.objects, detections, 0.1)
    for name in ("detections", "objects", "iou", "steps"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name))


def test_pairs_are_those_of_the_same_image_and_class() -> None:
    made = random_set(6, objects=30, detections=200)
    detections, objects = _sorted(made), made.objects
    iou = intersection_over_union(detections.boxes, objects.boxes)
    allowed = (iou >= 0.3) & (detections.images[:, None] == objects.images)
    for same_class in (False, True):
        overlaps = find_overlaps(objects, detections, 0.3, same_class=same_class, crowds=False)
        wanted = allowed & (detections.classes[:, None] == objects.classes) if same_class else allowed
        pairs = np.stack([overlaps.detections, overlaps.objects], axis=1)
        assert sorted(pairs.tolist()) == np.argwhere(wanted).tolist()
        np.testing.assert_allclose(overlaps.iou, iou[overlaps.detections, overlaps.objects], rtol=1e-14)


def test_steps_count_detections_of_the_group_that_overlap_something() -> None:
    boxes = np.array([[0.0, 0, 4, 4], [90, 90, 94, 94], [0, 0, 4, 4], [0, 0, 4, 4]])
    objects = ObjectBoxes.of(boxes[:1], np.array([0]), np.array([0]))
    detections = Detections(boxes, np.array([0.9, 0.8, 0.7, 0.6]), np.zeros(4, np.int64), np.zeros(4, np.int64))
    overlaps = find_overlaps(objects, detections, 0.5)
    assert (overlaps.detections.tolist(), overlaps.steps.tolist()) == ([0, 2, 3], [0, 1, 2])


def test_of_equal_overlaps_the_later_object_is_taken_first() -> None:
    boxes, rows = np.tile([0.0, 0, 4, 4], (3, 1)), np.zeros(3, np.int64)
    objects, detections = ObjectBoxes.of(boxes, rows, rows), Detections(boxes, np.ones(3), rows, rows)
    overlaps = find_overlaps(objects, detections, 0.5)
    assert match_best_free(overlaps, objects, detections, np.array([0.5]), objects.crowd).tolist() == [[2, 1, 0]]
    ignored = np.array([False, False, True])
    assert match_best_free(overlaps, objects, detections, np.array([0.5]), ignored).tolist() == [[1, 0, 2]]


def test_a_crowd_is_taken_any_number_of_times_by_the_fraction_inside() -> None:
    objects = ObjectBoxes.of(np.array([[0.0, 0, 100, 100]]), np.array([0]), np.array([0]), crowd=np.array([True]))
    boxes = np.array([[10.0, 10, 20, 20], [95, 0, 105, 10], [96, 0, 106, 10]])
    detections = Detections(boxes, np.array([0.9, 0.8, 0.7]), np.zeros(3, np.int64), np.zeros(3, np.int64))
    overlaps = find_overlaps(objects, detections, 0.1)
    assert match_best_free(overlaps, objects, detections, np.array([0.5]), objects.crowd).tolist() == [[0, 0, -1]]
    assert len(find_overlaps(objects, detections, 0.1, crowds=False).iou) == 0


def test_the_best_overlap_counts_whoever_has_it_and_the_earlier_of_equal_ones() -> None:
    boxes = np.array([[0.0, 0, 4, 4], [0, 0, 4, 4], [0, 0, 4, 5]])
    objects = ObjectBoxes.of(boxes, np.zeros(3, np.int64), np.zeros(3, np.int64))
    detections = Detections(boxes, np.ones(3), np.zeros(3, np.int64), np.zeros(3, np.int64))
    overlaps = find_overlaps(objects, detections, 0.5)
    assert match_best(overlaps, detections, 0.5).tolist() == [0, 0, 2]
    assert match_best(overlaps, detections, 1.0).tolist() == [-1, -1, -1]
    found, iou = best_overlaps(overlaps.detections, overlaps.objects, overlaps.iou, 4)
    assert (found.tolist(), iou.tolist()) == ([0, 0, 2, -1], [1, 1, 1, 0])


@pytest.mark.parametrize("least", [0.0, -0.5, 1.1, float("nan")])
def test_an_overlap_that_is_no_threshold_is_refused(least: float) -> None:
    made = random_set(0)
    with pytest.raises(OptionError, match="give one above 0, and at most 1"):
        find_overlaps(made.objects, _sorted(made), least)


def test_equal_boxes_overlap_wholly_whatever_the_rounding() -> None:
    boxes = np.random.default_rng(0).random((200, 2)) * 100
    boxes = np.hstack([boxes, boxes + np.random.default_rng(1).random((200, 2))])
    rows = np.arange(200)
    objects = ObjectBoxes.of(boxes, np.zeros(200, np.int64), rows)
    detections = Detections(boxes, np.ones(200), np.zeros(200, np.int64), rows)
    overlaps = find_overlaps(objects, detections, 1.0)
    assert match_best_free(overlaps, objects, detections, np.ones(1), objects.crowd)[0].tolist() == rows.tolist()


def test_detections_are_in_the_order_of_classes_scores_images() -> None:
    scores, images = np.array([0.1, 0.9, 0.9, 0.9, 0.5]), np.array([0, 1, 0, 0, 0])
    detections = Detections(np.zeros((5, 4)), scores, np.array([0, 0, 0, 0, 1]), images)
    assert order_by_class(detections).tolist() == [2, 3, 1, 0, 4]


@given(st.lists(st.integers(0, 5)))
def test_ranks_count_what_came_before(groups: list[int]) -> None:
    expected = [groups[:index].count(group) for index, group in enumerate(groups)]
    assert rank_in_groups(np.array(groups, np.int64)).tolist() == expected
