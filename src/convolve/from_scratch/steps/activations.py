"""Activations, value by value; slides "Activation Function". Backward each δ is multiplied by the slope at its x."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from convolve.from_scratch.arrays import Array
from convolve.from_scratch.steps.values import Part, Step, Walk, given, made
from convolve.from_scratch.steps.wording import number, product
from convolve.from_scratch.steps.writing import check_slopes, written

_LEAK = 0.1


def _sigmoid(x: float) -> float:
    return 0.5 * (1 + math.tanh(0.5 * x))


_CURVES: Mapping[str, tuple[str, Callable[[float], float], str, Callable[[float], float]]] = {
    "sigmoid": ("1 / (1 + e⁻ˣ)", _sigmoid, "y(1 - y)", lambda x: _sigmoid(x) * (1 - _sigmoid(x))),
    "tanh": ("tanh x", math.tanh, "1 - y²", lambda x: 1 - math.tanh(x) ** 2),
    "relu": ("max(0, x)", lambda x: max(0.0, x), "1 if x > 0, else 0", lambda x: float(x > 0)),
    "leaky relu": (
        f"max({_LEAK}x, x)",
        lambda x: max(_LEAK * x, x),
        f"1 if x > 0, else {_LEAK}",
        lambda x: 1.0 if x > 0 else _LEAK,
    ),
    "elu": (
        "x if x > 0, else eˣ - 1",
        lambda x: x if x > 0 else math.expm1(x),
        "1 if x > 0, else eˣ",
        lambda x: 1.0 if x > 0 else math.exp(x),
    ),
}
KINDS = tuple(_CURVES)
"""The activations that can be walked through."""


def activation_walk(kind: str, x: Array, dy: Array | None) -> Walk:
    """``x`` (rows, columns) through one of `KINDS`, and back from ``dy`` of its shape if that is given."""
    rule, _, slope, _ = _CURVES[kind]
    parts: tuple[Part, ...] = (Part("Forward: the output y", f"y = {rule}", tuple(_outputs(kind, x))),)
    shape = (x.shape[0], x.shape[1])
    grids = [given("x", "input", x), made("y", "output", shape, parts)]
    if dy is not None:
        check_slopes(dy, shape)
        parts += (Part("Backward: the input's slope dx", f"dx = δ · ∂y/∂x, ∂y/∂x = {slope}", tuple(_dx(kind, x, dy))),)
        grids += [given("dy", "δ, slope of the loss along y", dy), made("dx", "slope along x", shape, parts)]
    return Walk(kind.capitalize() if kind != "relu" else "ReLU", tuple(grids), parts)


def _outputs(kind: str, x: Array) -> Iterator[Step]:
    for row, column in np.ndindex(*x.shape):
        value = _CURVES[kind][1](float(x[row, column]))
        text = f"{kind}({number(float(x[row, column]))}) = {number(value)}"
        yield written(("y", row, column), value, text, [("x", row, column)])


def _dx(kind: str, x: Array, dy: Array) -> Iterator[Step]:
    for row, column in np.ndindex(*x.shape):
        term = product(float(dy[row, column]), _CURVES[kind][3](float(x[row, column])))
        text = f"{term.text} = {number(term.value)}"
        read = [(grid, row, column) for grid in ("x", "y", "dy")]
        yield written(("dx", row, column), term.value, text, read, [(term,)])
