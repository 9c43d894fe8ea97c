"""What a report shows of a detector: headlines, precision and recall, kinds of errors, the worst images, confusion
matrix, anchors; and what the console does.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from typing import cast

import numpy as np
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from convolve.datasets.boxes import Boxes
from convolve.datasets.class_colors import class_color
from convolve.datasets.drawn_boxes import DrawnBox, draw_boxes
from convolve.errors import ImageError
from convolve.layers.box_head import BoxHead
from convolve.metrics.confusion import Fractions
from convolve.metrics.detection_errors import ErrorCost
from convolve.reports.drawing import as_svg
from convolve.reports.report import Headline, Section, format_count, format_interval, percent
from convolve.reports.sections import ClassColumn, class_section, confusion_section, precision_recall_columns
from convolve.reports.thumbnails import thumbnail
from convolve.runtime import Runtime
from convolve.tasks.detect.anchors import anchor_section, box_sides
from convolve.tasks.detect.charts import MOST_CURVES, error_figure, precision_recall_figure
from convolve.tasks.detect.evaluation import EvaluatedImage, Evaluation
from convolve.tasks.detect.options import INFO
from convolve.tasks.detect.task import Detect
from convolve.values import Color, Dataset, Floats, Indices, Pixels, Preprocessing

_HOME = "convolve.tasks.detect"
_MOST_CLASSES = 30
_WIDTH, _SIDE, _GAP = 1200, 640, 6
_WRONG: Color = (214, 39, 40)
_NOTHING = "nothing"
_AP50 = "average precision where an overlap (IoU) of 0.5 makes a detection right"
_AP = "the mean of that over overlaps of 0.50, 0.55 … 0.95 (COCO)"
_VOC = "as AP50, but by the rules of Pascal VOC from 2010"
_ERRORS = {
    "classification": "right position, wrong class",
    "localization": "right class, but an overlap below 0.5",
    "both": "wrong class and an overlap below 0.5",
    "duplicate": "an object that a better detection has found already",
    "background": "nothing is there",
    "missed": "an object that nothing finds",
}


@dataclass(frozen=True)
class Comparison:
    """An image with its ground truth next to the same with its detections, in one image (a data URI)."""

    name: str
    image: str
    note: str


def headlines(evaluation: Evaluation) -> tuple[Headline, ...]:
    """The metrics worth the top of a page; those of average precision with their 95 % intervals."""
    metrics, intervals = evaluation.metrics, evaluation.intervals._asdict()
    images = format_count(evaluation.images, "images")
    at = f"at a confidence of {evaluation.threshold:.2f}"
    found = []
    for name, label in INFO.metric_titles.items():
        known = name in intervals and not math.isnan(intervals[name][0])
        note = f"{format_interval(intervals[name])}, {images}" if known else images
        found.append(Headline(label, percent(metrics[name]), at if name in ("precision", "recall", "f1") else note))
    return tuple(found)


def report_sections(
    task: Detect, evaluation: Evaluation, dataset: Dataset, runtime: Runtime, preprocessing: Preprocessing
) -> tuple[tuple[Headline, ...], tuple[Section, ...]]:
    """Headlines and sections of one evaluation."""
    del runtime
    sections = plain_sections(evaluation, dataset)
    sides = box_sides(cast(Boxes, dataset.ground_truths["boxes"]), np.arange(len(dataset)), preprocessing)
    anchors = network_anchors(task)
    if anchors is not None and len(sides):
        sections += (anchor_section(sides, anchors),)
    return headlines(evaluation), sections


def plain_sections(evaluation: Evaluation, dataset: Dataset) -> tuple[Section, ...]:
    """The sections that need no network."""
    sections = [_precision_section(evaluation), _error_section(evaluation)]
    comparisons = compare_boxes(dataset, evaluation.worst, evaluation.names)
    if comparisons:
        template, notebook = (_HOME, "worst_images.html.j2"), (_HOME, "worst_images_notebook.html.j2")
        context = {"comparisons": comparisons, "threshold": evaluation.threshold}
        sections.append(Section("worst", "Worst images", template, context, notebook))
    sections.append(confusion_section((*evaluation.names, _NOTHING), evaluation.matrix, "objects"))
    sections.append(class_section(evaluation.names, evaluation.voc.objects, "objects", _class_columns(evaluation)))
    return tuple(sections)


def console_output(evaluation: Evaluation) -> Iterator[RenderableType]:
    """The headline metrics, then each class, then what costs most."""
    for position, headline in enumerate(headlines(evaluation)):
        text = f"{evaluation.split} {headline.label} {headline.value} ({headline.note})"
        yield Text(text, style="" if position else "bold")
    table = Table("class", box=None, header_style="bold")
    for heading in ("AP50", "AP", "precision", "recall", "objects"):
        table.add_column(heading, justify="right")
    coco, classes = evaluation.coco, evaluation.classes
    columns = coco.class_ap50, coco.class_ap, classes.precision, classes.recall
    for index, name in enumerate(evaluation.names[:_MOST_CLASSES]):
        values = (percent(column[index]) for column in columns)
        table.add_row(Text(name), *values, str(evaluation.voc.objects[index]))
    if len(evaluation.names) > _MOST_CLASSES:
        table.add_row(f"and {len(evaluation.names) - _MOST_CLASSES} more in the report")
    yield table
    if evaluation.unseen:
        yield Text(f"note: {unseen_note(evaluation)}")
    costs = {name: each.cost for name, each in error_kinds(evaluation).items() if each.cost > 0}
    if costs:
        worst = max(costs, key=costs.__getitem__)
        yield f"what costs most: {worst} ({_ERRORS[worst]}), {100 * costs[worst]:.1f} points of AP50"


def unseen_note(evaluation: Evaluation) -> str:
    """What it means that the network's input does not show some objects; nothing where it shows all."""
    if not evaluation.unseen:
        return ""
    number = f"{evaluation.unseen:,} of {int(evaluation.voc.objects.sum()):,}"
    return (
        f"{number} objects lie outside of what --fit crop leaves of the images, and count as missed; --fit letterbox "
        "shows all."
    )


