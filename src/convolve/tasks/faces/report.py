"""What a report shows of the faces found: headlines, precision and recall, the images of the most mistakes."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from convolve.datasets.drawn_boxes import DrawnBox, draw_boxes
from convolve.datasets.images import to_channels
from convolve.errors import ImageError
from convolve.reports.report import Headline, Section, format_count, percent
from convolve.reports.sections import class_section, precision_recall_columns
from convolve.reports.thumbnails import thumbnail
from convolve.tasks.faces.evaluation import Evaluation
from convolve.tasks.faces.options import INFO
from convolve.values import Color, Dataset

_WORST, _WIDTH = 12, 640
_TRUE: Color = (44, 160, 44)
_FOUND: Color = (31, 119, 180)
_WRONG: Color = (214, 39, 40)


@dataclass(frozen=True)
class WorstImage:
    """An image with its true faces and those found (a data URI), and how many mistakes there are."""

    name: str
    image: str
    note: str


def headlines(evaluation: Evaluation) -> tuple[Headline, ...]:
    """The metrics, with the number of images."""
    note = format_count(evaluation.images, "images")
    return tuple(Headline(title, percent(evaluation.metrics[name]), note) for name, title in INFO.metric_titles.items())


def report_sections(evaluation: Evaluation, dataset: Dataset) -> tuple[tuple[Headline, ...], tuple[Section, ...]]:
    """Headlines and sections of one evaluation."""
    counts, columns = evaluation.objects.counts(1), precision_recall_columns(evaluation.classes)
    sections = [class_section(("face",), counts, "faces", columns)]
    worst = worst_images(evaluation, dataset)
    if worst:
        sections.append(
            Section("worst", "Worst images", ("convolve.tasks.faces", "worst_images.html.j2"), {"images": worst})
        )
    return headlines(evaluation), tuple(sections)


def worst_images(evaluation: Evaluation, dataset: Dataset) -> tuple[WorstImage, ...]:
    """Those of the most mistakes; one that cannot be read any more is left out."""
    objects, found, judged = evaluation.objects, evaluation.detections, evaluation.judged
    missed = ~objects.ignored
    missed[judged.matches[judged.true]] = False
    wrong = np.zeros(len(found), dtype=bool)
    wrong[judged.rows[~judged.true]] = True
    mistakes = np.bincount(found.images[wrong], minlength=evaluation.images)
    mistakes += np.bincount(objects.images[missed], minlength=evaluation.images)
    worst: list[WorstImage] = []
    for image in np.argsort(-mistakes, kind="stable")[:_WORST].tolist():
        if not mistakes[image]:
            break
        true, own, index = objects.images == image, found.images == image, int(evaluation.indices[image])
        boxes = [
            DrawnBox(tuple(box), f"{score:.0%}", _WRONG if bad else _FOUND)
            for box, score, bad in zip(found.boxes[own].tolist(), found.scores[own].tolist(), wrong[own], strict=True)
        ]
        boxes += [
            DrawnBox(tuple(box), "", _TRUE, dashed=bool(lost))
            for box, lost in zip(objects.boxes[true].tolist(), missed[true], strict=True)
        ]
        note = f"{format_count(int(missed[true].sum()), 'faces')} missed"
        note += f", {format_count(int(wrong[own].sum()), 'false alarms')}"
        with suppress(ImageError):
            pixels = to_channels(dataset.images.read(index), 3)
            worst.append(WorstImage(dataset.images.name(index), thumbnail(draw_boxes(pixels, boxes), _WIDTH), note))
    return tuple(worst)
