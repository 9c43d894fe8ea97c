"""The page of a segmentation: figures, every class, and the worst images beside their truth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from convolve.datasets.masks import shown_in
from convolve.errors import ImageError
from convolve.metrics.confusion import class_metrics
from convolve.reports.page import write_report
from convolve.reports.report import Classes, Comparison, Headline
from convolve.reports.thumbnails import thumbnail
from convolve.runtime import Runtime
from convolve.tasks.pages import begun
from convolve.tasks.segment.evaluation import Answer, Evaluation
from convolve.tasks.segment.learning import Segment
from convolve.training.run import Run
from convolve.values import IGNORE, Color, Dataset, Pixels

WRONG: Color = (214, 39, 40)
_WIDE = 1200
_GAP = 4
_HEADLINES = {
    "mean_iou": "Mean IoU",
    "pixel_accuracy": "Pixel accuracy",
    "mean_accuracy": "Mean class accuracy",
    "weighted_iou": "Frequency-weighted IoU",
    "boundary_f": "Boundary F",
}


def report(place: Path, run: Run, dataset: Dataset, evaluation: Evaluation, task: Segment, runtime: Runtime) -> None:
    """Write a page about one evaluation of a run. Raises `ConvolveError` when that fails."""
    del task, runtime
    colors = run.manifest.colors
    figures = class_metrics(evaluation.matrix)
    classes = Classes(evaluation.names, figures, evaluation.matrix, iou=evaluation.iou, counted="pixels")
    legend = zip(evaluation.names, ("#{:02x}{:02x}{:02x}".format(*color) for color in colors), strict=True)
    page = replace(
        begun(run, evaluation, classes, _headlines(evaluation)),
        comparisons=tuple(_comparisons(dataset, evaluation.worst, colors)),
        legend=tuple(legend),
    )
    write_report(place, page)


def side_by_side(image: Pixels, truth: Pixels, predicted: Pixels, colors: Sequence[Color]) -> Pixels:
    """(H, 4 W + gaps, 3) an image (H, W, 1 or 3), its truth and its answer in the classes' colors, and the image in
    gray with what differs in red.
    """
    rgb = np.broadcast_to(image, (*image.shape[:2], 3))
    gray = np.broadcast_to(image.mean(2, keepdims=True), rgb.shape).astype(np.uint8)
    wrong = ((truth != predicted) & (truth != IGNORE))[..., None]
    gap = np.full((len(image), _GAP, 3), 255, np.uint8)
    parts = rgb, gap, shown_in(colors, truth), gap, shown_in(colors, predicted), gap, np.where(wrong, WRONG, gray)
    return np.concatenate(parts, axis=1).astype(np.uint8)


def _comparisons(dataset: Dataset, answers: Sequence[Answer], colors: Sequence[Color]) -> list[Comparison]:
    found: list[Comparison] = []
    for answer in answers:
        with suppress(ImageError):  # it was read a moment ago
            image = _at_size(dataset.images.read(answer.index), answer.truth.shape)
            picture = thumbnail(side_by_side(image, answer.truth, answer.predicted, colors), _WIDE)
            name = dataset.images.name(answer.index)
            found.append(Comparison(name, picture, f"mean IoU {100 * answer.mean_iou:.1f} %"))
    return found


def _at_size(picture: Pixels, shape: tuple[int, ...]) -> Pixels:
    """(H, W, C) the picture at a mask's size."""
    if picture.shape[:2] == shape:
        return picture
    return np.asarray(cv2.resize(picture, shape[::-1], interpolation=cv2.INTER_AREA), np.uint8).reshape(*shape, -1)


def _headlines(evaluation: Evaluation) -> tuple[Headline, ...]:
    figures = ((label, evaluation.figures[name]) for name, label in _HEADLINES.items())
    return tuple(Headline(label, "–" if math.isnan(value) else f"{100 * value:.1f} %") for label, value in figures)
