"""Convolution in one and two dimensions, sum by sum; slides "합성곱연산 (Convolution)", "CNN 1D backpropagation".

Forward each output is a sum over the window. Backward each weight gathers δ·x from all outputs, since it took part in
all of them (∂L/∂wᵢ = Σⱼ δⱼ x₍ᵢ₊ⱼ₋₁₎), and each x gathers w·δ from the outputs that it went into.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from convolve.from_scratch.arrays import Array
from convolve.from_scratch.steps.places import Places
from convolve.from_scratch.steps.values import Block, Cell, Grid, Part, Step, Term, Walk, given, made
from convolve.from_scratch.steps.wording import called, equation, number, numbered, product
from convolve.from_scratch.steps.writing import check_slopes
from convolve.from_scratch.windows import Sliding

_STILL = Sliding()


@dataclass(frozen=True)
class Convolution:
    """x (C, H, W), w (filters, C / groups, FH, FW), b (filters,) or None, and how the window moves; ``line`` is one
    dimension, where H and FH are 1. With ``groups`` the filters fall into as many equal parts, and each sees its own
    part of the channels only. Raises `ValueError` when the channels or the bias do not fit, or the window does not.
    """

    x: Array
    w: Array
    b: Array | None
    sliding: Sliding
    line: bool = False
    groups: int = 1

    def __post_init__(self) -> None:
        channels, filters = len(self.x), len(self.w)
        if channels % self.groups or filters % self.groups:
            raise ValueError(
                f"{channels} channels and {filters} filters do not fall into {self.groups} equal groups; take another "
                "number of groups."
            )
        if self.w.shape[1] * self.groups != channels:
            wanted = "give both the same" if self.groups == 1 else f"each of {self.groups} groups needs its share"
            raise ValueError(f"The kernel has {self.w.shape[1]} channels and the input {channels}; {wanted}.")
        if self.b is not None and self.b.shape != (filters,):
            raise ValueError(f"The bias has {self.b.size} values for {filters} filters; give one for each.")
        _ = self.places.output

    @property
    def places(self) -> Places:
        """Where the window stands."""
        down = _STILL if self.line else self.sliding
        return Places(_sides(self.x), _sides(self.w), down, self.sliding)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(filters, OH, OW) of the output."""
        return (len(self.w), *self.places.output)

    @property
    def padded(self) -> Array:
        """The input (C, …) with its zeros around it."""
        return np.pad(self.x, [(0, 0), *((side, side) for side in self.places.border)])

    def name(self, letter: str, place: int) -> str:
        """The grid of a channel of x (or dx), or of a filter's output y (or dy)."""
        return numbered(letter, place, len(self.w) if letter.endswith("y") else len(self.x))

    def weights(self, letter: str, f: int, c: int) -> str:
        """The grid of filter f's weights for its channel c."""
        numbers = [str(n + 1) for n, count in zip((f, c), self.w.shape[:2], strict=True) if count > 1]
        return letter + ("," if max(self.w.shape[:2]) > 9 else "").join(numbers)

    def seen(self, f: int) -> list[tuple[int, int]]:
        """For each of filter f's own channels, in order, the input's channel that it meets."""
        first = f // (len(self.w) // self.groups) * self.w.shape[1]
        return [(c, first + c) for c in range(self.w.shape[1])]


def convolution_walk(layer: Convolution, dy: Array | None) -> Walk:
    """Forward to y, and backward from ``dy`` (filters, OH, OW) if it is given."""
    parts: tuple[Part, ...] = (Part("Forward: the output y", _forward_formula(layer), tuple(_outputs(layer))),)
    if dy is not None:
        parts += _backward(layer, dy)
    title = f"Convolution in {'one dimension' if layer.line else 'two dimensions'}"
    title += f" and {layer.groups} groups" if layer.groups > 1 else ""
    return Walk(title, _grids(layer, dy, parts), parts)


def _outputs(layer: Convolution) -> Iterator[Step]:
    padded, places = layer.padded, layer.places
    for f, i, j in np.ndindex(*layer.shape):
        read: list[Cell] = [("b", 0, f)] if layer.b is not None else []
        blocks: list[Block] = []
        for c, channel in layer.seen(f):
            rows: list[tuple[Term, ...]] = []
            for u in range(places.kernel[0]):
                met = [(v, *places.met((i, j), (u, v))) for v in range(places.kernel[1])]
                rows.append(tuple(product(padded[channel, p, q], layer.w[f, c, u, v]) for v, p, q in met))
                read += [(layer.name("x", channel), p, q) for _, p, q in met]
                read += [(layer.weights("w", f, c), u, v) for v, _, _ in met]
            label = f"{layer.name('x', channel)} · {layer.weights('w', f, c)}" if len(layer.x) > 1 else ""
            blocks.append(Block(tuple(rows), label))
        bias = () if layer.b is None else (float(layer.b[f]),)
        y: Cell = (layer.name("y", f), i, j)
        total = sum(block.total for block in blocks) + sum(bias)
        yield Step(called(y, layer.line), tuple(blocks), _sums(blocks, bias, total), tuple(read), ((y, total),))


def _sums(blocks: list[Block], bias: tuple[float, ...], total: float) -> tuple[str, ...]:
    """One channel: its terms. Several: a line for each, and one for all of them."""
    if len(blocks) == 1:
        return (equation([*(term.value for row in blocks[0].rows for term in row), *bias], total),)
    return (equation([*(block.total for block in blocks), *bias], total),)


