"""Measuring a segmentation image by image."""

from __future__ import annotations

import json

import numpy as np
import pytest

from convolve.metrics.segmentation import pixel_confusion, pixel_metrics
from convolve.models import create
from convolve.tasks.segment import Segment
from convolve.tasks.segment.evaluation import SHOWN, evaluate
from convolve.values import IGNORE, Scored

def task() -> Segment:
    return Segment(create("fcn1s_resnet20_cifar", 3, 3, (16, 16)), ("a", "b", "c"))


def test_masks_of_any_size_are_measured_together_and_the_worst_are_kept() -> None:
    random = np.random.default_rng(0)
    parts, matrix, each = [], np.zeros((3, 3), np.int64), {}
    for index in range(20):
        shape = tuple(random.integers(5, 30, 2))
        truth = random.integers(0, 3, shape, dtype=np.uint8)
        predicted = np.where(random.random(shape) < index / 20, truth, random.integers(0, 3, shape)).astype(np.uint8)
        truth[0, :3] = IGNORE
        own = pixel_confusion(truth, predicted, 3)
        matrix, each[index] = matrix + own, pixel_metrics(own).mean_iou
        parts.append(Scored(predicted[None], truth[None], np.array([index])))
    found = evaluate(task(), "test", parts, {})
    assert found.images == 20
    assert np.array_equal(found.matrix, matrix)
    assert found.metrics["mean_iou"] == pytest.approx(pixel_metrics(matrix).mean_iou)
    worst = sorted(each, key=lambda index: each[index])[:SHOWN]
    assert [answer.index for answer in found.worst] == worst
    assert [answer.mean_iou for answer in found.worst] == sorted(each.values())[:SHOWN]
    document = json.loads(json.dumps(found.as_json(), allow_nan=False))
    assert document["classes"]["b"]["pixels"] == matrix.sum(1)[1]


def test_a_split_without_a_class_has_no_figure_for_it() -> None:
    flat = np.zeros((1, 8, 8), np.uint8)
    found = evaluate(task(), "all", [Scored(flat, flat, np.array([0]))], {})
    document = json.loads(json.dumps(found.as_json(), allow_nan=False))
    assert document["classes"]["c"] == {"iou": None, "boundary_f": None, "pixels": 0}
    assert found.metrics["mean_iou"] == 1.0
