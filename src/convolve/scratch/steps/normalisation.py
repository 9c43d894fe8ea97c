"""Batch normalisation, feature by feature; slides "Batch Normalization": x̂ = (x - μ) / √(σ² + ε), y = γ x̂ + β.

Backward dβ = Σ δ, dγ = Σ δ x̂, and dx = γ / √(σ² + ε) · (δ - mean of δ - x̂ · mean of δ x̂): x̂ has mean 0 and variance 1
whatever x does, so the slope loses its mean and its part along x̂.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from convolve.scratch.arrays import Array
from convolve.scratch.normalisation import EPSILON
from convolve.scratch.steps.values import Block, Cell, Grid, Part, Step, Term, Walk, given, made
from convolve.scratch.steps.wording import added, called, equation, factor, number, product


@dataclass(frozen=True)
class BatchNorm:
    """x (N, D), gamma and beta (D,). Raises `ValueError` when they do not fit."""

    x: Array
    gamma: Array
    beta: Array

    def __post_init__(self) -> None:
        features = self.x.shape[1]
        for name, values in (("γ", self.gamma), ("β", self.beta)):
            if values.shape != (features,):
                raise ValueError(f"{name} has {values.size} values for {features} features; give one for each.")

    @cached_property
    def mean(self) -> list[float]:
        """μ of each feature."""
        return [sum(column) / len(column) for column in self.x.T.tolist()]

    @cached_property
    def variance(self) -> list[float]:
        """σ² of each feature."""
        return [
            sum((value - mean) ** 2 for value in column) / len(column)
            for column, mean in zip(self.x.T.tolist(), self.mean, strict=True)
        ]

    @cached_property
    def deviation(self) -> list[float]:
        """√(σ² + ε) of each feature."""
        return [float(np.sqrt(variance + EPSILON)) for variance in self.variance]

    @cached_property
    def normalised(self) -> Array:
        """x̂ (N, D)."""
        x: Array = (self.x - self.mean) / self.deviation
        return x


def batch_norm_walk(layer: BatchNorm, dy: Array | None) -> Walk:
    """Forward to y, and backward from ``dy`` (N, D) if it is given."""
    parts = [
        Part("Forward: the mean μ", "μ = Σ x / N", tuple(_means(layer))),
        Part("Forward: the variance σ²", "σ² = Σ (x - μ)² / N", tuple(_variances(layer))),
        Part("Forward: normalised, x̂", "x̂ = (x - μ) / √(σ² + ε)", tuple(_normalised(layer))),
        Part("Forward: the output y", "y = γ · x̂ + β", tuple(_outputs(layer))),
    ]
    if dy is not None:
        if dy.shape != layer.x.shape:
            raise ValueError(f"delta has {dy.size} values and the output {layer.x.size}; give one for each.")
        formula = "dx = γ / √(σ² + ε) · (δ - Σδ / N - x̂ · Σδx̂ / N)"
        parts += [
            Part("Backward: β's slope dβ", "dβ = Σ δ", tuple(_dbeta(dy))),
            Part("Backward: γ's slope dγ", "dγ = Σ δ · x̂", tuple(_dgamma(layer, dy))),
            Part("Backward: the input's slope dx", formula, tuple(_dx(layer, dy))),
        ]
    return Walk("Batch normalisation", _grids(layer, dy, tuple(parts)), tuple(parts))


def _means(layer: BatchNorm) -> Iterator[Step]:
    for d, column in enumerate(layer.x.T.tolist()):
        rows = tuple((Term(number(value), value),) for value in column)
        text = f"({added(column)}) / {len(column)} = {number(layer.mean[d])}"
        yield _step(("μ", 0, d), rows, text, _down("x", d, len(column)), layer.mean[d])


def _variances(layer: BatchNorm) -> Iterator[Step]:
    for d, column in enumerate(layer.x.T.tolist()):
        mean = factor(layer.mean[d])
        terms = [Term(f"({number(value)} - {mean})²", (value - layer.mean[d]) ** 2) for value in column]
        text = f"({added(term.value for term in terms)}) / {len(column)} = {number(layer.variance[d])}"
        read = (*_down("x", d, len(column)), ("μ", 0, d))
        yield _step(("σ²", 0, d), tuple((term,) for term in terms), text, read, layer.variance[d])


def _normalised(layer: BatchNorm) -> Iterator[Step]:
    for n, d in np.ndindex(*layer.x.shape):
        value = float(layer.normalised[n, d])
        centred = f"({number(float(layer.x[n, d]))} - {factor(layer.mean[d])})"
        text = f"{centred} / {number(layer.deviation[d])} = {number(value)}"
        yield _step(("x̂", n, d), (), text, (("x", n, d), ("μ", 0, d), ("σ²", 0, d)), value)


def _outputs(layer: BatchNorm) -> Iterator[Step]:
    for n, d in np.ndindex(*layer.x.shape):
        term = product(float(layer.gamma[d]), float(layer.normalised[n, d]))
        value = term.value + float(layer.beta[d])
        text = f"{term.text} + {factor(float(layer.beta[d]))} = {number(value)}"
        yield _step(("y", n, d), ((term,),), text, (("x̂", n, d), ("γ", 0, d), ("β", 0, d)), value)


def _dbeta(dy: Array) -> Iterator[Step]:
    for d, column in enumerate(dy.T.tolist()):
        rows = tuple((Term(number(value), value),) for value in column)
        yield _step(("dβ", 0, d), rows, equation(column, sum(column)), _down("dy", d, len(column)), sum(column))


def _dgamma(layer: BatchNorm, dy: Array) -> Iterator[Step]:
    for d in range(dy.shape[1]):
        terms = _along(layer, dy, d)
        total = sum(term.value for term in terms)
        read = (*_down("dy", d, len(dy)), *_down("x̂", d, len(dy)))
        text = equation([term.value for term in terms], total)
        yield _step(("dγ", 0, d), tuple((term,) for term in terms), text, read, total)


def _dx(layer: BatchNorm, dy: Array) -> Iterator[Step]:
    count = len(dy)
    for n, d in np.ndindex(*dy.shape):
        mean = sum(dy[:, d].tolist()) / count
        along = sum(term.value for term in _along(layer, dy, d)) / count
        delta, x = float(dy[n, d]), float(layer.normalised[n, d])
        gamma, deviation = float(layer.gamma[d]), layer.deviation[d]
        value = gamma / deviation * (delta - mean - x * along)
        inner = f"({number(delta)} - {factor(mean)} - {factor(x)}·{factor(along)})"
        text = f"{number(gamma)} / {number(deviation)} · {inner} = {number(value)}"
        read: tuple[Cell, ...] = (*_down("dy", d, count), *_down("x̂", d, count), ("γ", 0, d), ("σ²", 0, d))
        yield _step(("dx", n, d), (), text, read, value)


def _along(layer: BatchNorm, dy: Array, d: int) -> list[Term]:
    """δ · x̂ of a feature, example by example."""
    return [product(float(delta), float(x)) for delta, x in zip(dy[:, d], layer.normalised[:, d], strict=True)]


def _step(cell: Cell, rows: tuple[tuple[Term, ...], ...], text: str, read: tuple[Cell, ...], value: float) -> Step:
    line = cell[0] not in {"x̂", "y", "dx"}
    return Step(called(cell, line), (Block(rows),) if rows else (), (text,), read, ((cell, value),))


def _down(grid: str, column: int, count: int) -> tuple[Cell, ...]:
    return tuple((grid, row, column) for row in range(count))


def _grids(layer: BatchNorm, dy: Array | None, parts: tuple[Part, ...]) -> tuple[Grid, ...]:
    shape = len(layer.x), layer.x.shape[1]
    row = 1, shape[1]
    grids = [given("x", "input, an example per row", layer.x), made("μ", "mean", row, parts)]
    grids += [made("σ²", "variance", row, parts), made("x̂", "normalised", shape, parts)]
    grids += [given("γ", "scale", layer.gamma[None]), given("β", "shift", layer.beta[None])]
    grids.append(made("y", "output", shape, parts))
    if dy is not None:
        grids += [given("dy", "δ, slope of the loss along y", dy), made("dβ", "slope along β", row, parts)]
        grids += [made("dγ", "slope along γ", row, parts), made("dx", "slope along x", shape, parts)]
    return tuple(grids)
