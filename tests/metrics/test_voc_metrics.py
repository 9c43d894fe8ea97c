"""VOC's metrics against its program's stored results, and against its rules carried out one by one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from convolve.errors import DataError
from convolve.metrics.detections import Detections, ObjectBoxes
from convolve.metrics.voc_metrics import voc_metrics
from tests.metrics.detection_sets import (
    REFERENCES,
    DetectionSet,
    detection_sets,
    evaluate_by_voc_rules,
    random_set,
    read_reference,
)


@pytest.mark.parametrize("path", REFERENCES, ids=lambda path: path.stem)
def test_stored_results_of_the_program_are_met(path: Path) -> None:
    made, content = read_reference(path)
    metrics = voc_metrics(made.objects, made.detections, made.classes)
    results = content["results"]["voc_iou_0_5"]
    for index, kind in enumerate(content["categories"]):
        expected = results[kind["name"]]
        assert metrics.detections[index] == expected["detections"]
        assert metrics.objects[index] == expected["positives"]
        if not expected["positives"]:
            assert np.isnan([metrics.eleven_point[index], metrics.area[index]]).all()
        elif not expected["detections"]:
            assert [metrics.eleven_point[index], metrics.area[index]] == [0, 0]
        else:
            values = [metrics.eleven_point[index], metrics.area[index]]
            np.testing.assert_allclose(values, [expected["ap_11point"], expected["ap_area"]], rtol=0, atol=1e-12)
            true, false = metrics.true_positives[index], metrics.false_positives[index]
            np.testing.assert_allclose(true / expected["positives"], expected["recall_end"])
            np.testing.assert_allclose(true / (true + false), expected["precision_end"])
    means = [metrics.mean_eleven_point, metrics.mean_area]
    expected = [results["_mean"]["ap_11point"], results["_mean"]["ap_area"]]
    np.testing.assert_allclose(means, expected, rtol=0, atol=1e-12)


@settings(max_examples=200, deadline=None)
@given(detection_sets())
def test_any_set_is_measured_by_the_rules(made: DetectionSet) -> None:
    metrics = voc_metrics(made.objects, made.detections, made.classes)
    expected = [evaluate_by_voc_rules(made, index) for index in range(made.classes)]
    np.testing.assert_allclose(metrics.eleven_point, [row[0] for row in expected], rtol=0, atol=1e-12)
    np.testing.assert_allclose(metrics.area, [row[1] for row in expected], rtol=0, atol=1e-12)


@pytest.mark.parametrize("iou", [0.25, 0.75])
def test_other_thresholds(iou: float) -> None:
    made = random_set(3, objects=30, detections=100, steps=100)
    metrics = voc_metrics(made.objects, made.detections, made.classes, iou)
    expected = [evaluate_by_voc_rules(made, index, iou) for index in range(made.classes)]
    np.testing.assert_allclose(np.stack([metrics.eleven_point, metrics.area], 1), expected, rtol=0, atol=1e-12)
    assert metrics.mean_area != voc_metrics(made.objects, made.detections, made.classes).mean_area


def _row(*boxes: list[float]) -> ObjectBoxes:
    zeros = np.zeros(len(boxes), np.int64)
    return ObjectBoxes.of(np.array(boxes, float), zeros, zeros)


def _found(*boxes: list[float]) -> Detections:
    zeros = np.zeros(len(boxes), np.int64)
    return Detections(np.array(boxes, float), np.linspace(0.9, 0.1, len(boxes)), zeros, zeros)


def test_the_threshold_must_be_exceeded() -> None:
    assert voc_metrics(_row([0, 0, 10, 10]), _found([0, 0, 10, 5]), 1).mean_area == 0.0
    assert voc_metrics(_row([0, 0, 10, 10]), _found([0, 0, 10, 5.01]), 1).mean_area == 1.0


def test_there_is_no_second_choice() -> None:
    objects = _row([0, 0, 10, 10], [0, 0, 10, 8])
    metrics = voc_metrics(objects, _found([0, 0, 10, 10], [0, 0, 10, 9.9]), 1)
    assert (metrics.true_positives.tolist(), metrics.false_positives.tolist()) == ([1], [1])


def test_three_of_ten_objects_do_not_reach_the_fourth_point() -> None:
    boxes = [[20.0 * index, 0, 20 * index + 10, 10] for index in range(10)]
    assert voc_metrics(_row(*boxes), _found(*boxes[:3]), 1).mean_eleven_point == pytest.approx(3 / 11)
    assert voc_metrics(_row(*boxes), _found(*boxes[:4]), 1).mean_eleven_point == pytest.approx(5 / 11)


def test_difficult_objects_and_crowds_are_neither_right_nor_wrong() -> None:
    objects = _row([0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10])
    flags = np.array([False, True, False]), np.array([False, False, True])
    objects = ObjectBoxes.of(objects.boxes, objects.classes, objects.images, *flags)
    metrics = voc_metrics(objects, _found([20, 0, 30, 10], [40, 0, 50, 10], [40, 0, 50, 10], [0, 0, 10, 10]), 1)
    assert [metrics.mean_area, metrics.mean_eleven_point] == pytest.approx([1.0, 1.0])
    assert [metrics.objects[0], metrics.detections[0], metrics.false_positives[0]] == [1, 4, 0]


def test_a_class_that_is_not_there_is_named() -> None:
    with pytest.raises(DataError, match="The class index 2 of an object is none of the 2 classes"):
        voc_metrics(random_set(1).objects, random_set(1).detections, 2)
