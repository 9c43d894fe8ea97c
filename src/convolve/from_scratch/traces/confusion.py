"""The confusion matrix and what follows from it, class by class; slides "Confusion matrix" and "Precision / Recall".

The lecture's rows are the predictions and its columns the ground truth ("ACTUAL"). scikit-learn, TensorFlow and most
books have it the other way round: rows actual, columns predicted. Read the wrong way, precision and recall change
places, so `KINDS` says which it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from convolve.from_scratch.arrays import Array
from convolve.from_scratch.traces.trace import (
    Cell,
    Phase,
    Step,
    Trace,
    column_cells,
    format_equation,
    format_mean,
    format_number,
    format_sum,
    input_grid,
    result_grid,
    row_cells,
    value_step,
)

KINDS = ("lecture", "scikit-learn")
"""Which side is the ground truth: its columns in the lecture, its rows in scikit-learn."""
_SIDES: Mapping[str, tuple[str, str, str]] = {
    "lecture": (
        "rows predicted, columns actual",
        "as in the lecture; scikit-learn, TensorFlow and most books have rows actual, columns predicted",
        "scikit-learn",
    ),
    "scikit-learn": (
        "rows actual, columns predicted",
        "as in scikit-learn, TensorFlow and most books; the lecture has rows predicted, columns actual",
        "lecture",
    ),
}
_RATES = ("precision", "recall")


@dataclass(frozen=True)
class ConfusionInputs:
    """Counts (classes, classes) and which of `KINDS` they are. Raises `ValueError` for counts that cannot be."""

    counts: Array
    kind: str

    def __post_init__(self) -> None:
        rows, columns = self.counts.shape
        if rows != columns:
            raise ValueError(f"A confusion matrix has as many rows as columns; this one is {rows}x{columns}.")
        if (self.counts < 0).any() or (self.counts % 1 != 0).any() or not self.counts.any():
            raise ValueError("A confusion matrix counts examples: whole numbers of at least 0, not all of them 0.")

    @property
    def by_prediction(self) -> Array:
        """Rows predicted, columns actual."""
        return self.counts if self.kind == "lecture" else self.counts.T

    def cells(self, side: str, index: int) -> list[Cell]:
        """The cells of the row or column of a class's predictions, or of its examples ("actual")."""
        in_row = (side == "predicted") == (self.kind == "lecture")
        line = row_cells if in_row else column_cells
        return line("C", index, len(self.counts))


def confusion_trace(given: ConfusionInputs) -> Trace:
    """Counts of each class, then precision, recall and F1 of each, and the accuracy."""
    sides, others, other = _SIDES[given.kind]
    count = len(given.counts)
    phases = [
        Phase("How many were predicted, and how many there are", f"{sides}: {others} (kind {other})", _totals(given)),
        Phase(
            "Right and wrong, for each class",
            "TP, FP = predicted - TP, FN = actual - TP, TN = the rest",
            _counts(given),
        ),
        Phase("Precision", "TP / (TP + FP): of those predicted as the class, how many are", _rates(given, "precision")),
        Phase("Recall", "TP / (TP + FN): of those that are the class, how many were found", _rates(given, "recall")),
        Phase("F1", "2PR / (P + R), the harmonic mean", tuple(_f1_steps(given))),
        Phase(
            "Over all classes", "accuracy = Σ TP / all; macro averages = the means over the classes", _overall(given)
        ),
    ]
    columns = (1, count)
    grids = [input_grid("C", f"confusion matrix: {sides}", given.counts)]
    for name, title in (("predicted", "as each class"), ("actual", "of each class"), ("TP", "true positives")):
        grids.append(result_grid(name, title, columns, phases))
    for name, title in (("FP", "false positives"), ("FN", "false negatives"), ("TN", "true negatives")):
        grids.append(result_grid(name, title, columns, phases))
    grids += [result_grid(name, "of each class", columns, phases) for name in (*_RATES, "F1")]
    grids.append(result_grid("accuracy", "of all examples", (1, 1), phases))
    grids.append(result_grid("macro", "precision, recall, F1: means over the classes", (1, 3), phases))
    return Trace(f"Confusion matrix ({sides})", tuple(grids), tuple(phases))


