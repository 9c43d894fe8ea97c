"""How near the predicted points of a split are to the true ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, cast, final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from convolve.datasets.crops import whole_images
from convolve.datasets.input_boxes import input_matrices
from convolve.datasets.point_sets import PointSet
from convolve.datasets.points import UNLABELED, PointArray, Points
from convolve.metrics.intervals import Interval
from convolve.metrics.keypoint_metrics import KeypointDetections, KeypointObjects, keypoint_metrics
from convolve.metrics.points import (
    Errors,
    error_intervals,
    image_errors,
    mean_pck,
    normalized_mean_error,
    pck,
    point_errors,
)
from convolve.targets import PointTargets
from convolve.tasks.info import finite_or_none
from convolve.training.evaluation import evaluation_mode
from convolve.values import Batch, Dataset, Indices, Matrices

if TYPE_CHECKING:
    from rich.console import RenderableType

    from convolve.tasks.landmarks.task import Landmarks
    from convolve.tasks.task import EvaluationData

WORST = 12
"""How many of the worst images an evaluation has."""
METRICS: Mapping[str, Callable[[Errors], float]] = {
    "mean_pck": mean_pck,
    "nme": normalized_mean_error,
    "pck_05": partial(pck, threshold=0.05),
    "pck_10": partial(pck, threshold=0.1),
    "pck_20": partial(pck, threshold=0.2),
}
"""What is measured of the errors, by name."""


@dataclass(frozen=True, eq=False)
class EvaluatedImage:
    """An image's index in the dataset, its mean error, and its predicted points (P, 2) in its own pixels."""

    index: int
    error: float
    predicted: PointArray


@dataclass(frozen=True, eq=False)
class Evaluation:
    """``metrics`` by name, with the 95 % ``intervals`` of some. ``errors`` (N, P) are those of the points of a
    ``point_set``, as fractions of the length that it names; ``unmeasured`` images have no such length, and count in
    nothing but OKS. The ``worst`` images have the greatest mean error.
    """

    split: str
    images: int
    point_set: PointSet
    metrics: Mapping[str, float]
    intervals: Mapping[str, Interval]
    errors: Errors
    unmeasured: int
    worst: tuple[EvaluatedImage, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain numbers and lists; an undefined metric is null."""
        return {
            "split": self.split,
            "images": self.images,
            "metrics": {name: finite_or_none(value) for name, value in self.metrics.items()},
            "intervals": {name: list(map(finite_or_none, interval)) for name, interval in self.intervals.items()},
            "errors_in": self.point_set.length,
            "unmeasured": self.unmeasured,
            "points": {
                name: {metric: finite_or_none(value) for metric, value in row.items()}
                for name, row in self.by_point().items()
            },
        }

    def by_point(self) -> dict[str, dict[str, float]]:
        """The mean error, PCK@0.1, and the number of images in which it is measured, of each point."""
        columns = zip(self.point_set.names, self.errors.T, strict=True)
        return {
            name: {
                "error": float(known.mean()) if len(known := column[~np.isnan(column)]) else float("nan"),
                "pck_10": pck(column[:, None], 0.1),
                "images": float(len(known)),
            }
            for name, column in columns
        }

    def to_console(self) -> Iterator[RenderableType]:
        """The metrics, then the points of the greatest errors."""
        from convolve.tasks.landmarks.report import console_output

        yield from console_output(self)


@final
class PointEvaluator:
    """Gathers errors in pixels of the input."""

    def __init__(self) -> None:
        self._errors: list[Errors] = []

    def add(self, predictions: Tensor, batch: Batch) -> None:
        """(N, P, 3) positions of a batch."""
        targets = cast(PointTargets, batch.targets)
        found = predictions[..., :2].double().cpu().numpy()
        self._errors.append(point_errors(found, targets.points, targets.visibility > UNLABELED, targets.lengths))

    def metrics(self) -> dict[str, float]:
        """PCK and the normalized mean error."""
        errors = np.concatenate(self._errors)
        return {name: metric(errors) for name, metric in METRICS.items()}


def evaluate(task: Landmarks, data: EvaluationData) -> Evaluation:
    """Predict the images and measure in their own pixels; unreadable ones are left out."""
    found: list[npt.NDArray[np.float64]] = []
    seen: list[Indices] = []
    with evaluation_mode(task.network):
        for batch in data.batches.epoch(0):
            with torch.inference_mode(), data.runtime.arithmetic():
                predictions = task.predict(data.runtime.images(batch.images))
            found.append(predictions.double().cpu().numpy())
            seen.append(batch.indices)
    images, inputs = np.concatenate(seen), np.concatenate(found)
    sizes = cast(Points, data.dataset.ground_truths["points"]).sizes[images]
    points = to_image(inputs[..., :2], input_matrices(sizes, data.preprocessing))
    return measure_points(data.split, data.dataset, images, points, inputs[..., 2])


def to_image(points: PointArray, matrices: Matrices) -> PointArray:
    """(N, P, 2) points in pixels of the input to those of their images, which ``matrices`` (N, 2, 3) take there; they
    only scale and shift.
    """
    scales, shifts = matrices[:, None, [0, 1], [0, 1]], matrices[:, None, :, 2]
    unscaled: PointArray = (points - shifts) / scales
    return unscaled


def measure_points(
    split: str, dataset: Dataset, images: Indices, predicted: PointArray, confidences: npt.NDArray[np.float64]
) -> Evaluation:
    """Every metric of the points (N, P, 2) and ``confidences`` (N, P) predicted for images of the dataset, (N,)."""
    known = cast(Points, dataset.ground_truths["points"]).take(images)
    labeled = known.visibility > UNLABELED
    errors = point_errors(predicted, known.points, labeled, known.lengths)
    metrics = {name: metric(errors) for name, metric in METRICS.items()}
    if known.point_set.sigmas:
        metrics |= _similarity_metrics(dataset, images, predicted, confidences)
    each = image_errors(errors)
    order = np.argsort(-np.nan_to_num(each, nan=-1.0), kind="stable")[:WORST].tolist()
    return Evaluation(
        split=split,
        images=len(images),
        point_set=known.point_set,
        metrics=metrics,
        intervals=error_intervals(errors, {name: METRICS[name] for name in ("mean_pck", "nme", "pck_10")}),
        errors=errors,
        unmeasured=int((labeled.any(1) & np.isnan(known.lengths)).sum()),
        worst=tuple(
            EvaluatedImage(int(images[row]), float(each[row]), predicted[row])
            for row in order
            if not np.isnan(each[row])
        ),
    )


def _similarity_metrics(
    dataset: Dataset, images: Indices, predicted: PointArray, confidences: npt.NDArray[np.float64]
) -> dict[str, float]:
    """COCO's average precision. Examples that were cut out of one image are judged there together, each with its mean
    confidence as its score.
    """
    known = cast(Points, dataset.ground_truths["points"]).take(images)
    _, sources, corners = whole_images(dataset.images)
    owners, shifts = sources[images], corners[images].astype(np.float64)
    objects = KeypointObjects(
        known.points + shifts[:, None],
        known.visibility > UNLABELED,
        owners,
        known.areas,
        known.boxes + np.tile(shifts, 2),
        np.zeros(len(images), dtype=bool),
    )
    found = KeypointDetections(predicted + shifts[:, None], confidences.mean(1), owners)
    metrics = keypoint_metrics(objects, found, known.point_set.sigmas or ())
    return {"oks_ap": metrics.ap, "oks_ap50": metrics.ap50}
