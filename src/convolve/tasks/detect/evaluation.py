"""How good a detector is on a split."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, cast, final

import numpy as np
import torch
from torch import Tensor

from convolve.datasets.boxes import Boxes
from convolve.datasets.input_boxes import input_matrices, to_image, to_input
from convolve.metrics.boxes import box_areas
from convolve.metrics.coco_metrics import CocoMetrics, coco_metrics
from convolve.metrics.confusion import ClassMetrics
from convolve.metrics.detection_confusion import detection_confusion
from convolve.metrics.detection_errors import ErrorCost, ErrorCosts, error_costs, find_errors
from convolve.metrics.detection_intervals import BootstrapIntervals, bootstrap_intervals
from convolve.metrics.detections import Detections, ObjectBoxes
from convolve.metrics.precision_recall import (
    DetectionCounts,
    JudgedDetections,
    PrecisionRecall,
    best_threshold,
    count_detections,
    judge_detections,
    precision_recall_curves,
)
from convolve.metrics.voc_metrics import VocMetrics, voc_metrics
from convolve.runtime import Runtime
from convolve.targets import BoxTargets
from convolve.tasks.info import finite_or_none
from convolve.tasks.objects import objects_of
from convolve.training.evaluation import evaluation_mode
from convolve.values import Batch, Flags, Floats, Indices

if TYPE_CHECKING:
    from rich.console import RenderableType

    from convolve.tasks.detect.task import Detect
    from convolve.tasks.task import EvaluationData


WORST = 12
"""How many of the worst images an evaluation has."""


@dataclass(frozen=True, eq=False)
class EvaluatedImage:
    """An image's index in the dataset, its objects and those that were ``missed`` (flags), the detections that reach
    the threshold and those that are ``right`` (flags).
    """

    index: int
    objects: ObjectBoxes
    missed: Flags
    detections: Detections
    right: Flags

    @property
    def mistakes(self) -> int:
        """Missed objects and false alarms."""
        return int(self.missed.sum() + (~self.right).sum())


@dataclass(frozen=True, eq=False)
class Evaluation:
    """``metrics`` by name, from 0 to 1, in the images' own pixels; by the rules of ``coco`` and of Pascal ``voc``.

    ``intervals`` are the 95 % ones of AP50 and AP. At ``threshold`` the ``classes`` have their precision and recall,
    ``matrix`` (C + 1, C + 1) counts which class was found as which, with what is missed and what is not there in its
    last column and row, and the ``worst`` images are those of the most mistakes. ``curves`` are those of each class at
    an IoU of 0.5; ``errors`` says what costs how much average precision. ``unseen`` objects lie, most of each, outside
    of what the network's input shows of the images; they count as missed.
    """

    split: str
    images: int
    names: tuple[str, ...]
    metrics: Mapping[str, float]
    coco: CocoMetrics
    voc: VocMetrics
    intervals: BootstrapIntervals
    threshold: float
    classes: ClassMetrics
    matrix: Indices
    curves: tuple[PrecisionRecall, ...]
    errors: ErrorCosts
    worst: tuple[EvaluatedImage, ...]
    unseen: int = 0

    def as_json(self) -> dict[str, Any]:
        """Plain numbers and lists; an undefined metric is null."""
        columns = {
            "ap": self.coco.class_ap,
            "ap50": self.coco.class_ap50,
            "ar_100": self.coco.class_ar_100,
            "voc_ap50": self.voc.area,
            "voc_ap50_11": self.voc.eleven_point,
            "precision": self.classes.precision,
            "recall": self.classes.recall,
            "f1": self.classes.f1,
            "objects": self.voc.objects,
        }
        errors = {field.name: getattr(self.errors, field.name) for field in fields(self.errors)}
        return {
            "split": self.split,
            "images": self.images,
            "metrics": {name: finite_or_none(value) for name, value in self.metrics.items()},
            "intervals": {
                name: list(map(finite_or_none, interval)) for name, interval in self.intervals._asdict().items()
            },
            "threshold": self.threshold,
            "classes": {
                name: {key: finite_or_none(values[index].item()) for key, values in columns.items()}
                for index, name in enumerate(self.names)
            },
            "confusion": self.matrix.tolist(),
            "unseen": self.unseen,
            "errors": {
                name: {"count": each.count, "cost": finite_or_none(each.cost)}
                for name, each in errors.items()
                if isinstance(each, ErrorCost)
            },
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
    measured = measure_detections(task.classes, data.split, task.threshold, objects, detections, images)
    return replace(measured, unseen=_count_unseen(objects, images, data))


def measure_detections(
    names: tuple[str, ...],
    split: str,
    threshold: float,
    objects: ObjectBoxes,
    detections: Detections,
    images: Indices,
) -> Evaluation:
    """Every metric of images, (N,) given by their indices in the dataset; objects and detections count them from 0."""
    count = len(names)
    coco, voc = coco_metrics(objects, detections, count), voc_metrics(objects, detections, count)
    judged = judge_detections(objects, detections, count)
    found = count_detections(judged, threshold)
    metrics = coco.summary()
    metrics |= {"voc_ap50": voc.mean_area, "voc_ap50_11": voc.mean_eleven_point, **_micro_metrics(found)}
    return Evaluation(
        split=split,
        images=len(images),
        names=names,
        metrics={"ap50": coco.ap50, **metrics},
        coco=coco,
        voc=voc,
        intervals=bootstrap_intervals(objects, detections, count, len(images)),
        threshold=threshold,
        classes=found.metrics(),
        matrix=detection_confusion(objects, detections, count, threshold),
        curves=tuple(precision_recall_curves(judged)),
        errors=error_costs(objects, find_errors(objects, detections, count)),
        worst=tuple(_worst_images(objects, detections, judged, images, threshold)),
    )


def find_threshold(task: Detect, data: EvaluationData) -> float | None:
    """The confidence of the best F1 over all classes of a split; None where nothing is found at any."""
    objects, detections, _ = detect_split(task, data)
    best = best_threshold(judge_detections(objects, detections, len(task.classes)))
    return None if math.isnan(best.threshold) else best.threshold


def detect_split(task: Detect, data: EvaluationData) -> tuple[ObjectBoxes, Detections, Indices]:
    """The objects and the detections of a split's readable images, numbered from 0, and (N,) those images' indices in
    the dataset.

    What is difficult counts as a crowd: to find it is neither right nor wrong.
    """
    ground_truth = cast(Boxes, data.dataset.ground_truths["boxes"])
    found: list[Detections] = []
    seen: list[Indices] = []
    with evaluation_mode(task.network):
        for batch in data.batches.epoch(0):
            with torch.inference_mode(), data.runtime.arithmetic():
                regions = regions_on(data.runtime, cast(BoxTargets, batch.targets).regions)
                predictions = task.predict(data.runtime.images(batch.images), regions)
            found.append(as_detections(predictions, sum(map(len, seen))))
            seen.append(batch.indices)
    images, inputs = np.concatenate(seen), join_detections(found)
    sizes = ground_truth.sizes[images]
    matrices = input_matrices(sizes, data.preprocessing)
    boxes = to_image(inputs.boxes, matrices[inputs.images], sizes[inputs.images])
    found_boxes = Detections(boxes, inputs.scores, inputs.classes, inputs.images)
    return objects_of(ground_truth, images), found_boxes, images


def regions_on(runtime: Runtime, regions: Floats | None) -> Tensor | None:
    """Regions (N, R, 4) as the network takes them; None for a network that needs none."""
    return None if regions is None else torch.from_numpy(regions).to(runtime.device)


def _count_unseen(objects: ObjectBoxes, images: Indices, data: EvaluationData) -> int:
    """How many objects have less of their area in the network's input than a box needs in training."""
    ground_truth = cast(Boxes, data.dataset.ground_truths["boxes"])
    sizes = ground_truth.sizes[images]
    moved = to_input(objects.boxes, input_matrices(sizes, data.preprocessing)[objects.images])
    limits = np.array([data.preprocessing.width, data.preprocessing.height] * 2)
    visible = box_areas(np.clip(moved, 0, limits))
    return int(((visible < ground_truth.min_visible * box_areas(moved)) & ~objects.ignored).sum())


