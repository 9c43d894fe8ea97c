"""What a report shows of a segmentation: headlines, confusion matrix, the worst images with their masks, classes; and
what the console does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from convolve.datasets.masks import colorize
from convolve.errors import ImageError
from convolve.metrics.confusion import class_metrics
from convolve.metrics.ranking import nanmean
from convolve.reports.report import Headline, Section, format_count, percent
from convolve.reports.sections import ClassColumn, class_section, confusion_section, precision_recall_columns
from convolve.reports.thumbnails import thumbnail
from convolve.tasks.segment.evaluation import EvaluatedImage, Evaluation
from convolve.tasks.segment.options import INFO
from convolve.values import IGNORE, Color, Dataset, Pixels, Preprocessing

if TYPE_CHECKING:
    from convolve.runtime import Runtime
    from convolve.tasks.segment.task import Segment

WRONG: Color = (214, 39, 40)
_HOME = "convolve.tasks.segment"
_MOST_CLASSES = 30
_WIDTH = 1200
_GAP = 4
_IOU = "the pixels that ground truth and prediction have in common, of all that either has"
_BOUNDARY_F = "the harmonic mean of precision and recall of the outlines' pixels, within a small tolerance"


@dataclass(frozen=True)
class Comparison:
    """An image next to its ground truth, its prediction and where they differ, in one image (a data URI)."""

    name: str
    image: str
    note: str


def headlines(evaluation: Evaluation) -> tuple[Headline, ...]:
    """The metrics of all pixels, with the number of images: pixels of one image are too alike for an interval."""
    images = format_count(evaluation.images, "images")
    return tuple(
        Headline(label, percent(evaluation.metrics[name]), images) for name, label in INFO.metric_titles.items()
    )


def report_sections(
    task: Segment, evaluation: Evaluation, dataset: Dataset, runtime: Runtime, preprocessing: Preprocessing
) -> tuple[tuple[Headline, ...], tuple[Section, ...]]:
    """Headlines and sections of one evaluation."""
    del runtime, preprocessing
    return headlines(evaluation), plain_sections(evaluation, dataset, task.colors)


def plain_sections(evaluation: Evaluation, dataset: Dataset, colors: Sequence[Color]) -> tuple[Section, ...]:
    """The sections, which need no network; ``colors`` are those of the classes."""
    names, matrix = evaluation.names, evaluation.matrix
    comparisons = compare_masks(dataset, evaluation.worst, colors)
    sections = [confusion_section(names, matrix, "pixels", percentages=True)]
    if comparisons:
        legend = list(zip(names, ("#{:02x}{:02x}{:02x}".format(*color) for color in colors), strict=True))
        template, notebook = (_HOME, "worst_images.html.j2"), (_HOME, "worst_images_notebook.html.j2")
        context = {"comparisons": comparisons, "legend": legend}
        sections.append(Section("worst", "Worst images", template, context, notebook))
    metrics = class_metrics(matrix)
    columns = (
        ClassColumn("IoU", evaluation.iou, _IOU, nanmean(evaluation.iou)),
        *precision_recall_columns(metrics),
        ClassColumn("Boundary F", evaluation.boundary, _BOUNDARY_F, nanmean(evaluation.boundary)),
    )
    sections.append(class_section(names, metrics.support, "pixels", columns))
    return tuple(sections)


def console_output(evaluation: Evaluation) -> Iterator[RenderableType]:
    """The headline metrics, then each class."""
    for position, headline in enumerate(headlines(evaluation)):
        text = f"{evaluation.split} {headline.label} {headline.value} ({headline.note})"
        yield Text(text, style="" if position else "bold")
    table = Table("class", box=None, header_style="bold")
    for heading in ("IoU", "boundary F", "pixels"):
        table.add_column(heading, justify="right")
    counts = evaluation.matrix.sum(1)
    for index, name in enumerate(evaluation.names[:_MOST_CLASSES]):
        values = (percent(column[index]) for column in (evaluation.iou, evaluation.boundary))
        table.add_row(Text(name), *values, percent(counts[index] / max(counts.sum(), 1)))
    if len(evaluation.names) > _MOST_CLASSES:
        table.add_row(f"and {len(evaluation.names) - _MOST_CLASSES} more in the report")
    yield table


def compare_masks(
    dataset: Dataset, evaluated: Sequence[EvaluatedImage], colors: Sequence[Color]
) -> tuple[Comparison, ...]:
    """Evaluated images, each next to its masks; one that cannot be read any more is left out."""
    found: list[Comparison] = []
    for one in evaluated:
        with suppress(ImageError):
            image, (height, width) = dataset.images.read(one.index), one.target.shape
            if image.shape[:2] != (height, width):
                small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
                image = np.asarray(small, np.uint8).reshape(height, width, -1)
            uri = thumbnail(side_by_side(image, one.target, one.predicted, colors), _WIDTH)
            found.append(Comparison(dataset.images.name(one.index), uri, f"mean IoU {percent(one.mean_iou)}"))
    return tuple(found)


def side_by_side(image: Pixels, target: Pixels, predicted: Pixels, colors: Sequence[Color]) -> Pixels:
    """(H, 4 W + gaps, 3) an image (H, W, 1 or 3), its ground truth and its prediction in the classes' colors, and the
    image in gray with the errors in red.
    """
    rgb = np.broadcast_to(image, (*image.shape[:2], 3))
    gray = np.broadcast_to(image.mean(2, keepdims=True), rgb.shape).astype(np.uint8)
    wrong = ((target != predicted) & (target != IGNORE))[..., None]
    gap = np.full((len(image), _GAP, 3), 255, np.uint8)
    parts = rgb, gap, colorize(colors, target), gap, colorize(colors, predicted), gap, np.where(wrong, WRONG, gray)
    return np.concatenate(parts, axis=1).astype(np.uint8)
