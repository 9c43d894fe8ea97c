"""How good a cascade is at finding the faces of a split."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from convolve.datasets.boxes import Boxes
from convolve.datasets.images import to_channels
from convolve.errors import DataError, ImageError
from convolve.metrics.coco_metrics import coco_metrics
from convolve.metrics.confusion import ClassMetrics
from convolve.metrics.detections import Detections, ObjectBoxes
from convolve.metrics.precision_recall import JudgedDetections, count_detections, judge_detections
from convolve.tasks.faces.predictor import find_in_pixels
from convolve.tasks.info import finite_or_none
from convolve.tasks.objects import objects_of
from convolve.training.evaluation import evaluation_mode
from convolve.values import Indices

if TYPE_CHECKING:
    from rich.console import RenderableType

    from convolve.tasks.faces.task import Faces
    from convolve.tasks.task import EvaluationData


@dataclass(frozen=True, eq=False)
class Evaluation:
    """``metrics`` by name, from 0 to 1: average precision by COCO's rules, and precision, recall and F1 of all faces
    that are found, at an overlap (IoU) of 0.5. ``objects`` are the true faces, ``detections`` those found; both number
    the images, whose ``indices`` (N,) are those in the dataset.
    """

    split: str
    metrics: Mapping[str, float]
    classes: ClassMetrics
    objects: ObjectBoxes
    detections: Detections
    judged: JudgedDetections
    indices: Indices

    @property
    def images(self) -> int:
        """How many were evaluated."""
        return len(self.indices)

    def as_json(self) -> dict[str, Any]:
        """Plain numbers; an undefined metric is null."""
        return {
            "split": self.split,
            "images": self.images,
            "metrics": {name: finite_or_none(value) for name, value in self.metrics.items()},
            "faces": int(self.objects.counts(1)[0]),
            "found": len(self.detections),
        }

    def to_console(self) -> Iterator[RenderableType]:
        """The metrics."""
        from convolve.tasks.faces.report import headlines

        for headline in headlines(self):
            yield f"{self.split} {headline.label} {headline.value} ({headline.note})"


def evaluate(task: Faces, data: EvaluationData) -> Evaluation:
    """Find the faces of a split's images, and measure; unreadable images are left out. Raises `DataError` where none
    can be read.
    """
    boxes, scores, images = [np.zeros((0, 4))], [np.zeros(0)], [np.zeros(0, np.int64)]
    indices: list[int] = []
    failed = ""
    with evaluation_mode(task.network):
        for index in data.indices.tolist():
            try:
                pixels = to_channels(data.dataset.images.read(index), 3)
            except ImageError as error:
                failed = failed or str(error)
                continue
            found = find_in_pixels(task, pixels, data.runtime)
            boxes.append(found.boxes.double().numpy())
            scores.append(found.scores.double().numpy())
            images.append(np.full(len(found.scores), len(indices)))
            indices.append(index)
    if not indices:
        raise DataError(f"None of the {data.split} images can be read; the first: {failed}")
    image = np.concatenate(images)
    detections = Detections(np.concatenate(boxes), np.concatenate(scores), np.zeros(len(image), np.int64), image)
    objects = objects_of(cast(Boxes, data.dataset.ground_truths["boxes"]), np.array(indices))
    return measure(data.split, objects, detections, np.array(indices))


def measure(split: str, objects: ObjectBoxes, detections: Detections, indices: Sequence[int] | Indices) -> Evaluation:
    """The metrics of faces found in images, which both count from 0."""
    coco, judged = coco_metrics(objects, detections, 1), judge_detections(objects, detections, 1)
    classes = count_detections(judged, 0.0).metrics()
    columns = {"precision": classes.precision, "recall": classes.recall, "f1": classes.f1}
    metrics = {"ap50": coco.ap50, "ap": coco.ap, **{name: float(column[0]) for name, column in columns.items()}}
    return Evaluation(split, metrics, classes, objects, detections, judged, np.asarray(indices))
