"""Local response normalization, value by value: each value is divided by the activity of neighboring channels.

Slide "Local Response Normalization (LRN)"; Krizhevsky et al. 2012, section 3.3: y = x / q^β, q = k + α Σ x² over the n
surrounding channels at the same position. `KINDS` has the paper's constants, and Caffe's, where α is divided by n and k
is 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from convolve.from_scratch.arrays import Array
from convolve.from_scratch.normalization import ALEXNET, LRNConstants
from convolve.from_scratch.traces.trace import (
    Phase,
    Step,
    Term,
    Trace,
    check_delta,
    format_factor,
    format_number,
    format_sum,
    input_grid,
    result_grid,
    value_step,
)

KINDS = ("paper", "caffe")
"""Whose constants: the paper's, k = 2 and α = 0.0001; or Caffe's, k = 1 and α = 0.0001 / n. β is 0.75."""


def lrn_constants(kind: str, window: int) -> LRNConstants:
    """Those of one of `KINDS`. Raises `ValueError` for an even window."""
    if kind == "paper":
        return replace(ALEXNET, window=window)
    return LRNConstants(window, ALEXNET.alpha / window, ALEXNET.beta, k=1)


@dataclass(frozen=True)
class LRNInputs:
    """x (positions, channels) and the constants."""

    x: Array
    constants: LRNConstants

    @cached_property
    def divisor(self) -> Array:
        """Q (positions, channels), by whose power x is divided."""
        sums = [(self.x[:, self.neighbors(c)] ** 2).sum(1) for c in range(self.x.shape[1])]
        q: Array = self.constants.k + self.constants.alpha * np.stack(sums, 1)
        return q

    def neighbors(self, c: int) -> list[int]:
        """The existing channels within reach of channel c, itself included."""
        reach = self.constants.window // 2
        return list(range(max(0, c - reach), min(self.x.shape[1], c + reach + 1)))


def lrn_trace(given: LRNInputs, dy: Array | None) -> Trace:
    """Forward to y, and backward from ``dy`` (positions, channels) if it is given."""
    constants, shape = given.constants, given.x.shape
    k, alpha, beta = map(format_number, (constants.k, constants.alpha, constants.beta))
    q = f"q = {k} + {alpha} · Σ x², over {constants.window} channels"
    phases = [
        Phase("Forward: the divisor q", q, tuple(_divisor_steps(given))),
        Phase("Forward: the output y", f"y = x / q^{beta}", tuple(_output_steps(given))),
    ]
    grids = [input_grid("x", "input, one position per row, one channel per column", given.x)]
    grids += [result_grid("q", "divisor", shape, phases), result_grid("y", "output", shape, phases)]
    if dy is not None:
        check_delta(dy, shape)
        s = f"s = δ · x / q^{format_number(1 + constants.beta)}"
        dx = f"dx = δ / q^{beta} - 2 · {alpha} · {beta} · x · Σ s, over the same channels"
        phases += [
            Phase("Backward: the part s through the divisor", s, tuple(_divisor_gradient_steps(given, dy))),
            Phase("Backward: the input gradient dx", dx, tuple(_dx_steps(given, dy))),
        ]
        grids += [input_grid("dy", "δ = ∂L/∂y", dy), result_grid("s", "part through the divisor", shape, phases)]
        grids.append(result_grid("dx", "∂L/∂x", shape, phases))
    return Trace("Local response normalization", tuple(grids), tuple(phases))


def _divisor_steps(given: LRNInputs) -> Iterator[Step]:
    k, alpha = format_number(given.constants.k), format_number(given.constants.alpha)
    for n, c in np.ndindex(*given.x.shape):
        neighbors, q = given.neighbors(c), float(given.divisor[n, c])
        terms = [Term(f"{format_factor(x)}²", x**2) for x in given.x[n, neighbors].tolist()]
        text = f"{k} + {alpha} · ({format_sum(term.value for term in terms)}) = {format_number(q)}"
        yield value_step(("q", n, c), q, text, [("x", n, neighbor) for neighbor in neighbors], [terms])


def _output_steps(given: LRNInputs) -> Iterator[Step]:
    beta = given.constants.beta
    for n, c in np.ndindex(*given.x.shape):
        x, q = float(given.x[n, c]), float(given.divisor[n, c])
        text = f"{format_number(x)} / {format_number(q)}^{format_number(beta)} = {format_number(x / q**beta)}"
        yield value_step(("y", n, c), x / q**beta, text, [("x", n, c), ("q", n, c)])


def _divisor_gradient_steps(given: LRNInputs, dy: Array) -> Iterator[Step]:
    power = 1 + given.constants.beta
    for n, c in np.ndindex(*given.x.shape):
        delta, x, q = (float(values[n, c]) for values in (dy, given.x, given.divisor))
        value = delta * x / q**power
        left = f"{format_number(delta)}·{format_factor(x)} / {format_number(q)}^{format_number(power)}"
        text = f"{left} = {format_number(value)}"
        yield value_step(("s", n, c), value, text, [("dy", n, c), ("x", n, c), ("q", n, c)])


def _dx_steps(given: LRNInputs, dy: Array) -> Iterator[Step]:
    alpha, beta = given.constants.alpha, given.constants.beta
    s = dy * given.x / given.divisor ** (1 + beta)
    for n, c in np.ndindex(*given.x.shape):
        delta, x, q = (float(values[n, c]) for values in (dy, given.x, given.divisor))
        neighbors = given.neighbors(c)
        parts = s[n, neighbors].tolist()
        value = delta / q**beta - 2 * alpha * beta * x * sum(parts)
        left = f"{format_number(delta)} / {format_number(q)}^{format_number(beta)}"
        right = f"2·{format_number(alpha)}·{format_number(beta)}·{format_factor(x)}·({format_sum(parts)})"
        inputs = [("dy", n, c), ("x", n, c), ("q", n, c), *(("s", n, neighbor) for neighbor in neighbors)]
        yield value_step(("dx", n, c), value, f"{left} - {right} = {format_number(value)}", inputs)
