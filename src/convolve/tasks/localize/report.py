"""What a report shows of a localization network: headlines, accuracy over the overlap that is asked for, the worst
images, confusion matrix, each class; and what the console does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from convolve.datasets.class_colors import class_color
from convolve.datasets.drawn_boxes import DrawnBox, draw_boxes
from convolve.errors import ImageError
from convolve.metrics.boxes import BoxArray
from convolve.metrics.confusion import Fractions
from convolve.reports.colors import MUTED, RIGHT, WRONG
from convolve.reports.drawing import as_svg, style
from convolve.reports.report import Headline, Section, format_count, format_interval, percent
from convolve.reports.sections import ClassColumn, class_section, confusion_section
from convolve.reports.thumbnails import thumbnail
from convolve.tasks.localize.evaluation import OVERLAP, Evaluation, LocalizedImages
from convolve.tasks.localize.options import INFO
from convolve.values import Color, Dataset, Indices, Pixels

WORST = 12
"""How many of the worst images the report shows."""
_HOME = "convolve.tasks.localize"
_MOST_CLASSES = 30
_SIDE = 480
_WRONG: Color = (214, 39, 40)
_COLUMNS = (
    ("recall", "Recall", "the fraction of the class's images of which the class is right"),
    ("mean_iou", "Mean IoU", "the mean overlap of the box with the object's, whatever the class"),
    ("localization_accuracy", "Localization", "the fraction of which the class is right and the overlap at least 0.5"),
)


@dataclass(frozen=True)
class WorstImage:
    """An image (a data URI) with the object's box and the predicted one, and what is wrong."""

    name: str
    image: str
    note: str


def headlines(evaluation: Evaluation) -> tuple[Headline, ...]:
    """The metrics with their 95 % intervals."""
    images = format_count(evaluation.images, "images")
    return tuple(
        Headline(label, percent(evaluation.metrics[name]), f"{format_interval(evaluation.intervals[name])}, {images}")
        for name, label in INFO.metric_titles.items()
        if name in evaluation.metrics
    )


def report_sections(evaluation: Evaluation, dataset: Dataset) -> tuple[Section, ...]:
    """All sections; none needs the network."""
    sections = [_overlap_section(evaluation)]
    images = draw_worst(dataset, evaluation)
    if images:
        template, notebook = (_HOME, "worst_images.html.j2"), (_HOME, "worst_images_notebook.html.j2")
        sections.append(Section("worst", "Worst images", template, {"images": images}, notebook))
    sections.append(confusion_section(evaluation.names, evaluation.matrix, "images"))
    classes = evaluation.classes
    columns = tuple(
        ClassColumn(heading, getattr(classes, name), definition, *_means(getattr(classes, name), classes.images))
        for name, heading, definition in _COLUMNS
    )
    sections.append(class_section(evaluation.names, classes.images, "images", columns))
    return tuple(sections)


def console_output(evaluation: Evaluation) -> Iterator[RenderableType]:
    """The headline metrics, then each class."""
    for position, headline in enumerate(headlines(evaluation)):
        text = f"{evaluation.split} {headline.label} {headline.value} ({headline.note})"
        yield Text(text, style="" if position else "bold")
    table = Table("class", box=None, header_style="bold")
    for _, heading, _ in _COLUMNS:
        table.add_column(heading.casefold().replace("iou", "IoU"), justify="right")
    table.add_column("images", justify="right")
    for index, name in enumerate(evaluation.names[:_MOST_CLASSES]):
        values = (percent(getattr(evaluation.classes, column)[index]) for column, _, _ in _COLUMNS)
        table.add_row(Text(name), *values, str(evaluation.classes.images[index]))
    if len(evaluation.names) > _MOST_CLASSES:
        table.add_row(f"and {len(evaluation.names) - _MOST_CLASSES} more in the report")
    yield table
    for note in evaluation.notes:
        yield Text(f"note: {note}")


def draw_worst(dataset: Dataset, evaluation: Evaluation) -> tuple[WorstImage, ...]:
    """The images of a wrong class, then those of the lowest overlap, without those that are right; one that cannot be
    read any more is left out.
    """
    localized, found = evaluation.localized, []
    for row in worst_rows(localized).tolist():
        with suppress(ImageError):
            index, overlap = int(localized.indices[row]), float(localized.overlaps[row])
            true, predicted = (evaluation.names[kinds[row]] for kinds in (localized.classes, localized.found))
            note = f"IoU {overlap:.2f}" + (f", {true} taken for {predicted}" if true != predicted else "")
            image = draw_localized(dataset.images.read(index), localized, row, evaluation.names)
            found.append(WorstImage(dataset.images.name(index), thumbnail(image, _SIDE), note))
    return tuple(found)


def worst_rows(localized: LocalizedImages) -> Indices:
    """At most `WORST` of the rows, the worst first."""
    wrong = localized.found != localized.classes
    badness = localized.overlaps - wrong
    order = np.argsort(badness, kind="stable")[:WORST]
    return np.asarray(order[badness[order] < OVERLAP], dtype=np.int64)


def draw_localized(image: Pixels, localized: LocalizedImages, row: int, names: tuple[str, ...]) -> Pixels:
    """(H, W, 3) an image (h, w, 1 or 3) with the object's box, dashed, and the predicted one, in red where its class or
    its position is wrong.
    """
    kind, predicted = int(localized.classes[row]), int(localized.found[row])
    right = kind == predicted and localized.overlaps[row] >= OVERLAP
    label = f"{names[predicted]} {localized.scores[row, predicted]:.0%}"
    found = DrawnBox(_edges(localized.boxes[row]), label, class_color(predicted) if right else _WRONG)
    wanted = DrawnBox(_edges(localized.objects[row]), names[kind], class_color(kind), dashed=True)
    return draw_boxes(image, [found, wanted])


def overlap_figure(localized: LocalizedImages) -> Figure:
    """How many images would be right if another overlap were asked for, by their box, and by class and box."""
    with style():
        figure = Figure(figsize=(4.2, 3.0), layout="constrained")
        axes = figure.add_subplot()
        right = localized.found == localized.classes
        for name, counted, color, line in (
            ("box", np.ones_like(right), WRONG, "--"),
            ("class and box", right, RIGHT, "-"),
        ):
            overlaps = np.sort(localized.overlaps[counted])[::-1]
            fractions = np.arange(len(overlaps) + 1) / len(right)
            axes.step(np.append(1.0, overlaps), fractions, where="post", color=color, linestyle=line, label=name)
            axes.plot([0, overlaps[-1] if len(overlaps) else 1], [fractions[-1]] * 2, color=color, linestyle=line)
        axes.axvline(OVERLAP, color=MUTED, linewidth=0.8, linestyle=(0, (2, 2)), zorder=0)
        axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="IoU that makes a box right", ylabel="fraction of the images")
        axes.grid(visible=True)
        axes.legend(loc="lower left")
    return figure


def _overlap_section(evaluation: Evaluation) -> Section:
    context = {
        "figure": as_svg(overlap_figure(evaluation.localized), "overlaps"),
        "notes": evaluation.notes,
        "metrics": evaluation.metrics,
    }
    return Section("overlap", "Class and box", (_HOME, "overlap.html.j2"), context)


def _means(values: Fractions, counts: Indices) -> tuple[float, float]:
    """The mean of the classes, and that in which each counts by its images."""
    known = counts > 0
    if not known.any():
        return float("nan"), float("nan")
    return float(values[known].mean()), float(np.average(values[known], weights=counts[known]))


def _edges(box: BoxArray) -> tuple[float, float, float, float]:
    left, top, right, bottom = box.tolist()
    return left, top, right, bottom
