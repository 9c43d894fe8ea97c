"""Batch and layer normalization, value by value; slides "Batch & layer normalization".

x̂ = (x - μ) / √(σ² + ε), y = γ x̂ + β. Batch normalization takes μ and σ² of each feature over the batch (a column),
layer normalization of each example over its features (a row); γ and β are one for each feature in both.

Backward dβ = Σ δ and dγ = Σ δ x̂ over the batch. x̂ has mean 0 and variance 1 along its column or row whatever x does,
so that the slope loses its mean and its part along x̂: dx = (g - mean of g - x̂ · mean of g x̂) / √(σ² + ε), g = γ δ.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from convolve.from_scratch.arrays import Array
from convolve.from_scratch.normalization import EPSILON
from convolve.from_scratch.steps.values import Cell, Grid, Part, Step, Term, Walk, given, made
from convolve.from_scratch.steps.wording import added, averaged, equation, factor, number, product
from convolve.from_scratch.steps.writing import across, check_slopes, down, values_below, written


@dataclass(frozen=True)
class Normalization:
    """x (N, D), gamma and beta (D,); ``layer`` takes the statistics along rows, else they are along columns. Raises
    `ValueError` when the shapes do not fit.
    """

    x: Array
    gamma: Array
    beta: Array
    layer: bool = False

    def __post_init__(self) -> None:
        features = self.x.shape[1]
        for name, values in (("γ", self.gamma), ("β", self.beta)):
            if values.shape != (features,):
                raise ValueError(f"{name} has {values.size} values for {features} features; give one for each.")

    @property
    def count(self) -> int:
        """How many lines (rows of a layer's, columns of a batch's) have statistics of their own."""
        examples, features = self.x.shape
        return int(examples if self.layer else features)

    def line(self, values: Array, place: int) -> list[float]:
        """A row of a layer's values, or a column of a batch's."""
        found: list[float] = (values if self.layer else values.T)[place].tolist()
        return found

    def cells(self, grid: str, place: int) -> list[Cell]:
        """The cells of that line."""
        return across(grid, place, self.x.shape[1]) if self.layer else down(grid, place, len(self.x))

    def statistic(self, grid: str, place: int) -> Cell:
        """The cell of a line's μ or σ²."""
        return (grid, place, 0) if self.layer else (grid, 0, place)

    @cached_property
    def mean(self) -> list[float]:
        """μ of each line."""
        lines = [self.line(self.x, place) for place in range(self.count)]
        return [sum(values) / len(values) for values in lines]

    @cached_property
    def variance(self) -> list[float]:
        """σ² of each line."""
        lines = [self.line(self.x, place) for place in range(self.count)]
        return [
            sum((value - mean) ** 2 for value in values) / len(values)
            for values, mean in zip(lines, self.mean, strict=True)
        ]

    @cached_property
    def deviation(self) -> list[float]:
        """√(σ² + ε) of each line."""
        return [float(np.sqrt(variance + EPSILON)) for variance in self.variance]

    @cached_property
    def normalized(self) -> Array:
        """x̂ (N, D)."""
        mean, deviation = np.array(self.mean), np.array(self.deviation)
        x: Array = ((self.x.T - mean) / deviation).T if self.layer else (self.x - mean) / deviation
        return x


def normalization_walk(layer: Normalization, dy: Array | None) -> Walk:
    """Forward to y, and backward from ``dy`` (N, D) if it is given."""
    count = "D" if layer.layer else "N"
    parts = [
        Part("Forward: the mean μ", f"μ = Σ x / {count}", tuple(_means(layer))),
        Part("Forward: the variance σ²", f"σ² = Σ (x - μ)² / {count}", tuple(_variances(layer))),
        Part("Forward: normalized, x̂", "x̂ = (x - μ) / √(σ² + ε)", tuple(_normalized(layer))),
        Part("Forward: the output y", "y = γ · x̂ + β", tuple(_outputs(layer))),
    ]
    if dy is not None:
        check_slopes(dy, layer.x.shape)
        formula = "dx = γ / √(σ² + ε) · (δ - Σδ / N - x̂ · Σδx̂ / N)"
        if layer.layer:
            formula = "dx = 1 / √(σ² + ε) · (g - Σg / D - x̂ · Σgx̂ / D), g = γδ"
        parts += [
            Part("Backward: β's slope dβ", "dβ = Σ δ, over the batch", tuple(_dbeta(dy))),
            Part("Backward: γ's slope dγ", "dγ = Σ δ · x̂, over the batch", tuple(_dgamma(layer, dy))),
            Part("Backward: the input's slope dx", formula, tuple(_dx(layer, dy))),
        ]
    title = f"{'Layer' if layer.layer else 'Batch'} normalization"
    return Walk(title, _grids(layer, dy, tuple(parts)), tuple(parts))