def _micro_metrics(found: DetectionCounts) -> dict[str, float]:
    """Precision, recall and F1 of all classes together; 0 where the denominator is."""
    hits, alarms, missed = (
        int(each.sum()) for each in (found.true_positives, found.false_positives, found.false_negatives)
    )
    return {
        "precision": hits / max(hits + alarms, 1),
        "recall": hits / max(hits + missed, 1),
        "f1": 2 * hits / max(2 * hits + alarms + missed, 1),
    }


def _worst_images(
    objects: ObjectBoxes, detections: Detections, judged: JudgedDetections, images: Indices, threshold: float
) -> Iterator[EvaluatedImage]:
    """Those of the most mistakes, without images that have none."""
    chosen = judged.scores >= threshold
    rows, right = judged.rows[chosen], judged.true[chosen]
    missed = ~objects.ignored
    missed[judged.matches[chosen & judged.true]] = False
    mistakes = np.bincount(detections.images[rows[~right]], minlength=len(images))
    mistakes += np.bincount(objects.images[missed], minlength=len(images))
    for image in np.argsort(-mistakes, kind="stable")[:WORST].tolist():
        if mistakes[image]:
            own, inside = detections.images[rows] == image, objects.images == image
            found = detections.take(rows[own])
            yield EvaluatedImage(int(images[image]), objects.take(inside), missed[inside], found, right[own])


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
