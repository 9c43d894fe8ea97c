"""Global average pooling and class activation maps, value by value.

Slides "Global Average Pooling" (the mean of each map takes the dense layers' place, without a weight) and "CNN Class
Activation Map": each map times the weight that its mean has for a class, added position by position; Zhou et al. 2016.
The map's mean is the class's score, so the map says where the score comes from. Backward, each of a map's m values gets
δ/m, as in average pooling.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from convolve.from_scratch.arrays import Array
from convolve.from_scratch.traces.trace import (
    Cell,
    Phase,
    Step,
    Term,
    TermTable,
    Trace,
    check_delta,
    format_cell,
    format_equation,
    format_factor,
    format_mean,
    format_number,
    grid_name,
    input_grid,
    product,
    result_grid,
    row_cells,
    value_step,
)


def gap_trace(x: Array, dy: Array | None) -> Trace:
    """``x`` (C, H, W) to one mean per channel, and back from ``dy`` (1, C) if it is given."""
    count = x[0].size
    phases = [Phase("Forward: the output y", f"y = Σ x / {count}, for each map", tuple(_mean_steps(x, "y")))]
    channels = range(len(x))
    grids = [input_grid(grid_name("x", c, len(x)), "map", x[c]) for c in channels]
    grids.append(result_grid("y", "output, one value per map", (1, len(x)), phases))
    if dy is not None:
        check_delta(dy, (1, len(x)))
        formula = f"each of a map's m = {count} values gets δ/m"
        phases.append(Phase("Backward: the input gradient dx", formula, tuple(_dx_steps(x, dy))))
        grids.append(input_grid("dy", "δ = ∂L/∂y", dy))
        grids += [result_grid(grid_name("dx", c, len(x)), "∂L/∂x", x.shape[1:], phases) for c in channels]
    return Trace("Global average pooling", tuple(grids), tuple(phases))


def _mean_steps(x: Array, grid: str) -> Iterator[Step]:
    for c, values in enumerate(x):
        flat, name = values.ravel().tolist(), grid_name("x", c, len(x))
        inputs = [(name, i, j) for i, j in np.ndindex(*values.shape)]
        rows = [[Term(format_number(value), value) for value in row] for row in values.tolist()]
        step = value_step((grid, 0, c), sum(flat) / len(flat), format_mean(flat), inputs, vector=True)
        yield Step(step.title, (TermTable(tuple(map(tuple, rows))),), step.equations, step.inputs, step.outputs)


def _dx_steps(x: Array, dy: Array) -> Iterator[Step]:
    count = x[0].size
    for c, delta in enumerate(dy[0].tolist()):
        part, name = delta / count, grid_name("dx", c, len(x))
        text = f"δ/m = {format_number(delta)} / {count} = {format_number(part)} to each of the {count}"
        outputs = tuple(((name, i, j), part) for i, j in np.ndindex(*x.shape[1:]))
        yield Step(format_cell(("dy", 0, c), vector=True), (), (text,), (("dy", 0, c),), outputs)


@dataclass(frozen=True)
class ClassMapInputs:
    """The last maps x (K, H, W), the weights w (classes, K) of the layer after global average pooling, and the class
    (from 0) whose map is computed; None: the one of the highest score. Raises `ValueError` when they do not match.
    """

    x: Array
    w: Array
    label: int | None

    def __post_init__(self) -> None:
        if self.w.shape[1] != len(self.x):
            raise ValueError(
                f"There are {len(self.x)} maps and rows of {self.w.shape[1]} weights; give one weight for each map."
            )
        if self.label is not None and not 0 <= self.label < len(self.w):
            raise ValueError(f"target is class {self.label + 1}, but there are weights for classes 1 to {len(self.w)}.")

    @cached_property
    def scores(self) -> Array:
        """The score of each class: weights times the maps' means."""
        scores: Array = self.w @ self.x.mean((1, 2))
        return scores

    @property
    def chosen(self) -> int:
        """The class whose map is computed."""
        return int(self.scores.argmax()) if self.label is None else self.label

    @property
    def activation(self) -> Array:
        """The class's map (H, W)."""
        map_: Array = np.tensordot(self.w[self.chosen], self.x, 1)
        return map_


