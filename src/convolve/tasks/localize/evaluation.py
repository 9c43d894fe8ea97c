"""How good a localization network is on a split."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast, final

import numpy as np
import torch
from torch import Tensor

from convolve.datasets.boxes import Boxes
from convolve.datasets.input_boxes import input_matrices, to_image
from convolve.metrics.boxes import BoxArray, box_areas, intersection_areas
from convolve.metrics.confusion import Fractions, confusion_matrix
from convolve.metrics.intervals import Interval, accuracy_interval
from convolve.targets import BoxTargets
from convolve.tasks.info import finite_or_none
from convolve.tasks.localize.objects import notes_on_objects
from convolve.training.evaluation import evaluation_mode
from convolve.values import Batch, Dataset, Flags, Floats, Indices

if TYPE_CHECKING:
    from rich.console import RenderableType

    from convolve.tasks.localize.task import Localize
    from convolve.tasks.task import EvaluationData

OVERLAP = 0.5
"""IoU from which on a box is right (Russakovsky et al. 2015, "ImageNet large scale visual recognition challenge",
section 4.2)."""
TOP = 5
_REPLICATES = 1000
_PROPORTIONS = ("localization_accuracy", "top5_localization_accuracy", "accuracy", "box_accuracy")


@dataclass(frozen=True, eq=False)
class LocalizedImages:
    """N images by their ``indices`` in a dataset: probabilities ``scores`` (N, C) and ``boxes`` (N, 4) as predicted,
    and the object's ``classes`` (N,) and ``objects`` (N, 4), its boxes. All boxes are in pixels of the images.
    """

    scores: Floats
    boxes: BoxArray
    classes: Indices
    objects: BoxArray
    indices: Indices

    @property
    def found(self) -> Indices:
        """(N,) the most likely class."""
        return np.asarray(self.scores.argmax(1), dtype=np.int64)

    @property
    def overlaps(self) -> BoxArray:
        """(N,) the IoU of each box with its object's."""
        common = intersection_areas(self.boxes, self.objects)
        union = box_areas(self.boxes) + box_areas(self.objects) - common
        return np.divide(common, union, out=np.zeros_like(common), where=union > 0)

    def rank(self) -> Indices:
        """(N,) how many classes are more likely than the object's; of equal ones those of a lower index."""
        own = self.scores[np.arange(len(self.classes)), self.classes][:, None]
        earlier = np.arange(self.scores.shape[1]) < self.classes[:, None]
        return np.asarray(((self.scores > own) | ((self.scores == own) & earlier)).sum(1), dtype=np.int64)


@dataclass(frozen=True, eq=False)
class ClassResults:
    """Of each class (C,): its ``images``, and over these the fraction of which the class is right (``recall``), the
    mean IoU, and the localization accuracy; nan without images.
    """

    images: Indices
    recall: Fractions
    mean_iou: Fractions
    localization_accuracy: Fractions


@dataclass(frozen=True, eq=False)
class Evaluation:
    """``metrics`` by name, from 0 to 1, in the images' own pixels, with 95 % ``intervals``; those of each class;
    ``matrix`` (C, C), rows true classes; ``notes`` on objects that do not count; and the ``localized`` images behind it
    all.
    """

    split: str
    names: tuple[str, ...]
    metrics: Mapping[str, float]
    intervals: Mapping[str, Interval]
    classes: ClassResults
    matrix: Indices
    notes: tuple[str, ...]
    localized: LocalizedImages = field(repr=False)

    @property
    def images(self) -> int:
        """How many images were evaluated."""
        return len(self.localized.indices)

    def as_json(self) -> dict[str, Any]:
        """Plain numbers and lists, an interval as its two ends; an undefined metric is null."""
        columns = {
            "recall": self.classes.recall,
            "mean_iou": self.classes.mean_iou,
            "localization_accuracy": self.classes.localization_accuracy,
            "images": self.classes.images,
        }
        return {
            "split": self.split,
            "images": self.images,
            "metrics": {name: finite_or_none(value) for name, value in self.metrics.items()},
            "intervals": {name: list(map(finite_or_none, ends)) for name, ends in self.intervals.items()},
            "classes": {
                name: {key: finite_or_none(values[index].item()) for key, values in columns.items()}
                for index, name in enumerate(self.names)
            },
            "confusion": self.matrix.tolist(),
            "notes": list(self.notes),
        }

    def to_console(self) -> Iterator[RenderableType]:
        """The metrics, then those of each class."""
        from convolve.tasks.localize.report import console_output

        yield from console_output(self)


