"""The affine layer, sum by sum; slides "Computational Graph: Affine".

y = x·w + b, and backward ∂L/∂X = ∂L/∂Y · Wᵀ, ∂L/∂W = Xᵀ · ∂L/∂Y: three matrix products, each of rows times columns.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from convolve.from_scratch.arrays import Array
from convolve.from_scratch.steps.products import Factor, column_sums, matrix_product
from convolve.from_scratch.steps.values import Grid, Part, Walk, given, made
from convolve.from_scratch.steps.writing import check_slopes


@dataclass(frozen=True)
class Affine:
    """x (N, D), w (D, H), b (H,) or None. Raises `ValueError` when they do not fit."""

    x: Array
    w: Array
    b: Array | None

    def __post_init__(self) -> None:
        if self.x.shape[1] != len(self.w):
            raise ValueError(f"x has {self.x.shape[1]} columns and w {len(self.w)} rows; a product needs as many.")
        if self.b is not None and self.b.shape != self.w.shape[1:]:
            raise ValueError(f"The bias has {self.b.size} values and w {self.w.shape[1]} columns; give one for each.")


def affine_walk(layer: Affine, dy: Array | None) -> Walk:
    """Forward to y, and backward from ``dy`` (N, H) if it is given."""
    bias = None if layer.b is None else Factor("b", layer.b[None])
    forward = matrix_product("y", Factor("x", layer.x), Factor("w", layer.w), bias)
    formula = "y = x · w" + ("" if layer.b is None else " + b")
    parts = [Part("Forward: the output y", formula, tuple(forward))]
    if dy is not None:
        parts += _backward(layer, dy)
    return Walk("Affine layer", _grids(layer, dy, tuple(parts)), tuple(parts))


def _backward(layer: Affine, dy: Array) -> Iterator[Part]:
    check_slopes(dy, (len(layer.x), layer.w.shape[1]))
    slopes = Factor("dy", dy)
    dw = matrix_product("dw", Factor("x", layer.x.T, turned=True), slopes)
    yield Part("Backward: the weights' slope dw", "dw = xᵀ · dy", tuple(dw))
    dx = matrix_product("dx", slopes, Factor("w", layer.w.T, turned=True))
    yield Part("Backward: the input's slope dx", "dx = dy · wᵀ", tuple(dx))
    if layer.b is not None:
        yield Part("Backward: the bias's slope db", "db = Σ dy, over the examples", tuple(column_sums("db", slopes)))


def _grids(layer: Affine, dy: Array | None, parts: tuple[Part, ...]) -> tuple[Grid, ...]:
    examples, width = len(layer.x), layer.w.shape[1]
    bias = [] if layer.b is None else [given("b", "bias", layer.b[None])]
    grids = [given("x", "input, an example per row", layer.x), given("w", "weights", layer.w), *bias]
    grids.append(made("y", "output", (examples, width), parts))
    if dy is not None:
        grids.append(given("dy", "δ, slope of the loss along y", dy))
        grids.append(made("dw", "slope along w", (len(layer.w), width), parts))
        grids.append(made("dx", "slope along x", (examples, len(layer.w)), parts))
        grids += [made("db", "slope along b", (1, width), parts)] if bias else []
    return tuple(grids)