def error_kinds(evaluation: Evaluation) -> Mapping[str, ErrorCost]:
    """The six kinds of errors by name."""
    return {
        field.name: getattr(evaluation.errors, field.name)
        for field in fields(evaluation.errors)
        if field.name in _ERRORS
    }


def network_anchors(task: Detect) -> Floats | None:
    """(A, 2) widths and heights in pixels of the input, those of all scales; None for a network without anchors."""
    anchors = cast(BoxHead, task.network.head).anchors
    return None if anchors is None else anchors.reshape(-1, 2).cpu().numpy()


def compare_boxes(
    dataset: Dataset, evaluated: Sequence[EvaluatedImage], names: Sequence[str]
) -> tuple[Comparison, ...]:
    """Evaluated images, ground truth left and detections right; one that cannot be read any more is left out."""
    found: list[Comparison] = []
    for one in evaluated:
        with suppress(ImageError):
            image = dataset.images.read(one.index)
            note = f"{format_count(int(one.missed.sum()), 'objects')} missed"
            note += f", {format_count(int((~one.right).sum()), 'false alarms')}"
            uri = thumbnail(side_by_side(image, one, names), _WIDTH)
            found.append(Comparison(dataset.images.name(one.index), uri, note))
    return tuple(found)


def side_by_side(image: Pixels, one: EvaluatedImage, names: Sequence[str]) -> Pixels:
    """(H, 2 W + gap, 3) an image (h, w, 1 or 3) with its objects, those that are missed dashed, next to the same with
    the detections, those that are wrong dashed in red.
    """
    ignored = one.objects.ignored.tolist()
    objects = [
        DrawnBox(_edges(box), names[kind] + (" (ignored)" if each else ""), class_color(kind), bool(missed))
        for box, kind, missed, each in zip(
            one.objects.boxes, one.objects.classes.tolist(), one.missed, ignored, strict=True
        )
    ]
    rows = zip(one.detections.boxes, one.detections.classes.tolist(), one.detections.scores, one.right, strict=True)
    found = [
        DrawnBox(_edges(box), f"{names[kind]} {score:.0%}", class_color(kind) if right else _WRONG, not right)
        for box, kind, score, right in rows
    ]
    left, right = draw_boxes(image, objects), draw_boxes(image, found)
    return np.concatenate([left, np.full((len(left), _GAP, 3), 255, np.uint8), right], axis=1)


