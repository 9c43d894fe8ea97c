"""Activations, value by value; slides "Activation Function". Backward, δ is multiplied by the derivative at x."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from convolve.from_scratch.arrays import Array
from convolve.from_scratch.traces.trace import (
    Phase,
    Step,
    Trace,
    check_delta,
    format_number,
    input_grid,
    product,
    result_grid,
    value_step,
)

_LEAK = 0.1


@dataclass(frozen=True)
class Curve:
    """A function of one number and its derivative, each with its formula."""

    formula: str
    value: Callable[[float], float]
    derivative_formula: str
    derivative: Callable[[float], float]


def _sigmoid(x: float) -> float:
    return 0.5 * (1 + math.tanh(0.5 * x))


CURVES: Mapping[str, Curve] = {
    "sigmoid": Curve("1 / (1 + e⁻ˣ)", _sigmoid, "y(1 - y)", lambda x: _sigmoid(x) * (1 - _sigmoid(x))),
    "tanh": Curve("tanh x", math.tanh, "1 - y²", lambda x: 1 - math.tanh(x) ** 2),
    "relu": Curve("max(0, x)", lambda x: max(0.0, x), "1 if x > 0, else 0", lambda x: float(x > 0)),
    "leaky relu": Curve(
        f"max({_LEAK}x, x)",
        lambda x: max(_LEAK * x, x),
        f"1 if x > 0, else {_LEAK}",
        lambda x: 1.0 if x > 0 else _LEAK,
    ),
    "elu": Curve(
        "x if x > 0, else eˣ - 1",
        lambda x: x if x > 0 else math.expm1(x),
        "1 if x > 0, else eˣ",
        lambda x: 1.0 if x > 0 else math.exp(x),
    ),
}
"""The activations by name."""


def activation_trace(kind: str, x: Array, dy: Array | None) -> Trace:
    """``x`` (rows, columns) through one of `CURVES`, and back from ``dy`` of its shape if it is given."""
    curve = CURVES[kind]
    phases = [Phase("Forward: the output y", f"y = {curve.formula}", tuple(_forward_steps(kind, x)))]
    grids = [input_grid("x", "input", x), result_grid("y", "output", x.shape, phases)]
    if dy is not None:
        check_delta(dy, x.shape)
        formula = f"dx = δ · ∂y/∂x, ∂y/∂x = {curve.derivative_formula}"
        phases.append(Phase("Backward: the input gradient dx", formula, tuple(_backward_steps(kind, x, dy))))
        grids += [input_grid("dy", "δ = ∂L/∂y", dy), result_grid("dx", "∂L/∂x", x.shape, phases)]
    return Trace(kind.capitalize() if kind != "relu" else "ReLU", tuple(grids), tuple(phases))


def _forward_steps(kind: str, x: Array) -> Iterator[Step]:
    for row, column in np.ndindex(*x.shape):
        value = CURVES[kind].value(float(x[row, column]))
        text = f"{kind}({format_number(float(x[row, column]))}) = {format_number(value)}"
        yield value_step(("y", row, column), value, text, [("x", row, column)])


def _backward_steps(kind: str, x: Array, dy: Array) -> Iterator[Step]:
    for row, column in np.ndindex(*x.shape):
        term = product(float(dy[row, column]), CURVES[kind].derivative(float(x[row, column])))
        text = f"{term.text} = {format_number(term.value)}"
        inputs = [(grid, row, column) for grid in ("x", "y", "dy")]
        yield value_step(("dx", row, column), term.value, text, inputs, [(term,)])
