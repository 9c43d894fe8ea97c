"""Sections that more than one task needs: confusion matrix, metrics of each class, training, data, recipe, machine."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from convolve.errors import DataError
from convolve.metrics.confusion import ClassMetrics, Fractions, macro_average, weighted_average
from convolve.reports.report import FactList, Section, Training, format_count, percent, whole_percent
from convolve.values import Indices

_HOME = "convolve.reports"
_NUMBERED = 20
_LARGEST = 200
_PAIRS = 12
_FEW = 20
_PRECISION = "the fraction of what is predicted as the class that belongs to it"
_RECALL = "the fraction of what belongs to the class that is predicted as it"


@dataclass(frozen=True)
class Cell:
    """A cell of the confusion matrix: its class indices, its count, the fraction of its row, and ``depth``, that of its
    color in percent. ``text`` stands in the cell, ``title`` appears under the pointer.
    """

    true: int
    predicted: int
    count: int
    fraction: float
    depth: int
    text: str
    title: str = ""


@dataclass(frozen=True)
class ClassColumn:
    """A column of the table of classes: ``values`` (C,) from 0 to 1, nan where there is none, and what they mean.

    ``mean`` is that of the classes; in ``weighted`` each class counts by its number of images or pixels.
    """

    heading: str
    values: Fractions
    definition: str
    mean: float
    weighted: float = math.nan


def confusion_section(names: Sequence[str], matrix: Indices, unit: str, percentages: bool = False) -> Section:
    """A (C, C) confusion matrix, rows true classes, which counts a ``unit`` such as `images`, and the pairs of classes
    that are confused most often.

    Cells show counts, or with ``percentages`` the fraction of their row. Beyond 200 classes there are only the pairs.
    Raises `DataError` when matrix and names do not fit.
    """
    _check(matrix.shape == (len(names),) * 2, names)
    size = range(len(names)) if len(names) <= _LARGEST else range(0)
    fractions = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)

    def cell(true: int, predicted: int) -> Cell:
        count, fraction = int(matrix[true, predicted]), float(fractions[true, predicted])
        depth = round(100 * math.sqrt(fraction))
        if percentages:
            title = f"{format_count(count, unit)}, {percent(fraction)}"
            return Cell(true, predicted, count, fraction, depth, whole_percent(fraction), title)
        return Cell(true, predicted, count, fraction, depth, str(count))

    wrong = np.where(np.eye(len(names), dtype=bool), 0, matrix)
    fullest = np.argsort(-wrong, axis=None, kind="stable")[:_PAIRS].tolist()
    pairs = [divmod(index, len(names)) for index in fullest]
    context = {
        "names": names,
        "unit": unit,
        "quantity": f"percentage of its row's {unit}" if percentages else f"number of {unit}",
        "rows": [[cell(row, column) for column in size] for row in size],
        "dense": len(names) > _NUMBERED,
        "short": all(len(name) <= 3 for name in names),
        "pairs": [cell(*pair) for pair in pairs if wrong[pair]],
    }
    template, notebook = (_HOME, "confusion.html.j2"), (_HOME, "confusion_notebook.html.j2")
    return Section("confusion", "Confusion matrix", template, context, notebook)


def precision_recall_columns(metrics: ClassMetrics) -> tuple[ClassColumn, ...]:
    """Precision, recall and F1 of each class."""
    mean, by_count = macro_average(metrics), weighted_average(metrics)
    return (
        ClassColumn("Precision", metrics.precision, _PRECISION, mean.precision, by_count.precision),
        ClassColumn("Recall", metrics.recall, _RECALL, mean.recall, by_count.recall),
        ClassColumn("F1", metrics.f1, "the harmonic mean of precision and recall", mean.f1, by_count.f1),
    )


def class_section(names: Sequence[str], counts: Indices, unit: str, columns: Sequence[ClassColumn]) -> Section:
    """A table of metrics by class, with how many of a ``unit`` such as `images` truly belong to each (C,).

    Where a class has fewer than 20, the page says what one of them more or less changes. Raises `DataError` when
    columns and names do not fit.
    """
    _check(all(len(column.values) == len(names) for column in columns), names)
    present = counts[counts > 0]
    least = int(present.min(initial=_FEW))
    context = {
        "names": names,
        "unit": unit,
        "counts": counts.tolist(),
        "columns": columns,
        "smallest": "" if least >= _FEW else names[counts.tolist().index(least)],
        "smallest_count": format_count(least, unit),
        "change": percent(1 / max(least, 1)),
    }
    return Section("classes", "Per-class metrics", (_HOME, "classes.html.j2"), context)


def training_section(training: Training) -> Section:
    """The curves of a training: both losses, the monitored metric, the learning rate."""
    from convolve.reports.drawing import as_svg
    from convolve.reports.figures import panels, training_curves

    curves = [as_svg(training_curves(training, [panel]), panel) for panel in panels(training)]
    context = {"curves": curves, "monitored": training.monitored, "best": training.best}
    return Section("training", "Training", (_HOME, "training.html.j2"), context)


def fact_section(
    anchor: str, title: str, lists: Sequence[FactList], warnings: Sequence[str] = (), literal: bool = False
) -> Section:
    """Lists of facts, below ``warnings`` such as the doctor's. ``literal`` values, such as those of options, are the
    same in every language.
    """
    context = {"lists": lists, "warnings": warnings, "literal": literal}
    return Section(anchor, title, (_HOME, "facts.html.j2"), context)


def _check(fits: bool, names: Sequence[str]) -> None:
    if not fits:
        raise DataError(f"The report's metrics do not fit its {len(names)} class names.")
