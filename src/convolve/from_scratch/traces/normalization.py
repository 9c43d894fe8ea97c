"""Batch and layer normalization, value by value; slides "Batch & layer normalization".

x̂ = (x - μ) / √(σ² + ε), y = γ x̂ + β. Batch normalization takes μ and σ² of each feature over the batch (a column),
layer normalization of each example over its features (a row); γ and β are one for each feature in both.

Backward, dβ = Σ δ and dγ = Σ δ x̂ over the batch. x̂ has mean 0 and variance 1 along its column or row whatever x is, so
the gradient loses its mean and its component along x̂: dx = (g - mean of g - x̂ · mean of g x̂) / √(σ² + ε), g = γ δ.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from convolve.from_scratch.arrays import Array
from convolve.from_scratch.normalization import EPSILON
from convolve.from_scratch.traces.trace import (
    Cell,
    Grid,
    Phase,
    Step,
    Term,
    Trace,
    check_delta,
    column_cells,
    column_of_terms,
    format_equation,
    format_factor,
    format_mean,
    format_number,
    format_sum,
    input_grid,
    product,
    result_grid,
    row_cells,
    value_step,
)


@dataclass(frozen=True)
class NormalizationInputs:
    """x (N, D), gamma and beta (D,). A *line* is what one μ and σ² are taken over: a row (``by_example``, layer
    normalization) or a column (batch normalization). Raises `ValueError` when the shapes do not match.
    """

    x: Array
    gamma: Array
    beta: Array
    by_example: bool = False

    def __post_init__(self) -> None:
        features = self.x.shape[1]
        for name, values in (("γ", self.gamma), ("β", self.beta)):
            if values.shape != (features,):
                raise ValueError(f"{name} has {values.size} values for {features} features; give one for each.")

    def index(self, n: int, d: int) -> int:
        """The line that feature d of example n is in."""
        return n if self.by_example else d

    def lines(self, values: Array) -> list[list[float]]:
        """The lines of x, or of another (N, D)."""
        rows: list[list[float]] = (values if self.by_example else values.T).tolist()
        return rows

    def cells(self, grid: str, index: int) -> list[Cell]:
        """The cells of a line."""
        return row_cells(grid, index, self.x.shape[1]) if self.by_example else column_cells(grid, index, len(self.x))

    def statistic(self, grid: str, index: int) -> Cell:
        """The cell of a line's μ or σ²."""
        return (grid, index, 0) if self.by_example else (grid, 0, index)

    @cached_property
    def mean(self) -> list[float]:
        """μ of each line."""
        return [sum(values) / len(values) for values in self.lines(self.x)]

    @cached_property
    def variance(self) -> list[float]:
        """σ² of each line."""
        return [
            sum((value - mean) ** 2 for value in values) / len(values)
            for values, mean in zip(self.lines(self.x), self.mean, strict=True)
        ]

    @cached_property
    def deviation(self) -> list[float]:
        """√(σ² + ε) of each line."""
        return [float(np.sqrt(variance + EPSILON)) for variance in self.variance]

    @cached_property
    def normalized(self) -> Array:
        """x̂ (N, D)."""
        mean, deviation = np.array(self.mean), np.array(self.deviation)
        x: Array = ((self.x.T - mean) / deviation).T if self.by_example else (self.x - mean) / deviation
        return x


def normalization_trace(given: NormalizationInputs, dy: Array | None) -> Trace:
    """Forward to y, and backward from ``dy`` (N, D) if it is given."""
    count = "D" if given.by_example else "N"
    phases = [
        Phase("Forward: the mean μ", f"μ = Σ x / {count}", tuple(_mean_steps(given))),
        Phase("Forward: the variance σ²", f"σ² = Σ (x - μ)² / {count}", tuple(_variance_steps(given))),
        Phase("Forward: the normalized x̂", "x̂ = (x - μ) / √(σ² + ε)", tuple(_normalized_steps(given))),
        Phase("Forward: the output y", "y = γ · x̂ + β", tuple(_output_steps(given))),
    ]
    if dy is not None:
        check_delta(dy, given.x.shape)
        dx = "dx = γ / √(σ² + ε) · (δ - Σδ / N - x̂ · Σδx̂ / N)"
        if given.by_example:
            dx = "dx = 1 / √(σ² + ε) · (g - Σg / D - x̂ · Σgx̂ / D), g = γδ"
        phases += [
            Phase("Backward: the gradient dβ", "dβ = Σ δ, over the batch", tuple(_dbeta_steps(dy))),
            Phase("Backward: the gradient dγ", "dγ = Σ δ · x̂, over the batch", tuple(_dgamma_steps(given, dy))),
            Phase("Backward: the input gradient dx", dx, tuple(_dx_steps(given, dy))),
        ]
    title = f"{'Layer' if given.by_example else 'Batch'} normalization"
    return Trace(title, _grids(given, dy, phases), tuple(phases))


