"""Metrics of class and box, worked by hand."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from convolve.datasets.images import ImageFiles
from convolve.metrics.intervals import accuracy_interval
from convolve.targets import BoxTargets
from convolve.tasks.localize.evaluation import (
    Evaluation,
    LocalizationEvaluator,
    LocalizedImages,
    measure,
    summarize,
)
from convolve.tasks.localize.report import worst_rows
from convolve.values import Batch, Dataset
from tests.tasks.localize.small import boxes_of

OBJECT = (10.0, 10.0, 30.0, 30.0)
HALF = (10.0, 10.0, 20.0, 30.0)  # an IoU of 0.5
LESS = (10.0, 10.0, 19.0, 30.0)  # an IoU of 0.45
APART = (0.0, 0.0, 5.0, 5.0)


def evaluation() -> Evaluation:
    """Class and box right, box wrong, class wrong, both wrong; the third image has no object."""
    boxes = boxes_of([[(*OBJECT, 0)], [(*OBJECT, 0)], [], [(*OBJECT, 1)], [(*OBJECT, 1)]])
    images = ImageFiles(Path("/nowhere"), tuple(f"{number}.png" for number in range(5)))
    data = Dataset("/nowhere", "boxes", "by hand", images, {"boxes": boxes}, {})
    scores = np.array([[0.9, 0.1], [0.6, 0.4], [0.5, 0.5], [0.7, 0.3], [0.8, 0.2]], np.float32)
    return summarize(
        ("disc", "square"), "test", data, np.arange(5), (scores, np.array([HALF, LESS, APART, HALF, APART]))
    )


def test_metrics_worked_by_hand() -> None:
    found = evaluation()
    assert found.images == 4
    assert found.metrics == pytest.approx(
        {"localization_accuracy": 1 / 4, "accuracy": 2 / 4, "box_accuracy": 2 / 4, "mean_iou": (0.5 + 0.45 + 0.5) / 4}
    )
    assert found.intervals["localization_accuracy"] == accuracy_interval(1, 4)
    assert found.intervals["accuracy"] == accuracy_interval(2, 4)
    assert found.intervals["mean_iou"].lower < found.metrics["mean_iou"] < found.intervals["mean_iou"].upper
    assert found.matrix.tolist() == [[2, 0], [2, 0]]


def test_metrics_of_each_class() -> None:
    rows = evaluation().as_json()["classes"]
    assert rows["disc"] == pytest.approx({"recall": 1.0, "mean_iou": 0.475, "localization_accuracy": 0.5, "images": 2})
    assert rows["square"] == pytest.approx({"recall": 0.0, "mean_iou": 0.25, "localization_accuracy": 0.0, "images": 2})


def test_the_worst_images_come_first_and_right_ones_never() -> None:
    localized = evaluation().localized
    assert localized.indices[worst_rows(localized)].tolist() == [4, 3, 1]


def test_with_more_classes_five_guesses_count() -> None:
    scores = np.array([[0.3, 0.2, 0.2, 0.1, 0.1, 0.1]] * 3, np.float32)
    boxes = np.array([OBJECT] * 3)
    found = measure(LocalizedImages(scores, boxes, np.array([0, 4, 5]), boxes, np.arange(3)))
    assert found["localization_accuracy"].tolist() == [True, False, False]
    assert found["top5_localization_accuracy"].tolist() == [True, True, False]


def test_the_evaluator_counts_an_object_that_the_input_does_not_show_as_wrong() -> None:
    evaluator = LocalizationEvaluator(2)
    boxes, none = np.array([OBJECT, OBJECT], np.float32), np.zeros(2, dtype=bool)
    targets = BoxTargets(boxes, np.array([0, 1]), np.array([0, 2]), 3, none)
    predictions = torch.tensor([[0.9, 0.1, *OBJECT], [0.9, 0.1, *OBJECT], [0.2, 0.8, *LESS]])
    evaluator.add(predictions, Batch(np.zeros((3, 1, 1, 3), np.float32), targets, np.arange(3)))
    assert evaluator.metrics() == pytest.approx(
        {"localization_accuracy": 1 / 3, "accuracy": 2 / 3, "box_accuracy": 1 / 3, "mean_iou": (1 + 0.45) / 3}
    )


def test_an_empty_class_has_no_metric() -> None:
    boxes = boxes_of([[(*OBJECT, 0)]])
    data = Dataset("/", "boxes", "", ImageFiles(Path("/nowhere"), ("0.png",)), {"boxes": boxes}, {})
    found = summarize(
        ("disc", "square"), "test", data, np.arange(1), (np.array([[1.0, 0.0]], np.float32), np.array([HALF]))
    )
    assert math.isnan(found.classes.recall[1])
    assert found.as_json()["classes"]["square"]["mean_iou"] is None