@final
class LocalizationEvaluator:
    """Gathers predictions in pixels of the input. An image whose object the input does not show counts as wrong."""

    def __init__(self, classes: int) -> None:
        self._classes = classes
        self._found: list[Floats] = []
        self._kinds: list[Indices] = []
        self._objects: list[Floats] = []

    def add(self, predictions: Tensor, batch: Batch) -> None:
        """(N, C + 4) predictions of a batch."""
        targets = cast(BoxTargets, batch.targets)
        shown = targets.image
        objects, kinds = np.zeros((len(targets), 4), np.float32), np.full(len(targets), -1, np.int64)
        objects[shown], kinds[shown] = targets.boxes, targets.classes
        self._found.append(predictions.float().cpu().numpy())
        self._kinds.append(kinds)
        self._objects.append(objects)

    def metrics(self) -> dict[str, float]:
        """The metrics of `measure`."""
        found, kinds = np.concatenate(self._found), np.concatenate(self._kinds)
        hidden = kinds < 0
        scores, boxes = found[:, : self._classes].copy(), found[:, self._classes :].astype(np.float64)
        scores[hidden, 0], kinds[hidden] = -1.0, 0  # below all others
        objects, indices = np.concatenate(self._objects).astype(np.float64), np.arange(len(kinds))
        return {
            name: float(values.mean())
            for name, values in measure(LocalizedImages(scores, boxes, kinds, objects, indices)).items()
        }


def measure(localized: LocalizedImages) -> dict[str, Flags | BoxArray]:
    """What each of N images (N,) adds to the metrics, by their names: right or not, and the IoU.

    The class is right and the box overlaps its object by an IoU of 0.5 at least: the localization accuracy of ILSVRC,
    with one guess or five. Both count alone too.
    """
    overlaps, rank = localized.overlaps, localized.rank()
    placed = overlaps >= OVERLAP
    found: dict[str, Flags | BoxArray] = {"localization_accuracy": placed & (rank == 0)}
    if localized.scores.shape[1] > TOP:
        found["top5_localization_accuracy"] = placed & (rank < TOP)
    return found | {"accuracy": rank == 0, "box_accuracy": placed, "mean_iou": overlaps}


def evaluate(task: Localize, data: EvaluationData) -> Evaluation:
    """Predict the images and measure in their own pixels; unreadable ones are left out."""
    ground_truth = cast(Boxes, data.dataset.ground_truths["boxes"])
    found: list[Floats] = []
    seen: list[Indices] = []
    with evaluation_mode(task.network):
        for batch in data.batches.epoch(0):
            with torch.inference_mode(), data.runtime.arithmetic():
                found.append(task.predict(data.runtime.images(batch.images)).float().cpu().numpy())
            seen.append(batch.indices)
    indices, rows, count = np.concatenate(seen), np.concatenate(found), len(task.classes)
    sizes = ground_truth.sizes[indices]
    boxes = to_image(rows[:, count:].astype(np.float64), input_matrices(sizes, data.preprocessing), sizes)
    return summarize(task.classes, data.split, data.dataset, indices, (rows[:, :count], boxes))


def summarize(
    names: tuple[str, ...], split: str, dataset: Dataset, indices: Indices, found: tuple[Floats, BoxArray]
) -> Evaluation:
    """Every metric of images, (N,) given by their ``indices`` in the dataset, from the probabilities (N, C) and the
    boxes (N, 4), in pixels of the images, that are ``found``; images without an object are left out.
    """
    ground_truth = cast(Boxes, dataset.ground_truths["boxes"])
    objects, image = ground_truth.rows(indices)
    scores, boxes = found[0][image], found[1][image]
    localized = LocalizedImages(
        scores, boxes, ground_truth.class_indices[objects], ground_truth.boxes[objects], indices[image]
    )
    measured = measure(localized)
    metrics = {name: float(values.mean()) for name, values in measured.items()}
    count = len(indices[image])
    intervals = {
        name: accuracy_interval(int(values.sum()), count) for name, values in measured.items() if name in _PROPORTIONS
    }
    intervals["mean_iou"] = _mean_interval(localized.overlaps)
    matrix = confusion_matrix(localized.classes, localized.found, len(names))
    classes = _of_classes(localized, measured, len(names))
    return Evaluation(split, names, metrics, intervals, classes, matrix, notes_on_objects(dataset), localized)


def _of_classes(localized: LocalizedImages, measured: Mapping[str, Flags | BoxArray], count: int) -> ClassResults:
    images = np.bincount(localized.classes, minlength=count)

    def mean(values: Flags | BoxArray) -> Fractions:
        sums = np.bincount(localized.classes, weights=values.astype(np.float64), minlength=count)
        return np.where(images > 0, sums / np.maximum(images, 1), np.nan)

    columns = (mean(measured[name]) for name in ("accuracy", "mean_iou", "localization_accuracy"))
    return ClassResults(images.astype(np.int64), *columns)


def _mean_interval(values: BoxArray) -> Interval:
    """The 95 % interval of a mean over images, by percentiles of the means of resampled ones (Efron 1979)."""
    random = np.random.default_rng(0)
    means = [values[random.integers(0, len(values), len(values))].mean() for _ in range(_REPLICATES)]
    lower, upper = np.percentile(means, [2.5, 97.5])
    return Interval(float(lower), float(upper))