def _mean_steps(given: NormalizationInputs) -> Iterator[Step]:
    for index, (values, mean) in enumerate(zip(given.lines(given.x), given.mean, strict=True)):
        cell, inputs = given.statistic("μ", index), given.cells("x", index)
        terms = column_of_terms(values)
        yield value_step(cell, mean, format_mean(values), inputs, terms, vector=not given.by_example)


def _variance_steps(given: NormalizationInputs) -> Iterator[Step]:
    for index, values in enumerate(given.lines(given.x)):
        mean, variance = given.mean[index], given.variance[index]
        terms = [Term(f"({format_number(value)} - {format_factor(mean)})²", (value - mean) ** 2) for value in values]
        text = f"({format_sum(term.value for term in terms)}) / {len(values)} = {format_number(variance)}"
        cell, inputs = given.statistic("σ²", index), [*given.cells("x", index), given.statistic("μ", index)]
        yield value_step(cell, variance, text, inputs, [(term,) for term in terms], vector=not given.by_example)


def _normalized_steps(given: NormalizationInputs) -> Iterator[Step]:
    for n, d in np.ndindex(*given.x.shape):
        index, value = given.index(n, d), float(given.normalized[n, d])
        centered = f"({format_number(float(given.x[n, d]))} - {format_factor(given.mean[index])})"
        text = f"{centered} / {format_number(given.deviation[index])} = {format_number(value)}"
        inputs = [("x", n, d), given.statistic("μ", index), given.statistic("σ²", index)]
        yield value_step(("x̂", n, d), value, text, inputs)


def _output_steps(given: NormalizationInputs) -> Iterator[Step]:
    for n, d in np.ndindex(*given.x.shape):
        term = product(float(given.gamma[d]), float(given.normalized[n, d]))
        value = term.value + float(given.beta[d])
        text = f"{term.text} + {format_factor(float(given.beta[d]))} = {format_number(value)}"
        yield value_step(("y", n, d), value, text, [("x̂", n, d), ("γ", 0, d), ("β", 0, d)], [(term,)])


def _dbeta_steps(dy: Array) -> Iterator[Step]:
    for d, column in enumerate(dy.T.tolist()):
        text, inputs = format_equation(column, sum(column)), column_cells("dy", d, len(column))
        yield value_step(("dβ", 0, d), sum(column), text, inputs, column_of_terms(column), vector=True)


def _dgamma_steps(given: NormalizationInputs, dy: Array) -> Iterator[Step]:
    for d in range(dy.shape[1]):
        terms = [product(delta, x) for delta, x in zip(dy[:, d].tolist(), given.normalized[:, d].tolist(), strict=True)]
        total = sum(term.value for term in terms)
        text = format_equation([term.value for term in terms], total)
        inputs = [*column_cells("dy", d, len(dy)), *column_cells("x̂", d, len(dy))]
        yield value_step(("dγ", 0, d), total, text, inputs, [(term,) for term in terms], vector=True)


def _dx_steps(given: NormalizationInputs, dy: Array) -> Iterator[Step]:
    g = dy * given.gamma if given.by_example else dy  # along a column γ is one number, and becomes a common factor
    g_lines, x_lines = given.lines(g), given.lines(given.normalized)
    for n, d in np.ndindex(*dy.shape):
        index, gamma = (n, 1.0) if given.by_example else (d, float(given.gamma[d]))
        line = np.array(g_lines[index])
        mean, along = float(line.mean()), float((line * x_lines[index]).mean())
        gradient, x = float(g[n, d]), float(given.normalized[n, d])
        value = gamma / given.deviation[index] * (gradient - mean - x * along)
        inner = f"({format_number(gradient)} - {format_factor(mean)} - {format_factor(x)}·{format_factor(along)})"
        text = f"{format_number(gamma)} / {format_number(given.deviation[index])} · {inner} = {format_number(value)}"
        inputs = [*given.cells("dy", index), *given.cells("x̂", index), given.statistic("σ²", index)]
        inputs += given.cells("γ", 0) if given.by_example else [("γ", 0, d)]
        yield value_step(("dx", n, d), value, text, inputs)


def _grids(given: NormalizationInputs, dy: Array | None, phases: list[Phase]) -> tuple[Grid, ...]:
    shape, row = given.x.shape, (1, given.x.shape[1])
    statistics = (len(given.x), 1) if given.by_example else row
    grids = [input_grid("x", "input, one example per row", given.x), result_grid("μ", "mean", statistics, phases)]
    grids += [result_grid("σ²", "variance", statistics, phases), result_grid("x̂", "normalized", shape, phases)]
    grids += [input_grid("γ", "scale", given.gamma[None]), input_grid("β", "shift", given.beta[None])]
    grids.append(result_grid("y", "output", shape, phases))
    if dy is not None:
        grids += [input_grid("dy", "δ = ∂L/∂y", dy), result_grid("dβ", "∂L/∂β", row, phases)]
        grids += [result_grid("dγ", "∂L/∂γ", row, phases), result_grid("dx", "∂L/∂x", shape, phases)]
    return tuple(grids)
