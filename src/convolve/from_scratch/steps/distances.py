"""The L1 and L2 losses, value by value: the mean of |x - t| and of (x - t)²."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

import numpy as np

from convolve.from_scratch.arrays import Array
from convolve.from_scratch.steps.values import Grid, Part, Step, Walk, given, made
from convolve.from_scratch.steps.wording import averaged, factor, number
from convolve.from_scratch.steps.writing import across, written

Distance = Literal["l1", "l2"]
_RULES: Mapping[Distance, tuple[str, str, str]] = {
    "l1": ("L1 loss", "a = |x - t|", "dx = ±1 / n, the sign of x - t; 0 where they are equal"),
    "l2": ("L2 loss", "a = (x - t)²", "dx = 2 (x - t) / n"),
}


def distance_walk(kind: Distance, x: Array, target: Array, *, backward: bool) -> Walk:
    """``x`` and its ``target``, both (rows, columns), to the mean loss L, and back to dx if asked. Raises `ValueError`
    when they are not of one shape.
    """
    if target.shape != x.shape:
        wanted = "x".join(map(str, x.shape))
        raise ValueError(f"target has {'x'.join(map(str, target.shape))} values and the input {wanted}; give as many.")
    title, each, slope = _RULES[kind]
    apart = np.abs(x - target) if kind == "l1" else (x - target) ** 2
    values = apart.ravel().tolist()
    read = [cell for row in range(len(x)) for cell in across("a", row, x.shape[1])]
    mean = written(("L", 0, 0), sum(values) / len(values), averaged(values), read, line=True)
    parts = [
        Part("Forward: how far apart, a", each, tuple(_apart(kind, x, target))),
        Part("Forward: the loss L", "L = Σ a / n, over all values", (mean,)),
    ]
    if backward:
        parts.append(Part("Backward: the input's slope dx", slope, tuple(_dx(kind, x, target))))
    return Walk(title, _grids(x, target, tuple(parts), backward=backward), tuple(parts))


def _apart(kind: Distance, x: Array, target: Array) -> Iterator[Step]:
    for place in np.ndindex(*x.shape):
        value, wanted = float(x[place]), float(target[place])
        difference = f"{number(value)} - {factor(wanted)}"
        far = abs(value - wanted) if kind == "l1" else (value - wanted) ** 2
        text = f"|{difference}| = {number(far)}" if kind == "l1" else f"({difference})² = {number(far)}"
        yield written(("a", *_pair(place)), far, text, [("x", *_pair(place)), ("t", *_pair(place))])


def _dx(kind: Distance, x: Array, target: Array) -> Iterator[Step]:
    for place in np.ndindex(*x.shape):
        difference = float(x[place] - target[place])
        top = float(np.sign(difference)) if kind == "l1" else 2 * difference
        left = number(top) if kind == "l1" else f"2·{factor(difference)}"
        text = f"{left} / {x.size} = {number(top / x.size)}"
        yield written(("dx", *_pair(place)), top / x.size, text, [("x", *_pair(place)), ("t", *_pair(place))])


def _grids(x: Array, target: Array, parts: tuple[Part, ...], *, backward: bool) -> tuple[Grid, ...]:
    shape = _pair(x.shape)
    grids = [given("x", "input", x), given("t", "target", target), made("a", "how far apart", shape, parts)]
    grids.append(made("L", "loss", (1, 1), parts))
    return (*grids, made("dx", "slope along x", shape, parts)) if backward else tuple(grids)


def _pair(place: tuple[int, ...]) -> tuple[int, int]:
    return place[0], place[1]