def class_counts(counts: Array, k: int) -> tuple[float, float, float, float]:
    """TP, FP, FN and TN of class k, from counts with rows predicted and columns actual."""
    right, predicted, actual = float(counts[k, k]), float(counts[k].sum()), float(counts[:, k].sum())
    return right, predicted - right, actual - right, float(counts.sum()) - predicted - actual + right


def class_rates(counts: Array, k: int) -> tuple[float, float, float]:
    """Precision, recall and F1 of class k; 0 where there is nothing to divide by, as in scikit-learn."""
    right, false_positives, false_negatives, _ = class_counts(counts, k)
    precision = right / (right + false_positives) if right else 0.0
    recall = right / (right + false_negatives) if right else 0.0
    return precision, recall, 2 * precision * recall / (precision + recall) if right else 0.0


def _totals(given: ConfusionInputs) -> tuple[Step, ...]:
    steps = []
    for side, axis in (("predicted", 1), ("actual", 0)):
        for k in range(len(given.counts)):
            values = (given.by_prediction[k] if axis else given.by_prediction[:, k]).tolist()
            text = format_equation(values, sum(values))
            steps.append(value_step((side, 0, k), sum(values), text, given.cells(side, k), vector=True))
    return tuple(steps)


def _counts(given: ConfusionInputs) -> tuple[Step, ...]:
    steps, total = [], format_number(float(given.counts.sum()))
    for k in range(len(given.counts)):
        values = class_counts(given.by_prediction, k)
        right, false_positives, false_negatives, negatives = map(format_number, values)
        predicted, actual = (format_number(values[0] + values[n]) for n in (1, 2))
        lines = (
            f"TP = {right}, on the diagonal",
            f"FP = {predicted} - {right} = {false_positives}",
            f"FN = {actual} - {right} = {false_negatives}",
            f"TN = {total} - {right} - {false_positives} - {false_negatives} = {negatives}",
        )
        inputs = (("C", k, k), ("predicted", 0, k), ("actual", 0, k))
        outputs = tuple(((name, 0, k), value) for name, value in zip(("TP", "FP", "FN", "TN"), values, strict=True))
        steps.append(Step(f"class {k + 1}", (), lines, inputs, outputs))
    return tuple(steps)


def _rates(given: ConfusionInputs, name: str) -> tuple[Step, ...]:
    steps, wrong = [], "FP" if name == "precision" else "FN"
    for k in range(len(given.counts)):
        right, *errors = class_counts(given.by_prediction, k)[:3]
        missed, rate = errors[_RATES.index(name)], class_rates(given.by_prediction, k)[_RATES.index(name)]
        left = f"{format_number(right)} / ({format_number(right)} + {format_number(missed)})"
        text = f"{left} = {format_number(rate)} = {100 * rate:.4g} %"
        if right + missed == 0:
            text = (
                f"0 / 0: class {k + 1} {'is never predicted' if name == 'precision' else 'has no example'}; taken as 0"
            )
        inputs = [("TP", 0, k), (wrong, 0, k)]
        steps.append(value_step((name, 0, k), rate, text, inputs, vector=True))
    return tuple(steps)


def _f1_steps(given: ConfusionInputs) -> Iterator[Step]:
    for k in range(len(given.counts)):
        precision, recall, f1 = class_rates(given.by_prediction, k)
        p, r = format_number(precision), format_number(recall)
        text = f"2·{p}·{r} / ({p} + {r}) = {format_number(f1)}" if f1 else "precision and recall are 0: 0"
        yield value_step(("F1", 0, k), f1, text, [("precision", 0, k), ("recall", 0, k)], vector=True)


def _overall(given: ConfusionInputs) -> tuple[Step, ...]:
    right, total, count = np.diag(given.counts).tolist(), float(given.counts.sum()), len(given.counts)
    accuracy = sum(right) / total
    text = f"({format_sum(right)}) / {format_number(total)} = {format_number(accuracy)} = {100 * accuracy:.4g} %"
    inputs = [("TP", 0, k) for k in range(count)]
    steps = [value_step(("accuracy", 0, 0), accuracy, text, inputs)]
    for column, name in enumerate((*_RATES, "F1")):
        values = [class_rates(given.by_prediction, k)[column] for k in range(count)]
        cell, mean = ("macro", 0, column), sum(values) / count
        steps.append(value_step(cell, mean, f"{name}: {format_mean(values)}", row_cells(name, 0, count), vector=True))
    return tuple(steps)