def _edges(box: Fractions) -> tuple[float, float, float, float]:
    left, top, right, bottom = box.tolist()
    return left, top, right, bottom


def _precision_section(evaluation: Evaluation) -> Section:
    """Curves of the classes of the most objects, the twelve metrics of COCO by size, the threshold."""
    objects, coco = evaluation.voc.objects, evaluation.coco
    chosen = np.argsort(-objects, kind="stable")[:MOST_CURVES].tolist()
    curves = [
        (evaluation.names[index], index, evaluation.curves[index], float(evaluation.classes.recall[index]))
        for index in sorted(chosen)
        if objects[index] and len(evaluation.curves[index].scores)
    ]
    values = coco.summary()
    context = {
        "figure": as_svg(precision_recall_figure(curves), "curves") if curves else "",
        "left_out": len(evaluation.names) - len(curves),
        "sizes": [
            ("all", values["ap"], values["ar_100"]),
            ("small, below 32×32 pixels", values["ap_small"], values["ar_small"]),
            ("medium", values["ap_medium"], values["ar_medium"]),
            ("large, above 96×96 pixels", values["ap_large"], values["ar_large"]),
        ],
        "overlaps": [("0.50 to 0.95", values["ap"]), ("0.50", values["ap50"]), ("0.75", values["ap75"])],
        "recalls": [(count, values[f"ar_{count}"]) for count in (1, 10, 100)],
        "voc": [
            ("area, from 2010", evaluation.voc.mean_area),
            ("11 points, to 2009", evaluation.voc.mean_eleven_point),
        ],
        "threshold": evaluation.threshold,
        "metrics": evaluation.metrics,
    }
    template, notebook = (_HOME, "precision.html.j2"), (_HOME, "precision_notebook.html.j2")
    return Section("precision", "Average precision", template, context, notebook)


def _error_section(evaluation: Evaluation) -> Section:
    kinds = error_kinds(evaluation)
    costs = [each.cost for each in kinds.values()]
    context = {
        "note": unseen_note(evaluation),
        "figure": as_svg(error_figure(list(kinds), costs), "errors"),
        "rows": [(name, _ERRORS[name], each.count, each.cost) for name, each in kinds.items()],
        "all": [
            ("all that is wrong", evaluation.errors.false_positives.cost),
            ("all that is not found", evaluation.errors.false_negatives.cost),
        ],
    }
    return Section("errors", "Kinds of errors", (_HOME, "errors.html.j2"), context)


def _class_columns(evaluation: Evaluation) -> tuple[ClassColumn, ...]:
    coco, voc, objects = evaluation.coco, evaluation.voc, evaluation.voc.objects
    return (
        ClassColumn("AP50", coco.class_ap50, _AP50, coco.ap50, _weighted(coco.class_ap50, objects)),
        ClassColumn("AP", coco.class_ap, _AP, coco.ap, _weighted(coco.class_ap, objects)),
        ClassColumn("VOC AP50", voc.area, _VOC, voc.mean_area, _weighted(voc.area, objects)),
        *precision_recall_columns(evaluation.classes),
    )


def _weighted(values: Fractions, counts: Indices) -> float:
    known = ~np.isnan(values) & (counts > 0)
    return float(np.average(values[known], weights=counts[known])) if known.any() else float("nan")