def _means(layer: Normalization) -> Iterator[Step]:
    for place, mean in enumerate(layer.mean):
        values = layer.line(layer.x, place)
        cell, read = layer.statistic("μ", place), layer.cells("x", place)
        yield written(cell, mean, averaged(values), read, values_below(values), line=not layer.layer)


def _variances(layer: Normalization) -> Iterator[Step]:
    for place, (mean, variance) in enumerate(zip(layer.mean, layer.variance, strict=True)):
        values = layer.line(layer.x, place)
        terms = [Term(f"({number(value)} - {factor(mean)})²", (value - mean) ** 2) for value in values]
        text = f"({added(term.value for term in terms)}) / {len(values)} = {number(variance)}"
        read = [*layer.cells("x", place), layer.statistic("μ", place)]
        yield written(
            layer.statistic("σ²", place), variance, text, read, [(term,) for term in terms], line=not layer.layer
        )


def _normalized(layer: Normalization) -> Iterator[Step]:
    for n, d in np.ndindex(*layer.x.shape):
        place, value = n if layer.layer else d, float(layer.normalized[n, d])
        centerd = f"({number(float(layer.x[n, d]))} - {factor(layer.mean[place])})"
        text = f"{centerd} / {number(layer.deviation[place])} = {number(value)}"
        yield written(("x̂", n, d), value, text, [("x", n, d), *(layer.statistic(grid, place) for grid in ("μ", "σ²"))])


def _outputs(layer: Normalization) -> Iterator[Step]:
    for n, d in np.ndindex(*layer.x.shape):
        term = product(float(layer.gamma[d]), float(layer.normalized[n, d]))
        value = term.value + float(layer.beta[d])
        text = f"{term.text} + {factor(float(layer.beta[d]))} = {number(value)}"
        yield written(("y", n, d), value, text, [("x̂", n, d), ("γ", 0, d), ("β", 0, d)], [(term,)])


def _dbeta(dy: Array) -> Iterator[Step]:
    for d, column in enumerate(dy.T.tolist()):
        text, read = equation(column, sum(column)), down("dy", d, len(column))
        yield written(("dβ", 0, d), sum(column), text, read, values_below(column), line=True)


def _dgamma(layer: Normalization, dy: Array) -> Iterator[Step]:
    for d in range(dy.shape[1]):
        terms = [product(delta, x) for delta, x in zip(dy[:, d].tolist(), layer.normalized[:, d].tolist(), strict=True)]
        total = sum(term.value for term in terms)
        text, read = equation([term.value for term in terms], total), [*down("dy", d, len(dy)), *down("x̂", d, len(dy))]
        yield written(("dγ", 0, d), total, text, read, [(term,) for term in terms], line=True)


def _dx(layer: Normalization, dy: Array) -> Iterator[Step]:
    slopes = dy * layer.gamma if layer.layer else dy  # along a column γ is one number, and can stand in front
    for n, d in np.ndindex(*dy.shape):
        place, front = (n, 1.0) if layer.layer else (d, float(layer.gamma[d]))
        pulls = np.array(layer.line(slopes, place))
        mean, along = float(pulls.mean()), float((pulls * layer.line(layer.normalized, place)).mean())
        slope, x = float(slopes[n, d]), float(layer.normalized[n, d])
        value = front / layer.deviation[place] * (slope - mean - x * along)
        inner = f"({number(slope)} - {factor(mean)} - {factor(x)}·{factor(along)})"
        text = f"{number(front)} / {number(layer.deviation[place])} · {inner} = {number(value)}"
        read = [*layer.cells("dy", place), *layer.cells("x̂", place), layer.statistic("σ²", place)]
        read += layer.cells("γ", 0) if layer.layer else [("γ", 0, d)]
        yield written(("dx", n, d), value, text, read)


def _grids(layer: Normalization, dy: Array | None, parts: tuple[Part, ...]) -> tuple[Grid, ...]:
    shape, row = (len(layer.x), layer.x.shape[1]), (1, layer.x.shape[1])
    statistics = (layer.count, 1) if layer.layer else row
    grids = [given("x", "input, an example per row", layer.x), made("μ", "mean", statistics, parts)]
    grids += [made("σ²", "variance", statistics, parts), made("x̂", "normalized", shape, parts)]
    grids += [given("γ", "scale", layer.gamma[None]), given("β", "shift", layer.beta[None])]
    grids.append(made("y", "output", shape, parts))
    if dy is not None:
        grids += [given("dy", "δ, slope of the loss along y", dy), made("dβ", "slope along β", row, parts)]
        grids += [made("dγ", "slope along γ", row, parts), made("dx", "slope along x", shape, parts)]
    return tuple(grids)