def class_map_trace(given: ClassMapInputs) -> Trace:
    """From the maps to the class's map, its mean, and the map between 0 and 1."""
    chosen, count = given.chosen + 1, len(given.x)
    why = "the highest score" if given.label is None else "as given"
    phases = [
        Phase("Global average pooling", "g = mean of each map", tuple(_mean_steps(given.x, "g"))),
        Phase("The score of each class", "S = Σ w · g", tuple(_score_steps(given))),
        Phase(f"Each map times its weight for class {chosen} ({why})", "a = w · x", tuple(_weighted_steps(given))),
        Phase("The class activation map", "M = Σ a, at the same position", tuple(_sum_steps(given))),
        Phase("Its mean is the score", "S = Σ M / m", (_check_step(given),)),
        Phase("The heatmap", "h = (M - smallest) / (largest - smallest)", tuple(_heatmap_steps(given))),
    ]
    size = given.x.shape[1:]
    grids = [input_grid(grid_name("x", k, count), "map", given.x[k]) for k in range(count)]
    grids.append(input_grid("w", "weights, one class per row", given.w))
    grids.append(result_grid("g", "mean of each map", (1, count), phases))
    grids.append(result_grid("S", "score of each class", (len(given.w), 1), phases))
    grids += [result_grid(grid_name("a", k, count), "map times its weight", size, phases) for k in range(count)]
    grids.append(result_grid("M", f"class activation map of class {chosen}", size, phases))
    grids.append(result_grid("mean", "of the class activation map", (1, 1), phases))
    grids.append(result_grid("h", "heatmap, 0 to 1", size, phases))
    return Trace("Class activation map", tuple(grids), tuple(phases))


def _score_steps(given: ClassMapInputs) -> Iterator[Step]:
    means, count = given.x.mean((1, 2)), len(given.x)
    for k, weights in enumerate(given.w):
        terms = [product(weight, mean) for weight, mean in zip(weights, means, strict=True)]
        text = format_equation([term.value for term in terms], float(given.scores[k]))
        inputs = [*row_cells("w", k, count), *row_cells("g", 0, count)]
        yield value_step(("S", k, 0), float(given.scores[k]), text, inputs, [terms])


def _weighted_steps(given: ClassMapInputs) -> Iterator[Step]:
    for k, (weight, values) in enumerate(zip(given.w[given.chosen].tolist(), given.x, strict=True)):
        x, a = grid_name("x", k, len(given.x)), grid_name("a", k, len(given.x))
        rows = tuple(tuple(product(value, weight) for value in row) for row in values.tolist())
        cells = [(i, j) for i, j in np.ndindex(*values.shape)]
        outputs = tuple(((a, i, j), rows[i][j].value) for i, j in cells)
        inputs: list[Cell] = [("w", given.chosen, k), *((x, i, j) for i, j in cells)]
        text = f"{a} = {x} · {format_factor(weight)}"
        yield Step(a, (TermTable(rows),), (text,), tuple(inputs), outputs)


def _sum_steps(given: ClassMapInputs) -> Iterator[Step]:
    weights, names = given.w[given.chosen], [grid_name("a", k, len(given.x)) for k in range(len(given.x))]
    for i, j in np.ndindex(*given.x.shape[1:]):
        values = (weights * given.x[:, i, j]).tolist()
        text = format_equation(values, sum(values))
        yield value_step(("M", i, j), sum(values), text, [(name, i, j) for name in names])


def _check_step(given: ClassMapInputs) -> Step:
    values = given.activation.ravel().tolist()
    score = format_number(float(given.scores[given.chosen]))
    lines = (format_mean(values), f"the same as S = {score}, since a mean of sums is a sum of means")
    inputs = tuple(("M", i, j) for i, j in np.ndindex(*given.activation.shape))
    return Step("mean", (), lines, inputs, ((("mean", 0, 0), sum(values) / len(values)),))


def _heatmap_steps(given: ClassMapInputs) -> Iterator[Step]:
    smallest, largest = float(given.activation.min()), float(given.activation.max())
    span = largest - smallest
    for i, j in np.ndindex(*given.activation.shape):
        value = float(given.activation[i, j])
        if not span:
            yield value_step(("h", i, j), 0, "all positions are equal: 0", [("M", i, j)])
            continue
        above = f"({format_number(value)} - {format_factor(smallest)})"
        text = f"{above} / {format_number(span)} = {format_number((value - smallest) / span)}"
        yield value_step(("h", i, j), (value - smallest) / span, text, [("M", i, j)])
