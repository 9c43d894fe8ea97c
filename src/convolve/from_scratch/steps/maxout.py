"""Maxout, sum by sum: y = max(x·w1 + b1, x·w2 + b2, …); slide "Activation Function: Maxout".

Backward the piece that won gets δ, the others 0, and from there each piece is an affine layer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from convolve.from_scratch.arrays import Array
from convolve.from_scratch.steps.products import Factor, column_sums, matrix_product
from convolve.from_scratch.steps.values import Cell, Grid, Part, Step, Walk, given, made
from convolve.from_scratch.steps.wording import called, equation, number, product
from convolve.from_scratch.steps.writing import check_slopes, written


@dataclass(frozen=True)
class Maxout:
    """x (N, D), w (pieces, D, H), b (pieces, H) or None. Raises `ValueError` when they do not fit."""

    x: Array
    w: Array
    b: Array | None

    def __post_init__(self) -> None:
        pieces, rows, width = self.w.shape
        if self.x.shape[1] != rows:
            raise ValueError(f"x has {self.x.shape[1]} columns and each piece {rows} rows; a product needs as many.")
        if self.b is not None and self.b.shape != (pieces, width):
            raise ValueError(
                f"The bias is {len(self.b)}x{self.b.shape[1]}; give a row of {width} for each of {pieces}."
            )

    @property
    def pieces(self) -> Array:
        """What each piece gives, z (pieces, N, H)."""
        z: Array = self.x @ self.w
        return z if self.b is None else z + self.b[:, None]


def maxout_walk(layer: Maxout, dy: Array | None) -> Walk:
    """Forward to y, and backward from ``dy`` (N, H) if it is given."""
    plus = "" if layer.b is None else " + b"
    forward = tuple(step for k in range(len(layer.w)) for step in _piece(layer, k))
    parts = [Part("Forward: the pieces z", f"z = x · w{plus}, for each piece", forward)]
    parts.append(Part("Forward: the output y", "y = the greatest of the pieces", tuple(_outputs(layer))))
    if dy is not None:
        parts += _backward(layer, dy)
    return Walk("Maxout", _grids(layer, dy, tuple(parts)), tuple(parts))


def _piece(layer: Maxout, k: int) -> Iterator[Step]:
    bias = None if layer.b is None else Factor(f"b{k + 1}", layer.b[k][None])
    return matrix_product(f"z{k + 1}", Factor("x", layer.x), Factor(f"w{k + 1}", layer.w[k]), bias)


def _outputs(layer: Maxout) -> Iterator[Step]:
    for n, h in np.ndindex(*layer.pieces.shape[1:]):
        values = layer.pieces[:, n, h].tolist()
        text = f"max({', '.join(map(number, values))}) = {number(max(values))}"
        yield written(("y", n, h), max(values), text, [(f"z{k + 1}", n, h) for k in range(len(values))])


def _backward(layer: Maxout, dy: Array) -> Iterator[Part]:
    check_slopes(dy, layer.pieces.shape[1:])
    pieces = range(len(layer.w))
    slopes = dy * (layer.pieces.argmax(0) == np.arange(len(layer.w))[:, None, None])
    yield Part("Backward: the pieces' slope dz", "dz = δ where the piece won, else 0", tuple(_dz(layer, dy)))
    turned = Factor("x", layer.x.T, turned=True)
    dw = (step for k in pieces for step in matrix_product(f"dw{k + 1}", turned, Factor(f"dz{k + 1}", slopes[k])))
    yield Part("Backward: the weights' slope dw", "dw = xᵀ · dz, for each piece", tuple(dw))
    yield Part("Backward: the input's slope dx", "dx = dz1 · w1ᵀ + dz2 · w2ᵀ + …", tuple(_dx(layer, slopes)))
    if layer.b is not None:
        db = (step for k in pieces for step in column_sums(f"db{k + 1}", Factor(f"dz{k + 1}", slopes[k])))
        yield Part("Backward: the bias's slope db", "db = Σ dz, over the examples", tuple(db))


def _dz(layer: Maxout, dy: Array) -> Iterator[Step]:
    for n, h in np.ndindex(*dy.shape):
        winner, delta = int(layer.pieces[:, n, h].argmax()), float(dy[n, h])
        names = [f"z{k + 1}" for k in range(len(layer.w))]
        text = f"{called((names[winner], n, h))} won: it gets δ = {number(delta)}"
        read: list[Cell] = [("dy", n, h), *((name, n, h) for name in names)]
        flows = tuple(((f"d{name}", n, h), delta if k == winner else 0.0) for k, name in enumerate(names))
        yield Step(called(("dy", n, h)), (), (text,), tuple(read), flows)


def _dx(layer: Maxout, slopes: Array) -> Iterator[Step]:
    pieces, width = len(layer.w), layer.w.shape[2]
    for n, d in np.ndindex(*layer.x.shape):
        rows = [[product(slopes[k, n, h], layer.w[k, d, h]) for h in range(width)] for k in range(pieces)]
        values = [term.value for row in rows for term in row]
        read: list[Cell] = [(f"dz{k + 1}", n, h) for k, h in np.ndindex(pieces, width)]
        read += [(f"w{k + 1}", d, h) for k, h in np.ndindex(pieces, width)]
        yield written(("dx", n, d), sum(values), equation(values, sum(values)), read, rows)


def _grids(layer: Maxout, dy: Array | None, parts: tuple[Part, ...]) -> tuple[Grid, ...]:
    pieces, rows, width = layer.w.shape
    names = [str(k + 1) for k in range(pieces)]
    grids = [given("x", "input, an example per row", layer.x)]
    grids += [given(f"w{name}", "weights", layer.w[k]) for k, name in enumerate(names)]
    grids += [] if layer.b is None else [given(f"b{name}", "bias", layer.b[k][None]) for k, name in enumerate(names)]
    grids += [made(f"z{name}", "piece", (len(layer.x), width), parts) for name in names]
    grids.append(made("y", "output", (len(layer.x), width), parts))
    if dy is not None:
        grids.append(given("dy", "δ, slope of the loss along y", dy))
        grids += [made(f"dz{name}", "slope along the piece", (len(layer.x), width), parts) for name in names]
        grids += [made(f"dw{name}", "slope along w", (rows, width), parts) for name in names]
        grids.append(made("dx", "slope along x", (len(layer.x), rows), parts))
        grids += [] if layer.b is None else [made(f"db{name}", "slope along b", (1, width), parts) for name in names]
    return tuple(grids)
