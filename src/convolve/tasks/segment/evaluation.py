"""How good a segmentation is on a split: metrics of all pixels, classes and boundaries, worst images."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from convolve.datasets.parallel import in_order, reader_threads
from convolve.errors import ImageError
from convolve.metrics.ranking import nanmean
from convolve.metrics.segmentation import BoundaryCounts, boundary_counts, pixel_confusion, pixel_metrics
from convolve.tasks.info import finite_or_none
from convolve.tasks.segment.options import INFO
from convolve.values import Indices, Pixels

if TYPE_CHECKING:
    from rich.console import RenderableType

    from convolve.tasks.segment.task import Segment
    from convolve.tasks.task import EvaluationData

WORST = 12
"""How many of the worst images an evaluation keeps."""


@dataclass(frozen=True)
class EvaluatedImage:
    """An image's index in the dataset, the mean IoU of the classes that occur in it, its true and predicted mask
    (H, W).
    """

    index: int
    mean_iou: float
    target: Pixels
    predicted: Pixels


@dataclass(frozen=True)
class Evaluation:
    """``metrics`` of all pixels by name; ``matrix`` (C, C) counts pixels, true classes in rows; ``iou`` and
    ``boundary`` (C,) are those of each class; the ``worst`` images first.
    """

    split: str
    images: int
    names: tuple[str, ...]
    metrics: Mapping[str, float]
    matrix: Indices
    iou: npt.NDArray[np.float64]
    boundary: npt.NDArray[np.float64]
    worst: tuple[EvaluatedImage, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain numbers and lists; an undefined metric is null."""
        rows = zip(self.names, self.iou.tolist(), self.boundary.tolist(), self.matrix.sum(1).tolist(), strict=True)
        return {
            "split": self.split,
            "images": self.images,
            "metrics": {name: finite_or_none(value) for name, value in self.metrics.items()},
            "classes": {
                name: {"iou": finite_or_none(iou), "boundary_f": finite_or_none(boundary), "pixels": pixels}
                for name, iou, boundary, pixels in rows
            },
            "confusion": self.matrix.tolist(),
        }

    def to_console(self) -> Iterator[RenderableType]:
        """The metrics, then those of each class."""
        from convolve.tasks.segment.report import console_output

        yield from console_output(self)


def evaluate(task: Segment, data: EvaluationData) -> Evaluation:
    """Predict the images one by one, whole and at the size of their masks; unreadable ones are left out."""
    return measure_masks(task.classes, data.split, _predicted_masks(task, data))


def measure_masks(names: tuple[str, ...], split: str, masks: Iterable[tuple[int, Pixels, Pixels]]) -> Evaluation:
    """Every metric of images, given by index with their true and their predicted mask (H, W)."""
    count = len(names)
    matrix, images = np.zeros((count, count), dtype=np.int64), 0
    boundaries = BoundaryCounts(*np.zeros((4, count), dtype=np.int64))
    worst: list[tuple[float, int, EvaluatedImage]] = []
    for index, target, predicted in masks:
        own = pixel_confusion(target, predicted, count)
        matrix, images = matrix + own, images + 1
        boundaries += boundary_counts(target, predicted, count)
        image = EvaluatedImage(index, pixel_metrics(own).mean_iou, target, predicted)
        if not math.isnan(image.mean_iou):
            push = heapq.heappushpop if len(worst) == WORST else heapq.heappush
            push(worst, (-image.mean_iou, -image.index, image))
    found, boundary = pixel_metrics(matrix), boundaries.f_measure()
    metrics = {name: getattr(found, name) for name in INFO.metric_titles if name != "boundary_f"}
    metrics["boundary_f"] = nanmean(boundary)
    order = tuple(image for _, _, image in sorted(worst, key=lambda entry: -entry[0]))
    return Evaluation(split, images, names, metrics, matrix, found.iou, boundary, order)


def _predicted_masks(task: Segment, data: EvaluationData) -> Iterator[tuple[int, Pixels, Pixels]]:
    from convolve.tasks.segment.tiled_prediction import predict_image
    from convolve.training.evaluation import evaluation_mode

    images, masks = data.dataset.images, data.dataset.ground_truths["masks"]

    def read(index: int) -> tuple[int, Pixels, Pixels] | None:
        with suppress(ImageError):
            return index, images.read(index), masks.read(index)  # type: ignore[attr-defined]  # `accept` checked it
        return None

    with evaluation_mode(task.network):
        for index, image, target in filter(None, in_order(read, data.indices.tolist(), reader_threads())):
            size = (target.shape[0], target.shape[1])
            yield index, target, predict_image(image, size, task, data.runtime, data.preprocessing)
