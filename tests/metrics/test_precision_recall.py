"""Curves, thresholds and counts against detections that are filtered first and judged then."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings

from convolve.errors import DataError
from convolve.metrics.coco_metrics import coco_metrics
from convolve.metrics.detections import Detections, ObjectBoxes
from convolve.metrics.precision_recall import (
    best_threshold,
    class_average_precision,
    count_detections,
    judge_detections,
    precision_recall_curves,
)
from tests.metrics.detection_sets import DetectionSet, detection_sets, random_set


def _without_difficult(made: DetectionSet) -> DetectionSet:
    return made._replace(objects=made.objects.take(~made.objects.difficult))


@settings(max_examples=60, deadline=None)
@given(detection_sets())
def test_a_threshold_counts_what_the_remaining_detections_alone_would(made: DetectionSet) -> None:
    judged = judge_detections(made.objects, made.detections, made.classes)
    for score in (0.0, 0.4, 0.6):
        fewer = made.detections.take(made.detections.scores >= score)
        alone = judge_detections(made.objects, fewer, made.classes)
        counts, expected = count_detections(judged, score), count_detections(alone, -np.inf)
        assert counts.true_positives.tolist() == expected.true_positives.tolist()
        assert counts.false_positives.tolist() == expected.false_positives.tolist()
        assert counts.false_negatives.tolist() == expected.false_negatives.tolist()
        assert (counts.true_positives + counts.false_negatives).tolist() == made.objects.counts(made.classes).tolist()


@settings(max_examples=60, deadline=None)
@given(detection_sets())
def test_the_best_threshold_is_the_best_of_all(made: DetectionSet) -> None:
    judged = judge_detections(made.objects, made.detections, made.classes)
    best = best_threshold(judged)
    assume(judged.true.any())
    found = {}
    for score in np.unique(made.detections.scores):
        counts = count_detections(judged, score)
        hits, false, missed = (
            int(part.sum()) for part in (counts.true_positives, counts.false_positives, counts.false_negatives)
        )
        if hits:
            found[float(score)] = (
                2 * hits / (2 * hits + false + missed),
                hits / (hits + false),
                hits / (hits + missed),
            )
    assert best.f1 == max(value[0] for value in found.values())
    assert best.threshold == max(score for score, value in found.items() if value[0] == best.f1)
    assert (best.f1, best.precision, best.recall) == found[best.threshold]


@settings(max_examples=60, deadline=None)
@given(detection_sets())
def test_average_precision_is_that_of_coco_where_no_object_is_difficult(made: DetectionSet) -> None:
    made = _without_difficult(made)
    groups = made.detections.images * made.classes + made.detections.classes
    assume(np.bincount(groups, minlength=1).max() <= 100)
    metrics = coco_metrics(made.objects, made.detections, made.classes)
    for iou, row in ((0.5, 0), (0.75, 5)):
        judged = judge_detections(made.objects, made.detections, made.classes, iou)
        np.testing.assert_allclose(class_average_precision(judged), metrics.class_ap_by_iou[row], atol=1e-12)


def test_curves_have_a_point_for_each_score_of_the_class() -> None:
    made = random_set(2, objects=30, detections=120, steps=12)
    judged = judge_detections(made.objects, made.detections, made.classes)
    for index, curve in enumerate(precision_recall_curves(judged)):
        scores = np.unique(judged.scores[judged.classes == index])[::-1]
        assert curve.scores.tolist() == scores.tolist()
        for position, score in enumerate(scores):
            counts = count_detections(judged, score)
            hits = counts.true_positives[index]
            assert curve.precision[position] == hits / (hits + counts.false_positives[index])
            assert curve.recall[position] == hits / judged.positives[index]


def test_a_class_without_objects_has_no_recall() -> None:
    made = random_set(2, classes=2)
    objects = made.objects.take(made.objects.classes == 0)
    curve = precision_recall_curves(judge_detections(objects, made.detections, 2))[1]
    assert len(curve.scores) > 0
    assert curve.precision.tolist() == [0.0] * len(curve.scores)
    assert np.isnan(curve.recall).all()


def test_rows_and_matches_name_what_was_passed() -> None:
    made = random_set(7, objects=30, detections=120)
    judged = judge_detections(made.objects, made.detections, made.classes)
    assert judged.scores.tolist() == made.detections.scores[judged.rows].tolist()
    assert judged.classes.tolist() == made.detections.classes[judged.rows].tolist()
    taken = judged.matches[judged.true]
    assert len(set(taken.tolist())) == len(taken) > 0
    assert made.objects.classes[taken].tolist() == judged.classes[judged.true].tolist()
    assert made.objects.images[taken].tolist() == made.detections.images[judged.rows[judged.true]].tolist()
    assert not made.objects.ignored[taken].any()


def test_what_takes_a_difficult_object_or_a_crowd_does_not_count() -> None:
    boxes = np.array([[0.0, 0, 8, 8], [20, 0, 28, 8], [40, 0, 48, 8]])
    rows = np.zeros(3, np.int64)
    flags = np.array([False, True, False]), np.array([False, False, True])
    judged = judge_detections(ObjectBoxes.of(boxes, rows, rows, *flags), Detections(boxes, np.ones(3), rows, rows), 1)
    assert (judged.rows.tolist(), judged.positives.tolist()) == ([0], [1])


def test_an_object_to_be_found_comes_before_a_difficult_one_of_greater_overlap() -> None:
    boxes, rows = np.array([[0.0, 0, 8, 8], [0, 0, 8, 6]]), np.zeros(2, np.int64)
    objects = ObjectBoxes.of(boxes, rows, rows, difficult=np.array([True, False]))
    judged = judge_detections(objects, Detections(boxes[:1], np.ones(1), rows[:1], rows[:1]), 1)
    assert judged.matches.tolist() == [1]


def test_metrics_of_the_counts() -> None:
    boxes = np.array([[0.0, 0, 8, 8], [20, 0, 28, 8], [40, 0, 48, 8]])
    objects = ObjectBoxes.of(boxes, np.array([0, 0, 1]), np.zeros(3, np.int64))
    found = Detections(boxes, np.array([0.9, 0.8, 0.7]), np.array([0, 2, 1]), np.zeros(3, np.int64))
    metrics = count_detections(judge_detections(objects, found, 3), 0.75).metrics()
    assert metrics.precision.tolist() == [1, 0, 0]
    assert metrics.recall.tolist() == [0.5, 0, 0]
    assert (metrics.support.tolist(), metrics.predictions.tolist()) == ([2, 1, 0], [1, 0, 1])


@pytest.mark.parametrize("missing", ["objects", "detections", "overlaps"])
def test_without_any_true_detection_there_is_no_threshold(missing: str) -> None:
    made = random_set(4)
    none = np.zeros(0, np.int64)
    objects = made.objects.take(none) if missing == "objects" else made.objects
    found = made.detections.take(none) if missing == "detections" else made.detections
    if missing == "overlaps":
        found = Detections(found.boxes + 1000, found.scores, found.classes, found.images)
    best = best_threshold(judge_detections(objects, found, made.classes))
    assert np.isnan(best.threshold)
    assert (best.f1, best.precision, best.recall) == (0, 0, 0)


def test_a_class_that_is_not_there_is_named() -> None:
    with pytest.raises(DataError, match="The class index 2 of an object is none of the 2 classes"):
        judge_detections(random_set(1).objects, random_set(1).detections, 2)
