"""How good a segmentation is on a split: figures of all pixels, every class and the outlines, and the worst images."""

from __future__ import annotations

import dataclasses
import heapq
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from convolve.datasets.batches import Batches
from convolve.datasets.masks import READERS
from convolve.datasets.parallel import in_order
from convolve.errors import DataError, ImageError
from convolve.metrics.confusion import Fractions
from convolve.metrics.ranking import nanmean
from convolve.metrics.segmentation import BoundaryCounts, boundary_counts, pixel_confusion, pixel_metrics
from convolve.runtime import Runtime
from convolve.tasks.segment.learning import Segment
from convolve.tasks.segment.whole import answered
from convolve.training.scoring import evaluating
from convolve.values import Dataset, Indices, Pixels, Preprocessing, Scored

SHOWN = 12
"""How many of the worst images an evaluation keeps."""


@dataclass(frozen=True)
class Answer:
    """An image's place in the dataset, the mean IoU of the classes that occur in it, its truth and answer (H, W)."""

    index: int
    mean_iou: float
    truth: Pixels
    predicted: Pixels


@dataclass(frozen=True)
class Evaluation:
    """``figures`` of all pixels by name; ``matrix`` (C, C) counts pixels, rows truths; ``iou`` and ``boundary`` (C,)
    are each class's own; ``worst`` images first.
    """

    split: str
    images: int
    names: tuple[str, ...]
    figures: Mapping[str, float]
    matrix: Indices
    iou: Fractions
    boundary: Fractions
    worst: tuple[Answer, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain numbers and lists; a figure that does not exist is null."""
        rows = zip(self.names, self.iou.tolist(), self.boundary.tolist(), self.matrix.sum(1).tolist(), strict=True)
        return {
            "split": self.split,
            "images": self.images,
            "figures": {name: _plain(value) for name, value in self.figures.items()},
            "classes": {
                name: {"iou": _plain(iou), "boundary_f": _plain(boundary), "pixels": pixels}
                for name, iou, boundary, pixels in rows
            },
            "confusion": self.matrix.tolist(),
        }


def conclude(task: Segment, validation: Iterable[Scored]) -> dict[str, Any]:
    """Nothing: the answers are what the network says."""
    del task, validation
    return {}


def measured(
    task: Segment, dataset: Dataset, part: Indices, batches: Batches, preprocessing: Preprocessing, runtime: Runtime
) -> Iterator[Scored]:
    """The images ``part`` one by one, whole and at their masks' own size; what cannot be read is left out."""
    del batches
    masks = dataset.masks
    if masks is None:
        raise DataError(f"{dataset.root} has no masks; give images and masks of the same names.")

    def read(index: int) -> tuple[int, Pixels, Pixels] | None:
        with suppress(ImageError):
            return index, dataset.images.read(index), masks.read(index)
        return None

    with evaluating(task.network):
        for index, picture, truth in filter(None, in_order(read, part.tolist(), READERS)):
            mask = answered(picture, (truth.shape[0], truth.shape[1]), task, runtime, preprocessing)
            yield Scored(mask[None], truth[None], np.array([index]))


def evaluate(task: Segment, split: str, parts: Iterable[Scored], results: Mapping[str, Any]) -> Evaluation:
    """Measure a split from its batches."""
    del results
    count = len(task.classes)
    matrix, outlines, images = np.zeros((count, count), dtype=np.int64), _no_outline(count), 0
    worst: list[tuple[float, int, Answer]] = []
    for answer, own in _answers(parts, count):
        matrix, images = matrix + own, images + 1
        outlines += boundary_counts(answer.truth, answer.predicted, count)
        if not math.isnan(answer.mean_iou):
            push = heapq.heappushpop if len(worst) == SHOWN else heapq.heappush
            push(worst, (-answer.mean_iou, -answer.index, answer))
    found, boundary = pixel_metrics(matrix), outlines.f_measure()
    plain = dataclasses.asdict(found)
    names = ("mean_iou", "pixel_accuracy", "mean_accuracy", "weighted_iou")
    figures = {name: plain[name] for name in names} | {"boundary_f": nanmean(boundary)}
    order = tuple(answer for _, _, answer in sorted(worst, key=lambda entry: -entry[0]))
    return Evaluation(split, images, task.classes, figures, matrix, found.iou, boundary, order)


def _answers(parts: Iterable[Scored], classes: int) -> Iterable[tuple[Answer, Indices]]:
    for part in parts:
        truths = part.targets.astype(np.uint8)
        for index, truth, predicted in zip(part.indices.tolist(), truths, part.scores, strict=True):
            own = pixel_confusion(truth, predicted, classes)
            yield Answer(index, pixel_metrics(own).mean_iou, truth, predicted), own


def _no_outline(classes: int) -> BoundaryCounts:
    return BoundaryCounts(*np.zeros((4, classes), dtype=np.int64))


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None
