"""How good a detector is on a split."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast, final

import numpy as np
import torch
from torch import Tensor

from convolve.datasets.boxes import Boxes
from convolve.metrics.coco_metrics import CocoMetrics, coco_metrics
from convolve.metrics.detections import Detections, ObjectBoxes
from convolve.metrics.voc_metrics import VocMetrics, voc_metrics
from convolve.targets import BoxTargets
from convolve.tasks.detect.placement import input_matrices, to_image
from convolve.training.evaluation import evaluation_mode
from convolve.values import Batch, Indices

if TYPE_CHECKING:
    from rich.console import RenderableType

    from convolve.tasks.detect.task import Detect
    from convolve.tasks.task import EvaluationData


@dataclass(frozen=True)
class Evaluation:
    """``metrics`` of a split by name, from 0 to 1; by the rules of COCO and of Pascal VOC."""

    split: str
    images: int
    names: tuple[str, ...]
    metrics: Mapping[str, float]
    coco: CocoMetrics
    voc: VocMetrics

    def as_json(self) -> dict[str, Any]:
        """Plain numbers and lists; an undefined metric is null."""
        return {
            "split": self.split,
            "images": self.images,
            "metrics": {name: _finite(value) for name, value in self.metrics.items()},
        }

    def to_console(self) -> Iterator[RenderableType]:
        """The metrics, then those of each class."""
        from convolve.tasks.detect.report import console_output

        yield from console_output(self)


@final
class BoxEvaluator:
    """Gathers detections and objects in pixels of the input."""

    def __init__(self, classes: int) -> None:
        self._classes, self._images = classes, 0
        self._found: list[Detections] = []
        self._objects: list[ObjectBoxes] = []

    def add(self, predictions: Tensor, batch: Batch) -> None:
        """(N, K, 6) detections of a batch."""
        targets = cast(BoxTargets, batch.targets)
        self._found.append(as_detections(predictions, self._images))
        boxes, image = targets.boxes.astype(np.float64), targets.image + self._images
        self._objects.append(ObjectBoxes.of(boxes, targets.classes, image, crowd=targets.ignored))
        self._images += len(targets)

    def metrics(self) -> dict[str, float]:
        """Average precision by COCO's rules, at an IoU of 0.5 and over 0.5 to 0.95."""
        found = coco_metrics(join_objects(self._objects), join_detections(self._found), self._classes)
        return {"ap50": found.ap50, "ap": found.ap}


def evaluate(task: Detect, data: EvaluationData) -> Evaluation:
    """Predict the images by the task's own rule and measure in their own pixels; unreadable ones are left out."""
    objects, detections, images = detect_split(task, data)
    count = len(task.classes)
    coco, voc = coco_metrics(objects, detections, count), voc_metrics(objects, detections, count)
    metrics = {"ap50": coco.ap50, "ap": coco.ap, "ap75": coco.ap75, "voc_ap50": voc.mean_area}
    return Evaluation(data.split, len(images), task.classes, metrics, coco, voc)


def detect_split(task: Detect, data: EvaluationData) -> tuple[ObjectBoxes, Detections, Indices]:
    """The objects and the detections of a split's readable images, numbered from 0, and (N,) those images' indices in
    the dataset.

    What is difficult counts as a crowd: to find it is neither right nor wrong.
    """
    truth = cast(Boxes, data.dataset.ground_truths["boxes"])
    found: list[Detections] = []
    seen: list[Indices] = []
    with evaluation_mode(task.network):
        for batch in data.batches.epoch(0):
            with torch.inference_mode(), data.runtime.arithmetic():
                predictions = task.predict(data.runtime.images(batch.images))
            found.append(as_detections(predictions, sum(map(len, seen))))
            seen.append(batch.indices)
    images, inputs = np.concatenate(seen), join_detections(found)
    sizes = truth.sizes[images]
    matrices = input_matrices(sizes, data.preprocessing)
    boxes = to_image(inputs.boxes, matrices[inputs.images], sizes[inputs.images])
    rows, image = truth.rows(images)
    crowd = truth.crowd[rows] | truth.difficult[rows]
    objects = ObjectBoxes(
        truth.boxes[rows], truth.class_indices[rows], image, truth.areas[rows], crowd, truth.difficult[rows]
    )
    return objects, Detections(boxes, inputs.scores, inputs.classes, inputs.images), images


def as_detections(found: Tensor, first: int = 0) -> Detections:
    """(N, K, 6) detections of images ``first``, ``first + 1`` … as arrays, in order."""
    values = found.double().cpu().numpy()
    positions = np.nonzero(values[..., 4] > 0)
    rows = values[positions]
    images = positions[0].astype(np.int64) + first
    return Detections(rows[:, :4], rows[:, 4], rows[:, 5].astype(np.int64), images)


def join_detections(parts: list[Detections]) -> Detections:
    """Those of all parts together."""
    columns = zip(*((each.boxes, each.scores, each.classes, each.images) for each in parts), strict=True)
    return Detections(*(np.concatenate(column) for column in columns))


def join_objects(parts: list[ObjectBoxes]) -> ObjectBoxes:
    """Those of all parts together."""
    rows = ((each.boxes, each.classes, each.images, each.areas, each.crowd, each.difficult) for each in parts)
    return ObjectBoxes(*(np.concatenate(column) for column in zip(*rows, strict=True)))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
