"""Max, min and average pooling, window by window; slides "Pooling", and "Average Pooling" (δ/m) for the way back.

Backward the slope of each window flows to the value that was passed on (max, min), the first of equals; or in equal
parts to all m of them (average). Where windows overlap, what arrives adds up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from convolve.from_scratch.arrays import Array
from convolve.from_scratch.steps.places import Places
from convolve.from_scratch.steps.values import Block, Cell, Grid, Part, Step, Term, Walk, given, made
from convolve.from_scratch.steps.wording import added, called, factor, number, numbered
from convolve.from_scratch.steps.writing import check_slopes
from convolve.from_scratch.windows import Sliding

KINDS = ("max", "min", "average")
_BEST = {"max": "greatest", "min": "smallest"}


@dataclass(frozen=True)
class Pooling:
    """x (C, H, W), the side of the window, its stride, and one of `KINDS`. Raises `ValueError` when it does not fit."""

    x: Array
    size: int
    stride: int
    kind: str

    def __post_init__(self) -> None:
        _ = self.places.output

    @property
    def places(self) -> Places:
        """Where the window stands."""
        sliding = Sliding(self.stride)
        return Places((self.x.shape[1], self.x.shape[2]), (self.size, self.size), sliding, sliding)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, OH, OW) of the output."""
        return (len(self.x), *self.places.output)

    def name(self, letter: str, c: int) -> str:
        """The grid of a channel."""
        return numbered(letter, c, len(self.x))

    def window(self, i: int, j: int) -> list[list[tuple[int, int]]]:
        """The cells that the window covers, row by row."""
        return [[self.places.met((i, j), (u, v)) for v in range(self.size)] for u in range(self.size)]


def pooling_walk(layer: Pooling, dy: Array | None) -> Walk:
    """Forward to y, and backward from ``dy`` (C, OH, OW) if it is given."""
    mean = layer.kind == "average"
    rule = f"y = (sum of the window) / {layer.size**2}" if mean else f"y = {layer.kind} of the window"
    parts: tuple[Part, ...] = (Part("Forward: the output y", rule, tuple(_outputs(layer))),)
    if dy is not None:
        check_slopes(dy, layer.shape)
        share = f"m = {layer.size**2} values"
        way = (
            f"each of the window's {share} gets δ/m" if mean else f"the {_BEST[layer.kind]} value gets δ, the others 0"
        )
        parts += (Part("Backward: the input's slope dx", way, tuple(_flows(layer, dy))),)
    return Walk(f"{layer.kind.capitalize()} pooling", _grids(layer, dy, parts), parts)


def _outputs(layer: Pooling) -> Iterator[Step]:
    for c, i, j in np.ndindex(*layer.shape):
        window = layer.window(i, j)
        rows = tuple(tuple(Term(number(layer.x[c, p, q]), float(layer.x[c, p, q])) for p, q in row) for row in window)
        values = [term.value for row in rows for term in row]
        read = tuple((layer.name("x", c), p, q) for row in window for p, q in row)
        text, value = _pooled(layer.kind, values)
        y: Cell = (layer.name("y", c), i, j)
        yield Step(called(y), (Block(rows),), (text,), read, ((y, value),))


def _pooled(kind: str, values: list[float]) -> tuple[str, float]:
    if kind == "average":
        mean = sum(values) / len(values)
        return f"({added(values)}) / {len(values)} = {number(mean)}", mean
    value = max(values) if kind == "max" else min(values)
    return f"{kind}({', '.join(map(number, values))}) = {number(value)}", value


def _flows(layer: Pooling, dy: Array) -> Iterator[Step]:
    dx = np.zeros_like(layer.x)
    for c, i, j in np.ndindex(*layer.shape):
        delta, cells = float(dy[c, i, j]), [cell for row in layer.window(i, j) for cell in row]
        dy_cell: Cell = (layer.name("dy", c), i, j)
        read: list[Cell] = [dy_cell, *((layer.name("x", c), p, q) for p, q in cells)]
        if layer.kind == "average":
            part = delta / len(cells)
            text = f"δ/m = {number(delta)} / {len(cells)} = {number(part)} to each of the {len(cells)}"
        else:
            values = [float(layer.x[c, p, q]) for p, q in cells]
            best = max(values) if layer.kind == "max" else min(values)
            chosen = cells[values.index(best)]
            cells, part = [chosen], delta
            winner = called((layer.name("x", c), *chosen))
            text = f"{winner} = {number(best)} is the {_BEST[layer.kind]}: it gets δ = {number(delta)}"
        sums = [text, *_meeting(layer.name("dx", c), cells, dx[c], part)]
        for cell in cells:
            dx[c][cell] += part
        written = tuple(((layer.name("dx", c), p, q), float(dx[c, p, q])) for p, q in cells)
        yield Step(called(dy_cell), (), tuple(sums), tuple(read), written)


def _meeting(name: str, cells: list[tuple[int, int]], before: Array, part: float) -> Iterator[str]:
    """Where something had arrived before, the sum of both."""
    for p, q in cells:
        if before[p, q]:
            left, right = number(before[p, q]), factor(part)
            yield f"{called((name, p, q))} = {left} + {right} = {number(before[p, q] + part)}"


def _grids(layer: Pooling, dy: Array | None, parts: tuple[Part, ...]) -> tuple[Grid, ...]:
    channels = range(len(layer.x))
    grids = [given(layer.name("x", c), "input", layer.x[c]) for c in channels]
    grids += [made(layer.name("y", c), "output", layer.places.output, parts) for c in channels]
    if dy is not None:
        grids += [given(layer.name("dy", c), "δ, slope of the loss along y", dy[c]) for c in channels]
        grids += [made(layer.name("dx", c), "slope along x", layer.places.size, parts) for c in channels]
    return tuple(grids)