def _backward(layer: Convolution, dy: Array) -> tuple[Part, ...]:
    check_slopes(dy, layer.shape)
    dw = "dw[i] = Σ dy[j]" if layer.line else "dw[u,v] = Σ dy[i,j]"
    dw += f" · x[{_met(layer.sliding, ('j', 'i') if layer.line else ('i', 'u'), layer.line)}]"
    parts = [
        Part("Backward: the weights' slope dw", dw, tuple(_dw(layer, dy))),
        Part(
            "Backward: the input's slope dx", "dx = Σ dy · w, over the outputs that x went into", tuple(_dx(layer, dy))
        ),
    ]
    if layer.b is not None:
        parts.append(Part("Backward: the bias's slope db", "db = Σ dy", tuple(_db(layer, dy))))
    return tuple(parts)


def _dw(layer: Convolution, dy: Array) -> Iterator[Step]:
    padded, places = layer.padded, layer.places
    for f, c, u, v in np.ndindex(*layer.w.shape):
        _, channel = layer.seen(f)[c]
        read: list[Cell] = []
        rows: list[tuple[Term, ...]] = []
        for i in range(places.output[0]):
            met = [(j, *places.met((i, j), (u, v))) for j in range(places.output[1])]
            rows.append(tuple(product(dy[f, i, j], padded[channel, p, q]) for j, p, q in met))
            read += [(layer.name("x", channel), p, q) for _, p, q in met] + [
                (layer.name("dy", f), i, j) for j, _, _ in met
            ]
        yield _gathered((layer.weights("dw", f, c), u, v), rows, read, layer.line)


def _dx(layer: Convolution, dy: Array) -> Iterator[Step]:
    meetings, border = layer.places.meetings(), layer.places.border
    seen = {f: {channel: c for c, channel in layer.seen(f)} for f in range(len(layer.w))}
    for channel, p, q in np.ndindex(*layer.x.shape):
        met = meetings.get((p + border[0], q + border[1]), ())
        rows: list[tuple[Term, ...]] = []
        read: list[Cell] = []
        for f, c in ((f, own[channel]) for f, own in seen.items() if channel in own):
            rows.append(tuple(product(dy[f, *place], layer.w[f, c, *tap]) for place, tap in met))
            read += [(layer.name("dy", f), *place) for place, _ in met]
            read += [(layer.weights("w", f, c), *tap) for _, tap in met]
        yield _gathered((layer.name("dx", channel), p, q), rows, read, layer.line)


def _db(layer: Convolution, dy: Array) -> Iterator[Step]:
    for f in range(len(dy)):
        rows = [tuple(Term(number(value), value) for value in row) for row in dy[f].tolist()]
        read: list[Cell] = [(layer.name("dy", f), i, j) for i, j in np.ndindex(*dy.shape[1:])]
        yield _gathered(("db", 0, f), rows, read, line=True)


def _gathered(cell: Cell, rows: list[tuple[Term, ...]], read: list[Cell], line: bool) -> Step:
    """A step that adds up all its terms."""
    block = Block(tuple(row for row in rows if row))
    values = [term.value for row in block.rows for term in row]
    text = equation(values, block.total) if values else "no window reaches it: 0"
    return Step(called(cell, line), (block,) if values else (), (text,), tuple(read), ((cell, block.total),))


def _grids(layer: Convolution, dy: Array | None, parts: tuple[Part, ...]) -> tuple[Grid, ...]:
    filters, channels, border = range(len(layer.w)), range(len(layer.x)), layer.places.border
    kernels = list(np.ndindex(*layer.w.shape[:2]))
    grids = [given(layer.name("x", c), "input", layer.padded[c], border) for c in channels]
    grids += [given(layer.weights("w", f, c), "kernel", layer.w[f, c]) for f, c in kernels]
    grids += [] if layer.b is None else [given("b", "bias", layer.b[None])]
    grids += [made(layer.name("y", f), "output", layer.places.output, parts) for f in filters]
    if dy is None:
        return tuple(grids)
    grids += [given(layer.name("dy", f), "δ, slope of the loss along y", dy[f]) for f in filters]
    grids += [made(layer.weights("dw", f, c), "slope along w", _sides(layer.w), parts) for f, c in kernels]
    grids += [made(layer.name("dx", c), "slope along x", _sides(layer.x), parts) for c in channels]
    grids += [] if layer.b is None else [made("db", "slope along b", (1, len(layer.w)), parts)]
    return tuple(grids)


def _forward_formula(layer: Convolution) -> str:
    bias = "" if layer.b is None else " + b"
    channel = "c," if layer.w.shape[1] > 1 else ""
    left = f"y[i] = Σ w[{channel}j]" if layer.line else f"y[i,j] = Σ w[{channel}u,v]"
    return f"{left} · x[{channel}{_met(layer.sliding, ('i', 'j' if layer.line else 'u'), layer.line)}]{bias}"


def _met(sliding: Sliding, letters: tuple[str, str], line: bool) -> str:
    """The index, counted from 1 in the padded x, of what a tap meets; the letters are of the place and of the tap."""
    pairs = (letters,) if line else (letters, ("j", "v"))
    if sliding.stride == sliding.dilation == 1:
        return ", ".join("+".join(sorted(pair)) + "-1" for pair in pairs)
    dilation = f"{sliding.dilation}" if sliding.dilation > 1 else ""
    stride = f"{sliding.stride}" if sliding.stride > 1 else ""
    return ", ".join(f"{stride}({place}-1)+{dilation}({tap}-1)+1" for place, tap in pairs)


def _sides(array: Array) -> tuple[int, int]:
    return array.shape[-2], array.shape[-1]
