"""Losses, value by value, and backward to the gradient of what they score.

The multiclass hinge (SVM) loss (assignment 1 of CS231n, the lecture's homework): each wrong class should score at least
1 below the true one; what is missing is its margin, and a row's loss is the sum of its margins. Backward, each wrong
class with a margin gets 1/N, and the true class minus their sum.

L1 and L2: the mean of |x - t| and of (x - t)². Every loss is the mean over the batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from convolve.from_scratch.arrays import Array
from convolve.from_scratch.traces.trace import (
    Phase,
    Step,
    Trace,
    column_cells,
    column_of_terms,
    format_factor,
    format_mean,
    format_number,
    format_shape,
    format_sum,
    input_grid,
    result_grid,
    row_cells,
    value_step,
)


@dataclass(frozen=True)
class Scores:
    """x (N, classes) and the true class index of each row, from 0. Raises `ValueError` when they do not match."""

    x: Array
    labels: tuple[int, ...]

    def __post_init__(self) -> None:
        rows, classes = self.x.shape
        if len(self.labels) != rows:
            raise ValueError(f"target has {len(self.labels)} classes for {rows} rows of scores; give one for each.")
        for label in self.labels:
            if not 0 <= label < classes:
                raise ValueError(
                    f"target is class {label + 1}, but the {classes} scores are of classes 1 to {classes}."
                )

    @property
    def one_hot(self) -> Array:
        """T (N, classes): 1 at the true class, else 0."""
        ones: Array = np.eye(self.x.shape[1])[list(self.labels)]
        return ones


def hinge_trace(scores: Scores, *, backward: bool) -> Trace:
    """Forward to the mean loss L, and back to dx if asked."""
    targets = scores.one_hot
    margins = np.maximum(scores.x - scores.x[targets == 1][:, None] + 1, 0) * (1 - targets)
    rule = "m[j] = max(0, x[j] - x[true] + 1), wrong classes j"
    phases = [
        Phase("Forward: the margins m", rule, tuple(_margin_steps(scores))),
        Phase("Forward: the loss ℓ of each row", "ℓ = Σ m", tuple(row_sum_steps("ℓ", "m", margins))),
        mean_loss([sum(row) for row in margins.tolist()]),
    ]
    if backward:
        rule = "dx[j] = 1/N where m[j] > 0, else 0; dx[true] = -(number of m > 0) / N"
        phases.append(Phase("Backward: the score gradient dx", rule, tuple(_hinge_dx_steps(scores, margins))))
    shape = scores.x.shape
    grids = [
        input_grid("x", "scores, one example per row", scores.x),
        input_grid("t", "target, 1 at the true class", targets),
        result_grid("m", "margins", shape, phases),
        result_grid("ℓ", "loss of each row", (len(scores.x), 1), phases),
        result_grid("L", "loss", (1, 1), phases),
    ]
    grids += [result_grid("dx", "∂L/∂x", shape, phases)] if backward else []
    return Trace("Multiclass hinge (SVM) loss", tuple(grids), tuple(phases))


def _margin_steps(scores: Scores) -> Iterator[Step]:
    for n, k in np.ndindex(*scores.x.shape):
        label = scores.labels[n]
        if k == label:
            yield value_step(("m", n, k), 0, "the true class itself: 0", [("t", n, k)])
            continue
        score, true_score = float(scores.x[n, k]), float(scores.x[n, label])
        missing = score - true_score + 1
        margin = max(0.0, missing)
        left = f"max(0, {format_number(score)} - {format_factor(true_score)} + 1)"
        text = f"{left} = max(0, {format_number(missing)}) = {format_number(margin)}"
        yield value_step(("m", n, k), margin, text, [("x", n, k), ("x", n, label)])


def _hinge_dx_steps(scores: Scores, margins: Array) -> Iterator[Step]:
    count = len(scores.x)
    for n, k in np.ndindex(*margins.shape):
        if k == scores.labels[n]:
            inside = int((margins[n] > 0).sum())
            text = "no margin above 0: 0"
            if inside:
                text = f"margins above 0: {inside}; -{inside} / {count} = {format_number(-inside / count)}"
            yield value_step(("dx", n, k), -inside / count, text, row_cells("m", n, margins.shape[1]))
            continue
        margin = float(margins[n, k])
        value = float(margin > 0) / count
        text = f"m = {format_number(margin)} > 0: 1 / {count} = {format_number(value)}" if margin > 0 else "m = 0: 0"
        yield value_step(("dx", n, k), value, text, [("m", n, k)])


def row_sum_steps(grid: str, source: str, values: Array) -> Iterator[Step]:
    """The sum of each row of the ``source``, whose ``values`` are (N, columns), in a column of ``grid``."""
    for n, row in enumerate(values.tolist()):
        text = f"{format_sum(row)} = {format_number(sum(row))}"
        yield value_step((grid, n, 0), sum(row), text, row_cells(source, n, len(row)))


def mean_loss(losses: Sequence[float]) -> Phase:
    """The last phase of a classifier's forward pass: L, the mean of the rows' losses ℓ."""
    mean, inputs = sum(losses) / len(losses), column_cells("ℓ", 0, len(losses))
    step = value_step(("L", 0, 0), mean, format_mean(losses), inputs, column_of_terms(losses), vector=True)
    return Phase("Forward: the loss L", "L = Σ ℓ / N", (step,))


Distance = Literal["l1", "l2"]
_DISTANCES: Mapping[Distance, tuple[str, str, str]] = {
    "l1": ("L1 loss", "a = |x - t|", "dx = ±1 / n, the sign of x - t; 0 where they are equal"),
    "l2": ("L2 loss", "a = (x - t)²", "dx = 2 (x - t) / n"),
}


def distance_trace(kind: Distance, x: Array, target: Array, *, backward: bool) -> Trace:
    """``x`` and its ``target``, both (rows, columns), to the mean loss L, and back to dx if asked. Raises `ValueError`
    when their shapes differ.
    """
    if target.shape != x.shape:
        shapes = format_shape(target.shape), format_shape(x.shape)
        raise ValueError(f"target has {shapes[0]} values and the input {shapes[1]}; give one for each.")
    title, distance, gradient = _DISTANCES[kind]
    distances = np.abs(x - target) if kind == "l1" else (x - target) ** 2
    values = distances.ravel().tolist()
    inputs = [("a", row, column) for row, column in np.ndindex(*x.shape)]
    mean = value_step(("L", 0, 0), sum(values) / len(values), format_mean(values), inputs, vector=True)
    phases = [
        Phase("Forward: the distances a", distance, tuple(_distance_steps(kind, x, target))),
        Phase("Forward: the loss L", "L = Σ a / n, over all values", (mean,)),
    ]
    if backward:
        phases.append(Phase("Backward: the input gradient dx", gradient, tuple(_distance_dx_steps(kind, x, target))))
    grids = [input_grid("x", "input", x), input_grid("t", "target", target)]
    grids += [result_grid("a", "distances", x.shape, phases), result_grid("L", "loss", (1, 1), phases)]
    grids += [result_grid("dx", "∂L/∂x", x.shape, phases)] if backward else []
    return Trace(title, tuple(grids), tuple(phases))


def _distance_steps(kind: Distance, x: Array, target: Array) -> Iterator[Step]:
    for row, column in np.ndindex(*x.shape):
        value, other = float(x[row, column]), float(target[row, column])
        difference = f"{format_number(value)} - {format_factor(other)}"
        if kind == "l1":
            distance = abs(value - other)
            text = f"|{difference}| = {format_number(distance)}"
        else:
            distance = (value - other) ** 2
            text = f"({difference})² = {format_number(distance)}"
        yield value_step(("a", row, column), distance, text, [("x", row, column), ("t", row, column)])


def _distance_dx_steps(kind: Distance, x: Array, target: Array) -> Iterator[Step]:
    for row, column in np.ndindex(*x.shape):
        difference = float(x[row, column] - target[row, column])
        numerator = float(np.sign(difference)) if kind == "l1" else 2 * difference
        left = format_number(numerator) if kind == "l1" else f"2·{format_factor(difference)}"
        value = numerator / x.size
        text = f"{left} / {x.size} = {format_number(value)}"
        yield value_step(("dx", row, column), value, text, [("x", row, column), ("t", row, column)])
