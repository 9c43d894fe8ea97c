"""What a report shows of landmarks: headlines, the error of each point, and the worst images with their points."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

import numpy as np
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from convolve.datasets.images import to_channels
from convolve.datasets.points import UNLABELED, VISIBLE, Points, draw_points
from convolve.errors import ImageError
from convolve.reports.report import Headline, Section, format_count, format_interval, percent
from convolve.reports.thumbnails import thumbnail
from convolve.tasks.landmarks.evaluation import EvaluatedImage, Evaluation
from convolve.tasks.landmarks.options import INFO
from convolve.values import Dataset, Pixels

_HOME = "convolve.tasks.landmarks"
_MOST_POINTS = 20
_WIDTH, _GAP = 900, 6
_THRESHOLDS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)


@dataclass(frozen=True)
class Comparison:
    """An image with its true points next to the same with its predicted ones, in one image (a data URI)."""

    name: str
    image: str
    note: str


def headlines(evaluation: Evaluation) -> tuple[Headline, ...]:
    """The metrics worth the top of a page; some with their 95 % intervals."""
    images = format_count(evaluation.images, "images")
    found = []
    for name, label in INFO.metric_titles.items():
        if name in evaluation.metrics:
            interval = evaluation.intervals.get(name)
            known = interval is not None and not np.isnan(interval.lower)
            note = f"{format_interval(interval)}, {images}" if interval is not None and known else images
            found.append(Headline(label, percent(evaluation.metrics[name]), note))
    return tuple(found)


def report_sections(evaluation: Evaluation, dataset: Dataset) -> tuple[tuple[Headline, ...], tuple[Section, ...]]:
    """Headlines and sections of one evaluation."""
    sections = [_error_section(evaluation)]
    comparisons = compare_points(dataset, evaluation.worst)
    if comparisons:
        template, notebook = (_HOME, "worst_images.html.j2"), (_HOME, "worst_images_notebook.html.j2")
        context = {"comparisons": comparisons, "length": evaluation.point_set.length}
        sections.append(Section("worst", "Worst images", template, context, notebook))
    return headlines(evaluation), tuple(sections)


def console_output(evaluation: Evaluation) -> Iterator[RenderableType]:
    """The headline metrics, then the points of the greatest errors."""
    for position, headline in enumerate(headlines(evaluation)):
        text = f"{evaluation.split} {headline.label} {headline.value} ({headline.note})"
        yield Text(text, style="" if position else "bold")
    yield Text(f"errors are fractions of {evaluation.point_set.length}")
    if evaluation.unmeasured:
        yield Text(f"! {unmeasured_note(evaluation)}", style="yellow")
    table = Table("point", box=None, header_style="bold")
    for heading in ("mean error", "PCK@0.1", "images"):
        table.add_column(heading, justify="right")
    rows = sorted(evaluation.by_point().items(), key=lambda row: -np.nan_to_num(row[1]["error"], nan=-1.0))
    for name, row in rows[:_MOST_POINTS]:
        table.add_row(Text(name), percent(row["error"]), percent(row["pck_10"]), f"{row['images']:.0f}")
    if len(rows) > _MOST_POINTS:
        table.add_row(f"and {len(rows) - _MOST_POINTS} with smaller errors in the report")
    yield table


def unmeasured_note(evaluation: Evaluation) -> str:
    """A sentence on images whose errors have no length to be measured in."""
    count = format_count(evaluation.unmeasured, "images")
    return f"{count} left out of the errors, as {evaluation.point_set.length} is not known there"


def compare_points(dataset: Dataset, evaluated: Sequence[EvaluatedImage]) -> tuple[Comparison, ...]:
    """Evaluated images with their true and their predicted points; one that cannot be read any more is left out."""
    points = cast(Points, dataset.ground_truths["points"])
    found: list[Comparison] = []
    for one in evaluated:
        with suppress(ImageError):
            pixels = to_channels(dataset.images.read(one.index), 3)
            drawn = side_by_side(pixels, points, one)
            note = f"mean error {percent(one.error)}"
            found.append(Comparison(dataset.images.name(one.index), thumbnail(drawn, _WIDTH), note))
    return tuple(found)


def side_by_side(image: Pixels, points: Points, one: EvaluatedImage) -> Pixels:
    """(H, 2 W + gap, 3) an image with its true points, and with the predictions of those that are labeled."""
    visibility = points.visibility[one.index]
    true = draw_points(image, points.points[one.index], visibility, points.point_set)
    labeled = np.where(visibility > UNLABELED, VISIBLE, UNLABELED)
    found = draw_points(image, one.predicted, labeled, points.point_set)
    gap = np.full((len(image), _GAP, 3), 255, np.uint8)
    return np.concatenate([true, gap, found], axis=1)


def _error_section(evaluation: Evaluation) -> Section:
    known = evaluation.errors[~np.isnan(evaluation.errors)]
    context = {
        "length": evaluation.point_set.length,
        "note": unmeasured_note(evaluation) if evaluation.unmeasured else "",
        "within": [(each, float((known <= each).mean()) if len(known) else float("nan")) for each in _THRESHOLDS],
        "points": [
            (name, row["error"], row["pck_10"], int(row["images"])) for name, row in evaluation.by_point().items()
        ],
    }
    return Section("errors", "Errors of points", (_HOME, "errors.html.j2"), context)
