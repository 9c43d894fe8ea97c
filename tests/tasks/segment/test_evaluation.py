"""A segmentation is evaluated image by image, at the size of the masks."""

from __future__ import annotations

import json

import numpy as np
import pytest

from convolve.datasets.batches import Batches, BatchOptions
from convolve.datasets.cache import open_cache
from convolve.datasets.images import ImageArray
from convolve.datasets.masks import Masks
from convolve.metrics.segmentation import pixel_confusion, pixel_metrics
from convolve.models import create
from convolve.runtime import choose
from convolve.tasks.segment.evaluation import WORST, Evaluation
from convolve.tasks.segment.task import Segment
from convolve.tasks.task import EvaluationData
from convolve.values import IGNORE, Dataset, Pixels, Preprocessing


class Reader:
    """Masks of any size in memory."""

    def __init__(self, masks: list[Pixels]) -> None:
        self.masks = masks

    def __len__(self) -> int:
        return len(self.masks)

    def read(self, index: int) -> Pixels:
        return self.masks[index]

    def digest(self, index: int) -> bytes:
        return self.masks[index].tobytes()


def evaluate(targets: list[Pixels], predicted: list[Pixels], split: str, patch: pytest.MonkeyPatch) -> Evaluation:
    """Of a network that predicts these masks."""
    images = ImageArray(np.zeros((len(targets), 16, 16, 3), np.uint8), "image")
    masks = Masks(Reader(targets), ("a", "b", "c"), ((0, 0, 0),) * 3)
    preprocessing = Preprocessing(16, 16, 3, "stretch", (0.5,) * 3, (0.5,) * 3)
    indices = np.arange(len(targets))
    source = open_cache(images, preprocessing, None, 0)
    batches = Batches(source, masks, indices, BatchOptions(preprocessing, 4, 0, shuffle=False))
    given = iter(predicted)
    patch.setattr("convolve.tasks.segment.tiled_prediction.predict_image", lambda image, size, *_: next(given))
    data = EvaluationData(
        split,
        Dataset("", "", "", images, {"masks": masks}, {}),
        indices,
        batches,
        preprocessing,
        choose("cpu", "fp32", 1),
    )
    task = Segment(create("fcn1s_resnet20_cifar", 3, 3, (16, 16)), ("a", "b", "c"))
    return task.evaluate(data)


def test_masks_of_any_size_are_evaluated_together_and_the_worst_images_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    targets, predicted, matrix, each = [], [], np.zeros((3, 3), np.int64), {}
    for index in range(20):
        shape = tuple(random.integers(5, 30, 2))
        target = random.integers(0, 3, shape, dtype=np.uint8)
        guess = np.where(random.random(shape) < index / 20, target, random.integers(0, 3, shape)).astype(np.uint8)
        target[0, :3] = IGNORE
        own = pixel_confusion(target, guess, 3)
        matrix, each[index] = matrix + own, pixel_metrics(own).mean_iou
        targets.append(target)
        predicted.append(guess)
    found = evaluate(targets, predicted, "test", monkeypatch)
    assert (found.split, found.images) == ("test", 20)
    assert np.array_equal(found.matrix, matrix)
    assert found.metrics["mean_iou"] == pytest.approx(pixel_metrics(matrix).mean_iou)
    assert [image.index for image in found.worst] == sorted(each, key=lambda index: each[index])[:WORST]
    assert [image.mean_iou for image in found.worst] == sorted(each.values())[:WORST]
    document = json.loads(json.dumps(found.as_json(), allow_nan=False))
    assert document["classes"]["b"]["pixels"] == matrix.sum(1)[1]


def test_a_split_without_a_class_has_no_metric_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    flat = np.zeros((8, 8), np.uint8)
    found = evaluate([flat], [flat], "all", monkeypatch)
    document = json.loads(json.dumps(found.as_json(), allow_nan=False))
    assert document["classes"]["c"] == {"iou": None, "boundary_f": None, "pixels": 0}
    assert found.metrics["mean_iou"] == 1.0
