"""Local response normalization, value by value: neighbors in the channels hold each other down.

Slide "Local Response Normalization (LRN)"; Krizhevsky et al. 2012, section 3.3: y = x / q^β, q = k + α Σ x² over the n
channels around, at the same place. `KINDS` has the paper's constants, and Caffe's, where α is divided by n and k is 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from convolve.from_scratch.arrays import Array
from convolve.from_scratch.response import ALEXNET, Response
from convolve.from_scratch.steps.values import Grid, Part, Step, Term, Walk, given, made
from convolve.from_scratch.steps.wording import added, factor, number
from convolve.from_scratch.steps.writing import check_slopes, written

KINDS: Mapping[str, str] = {"paper": "k = 2, α = 0.0001", "caffe": "k = 1, α = 0.0001 / n"}
"""Whose constants, and where they differ; β is 0.75."""


def constants(kind: str, window: int) -> Response:
    """Those of one of `KINDS`. Raises `ValueError` for an even window."""
    if kind == "paper":
        return replace(ALEXNET, window=window)
    return Response(window, ALEXNET.alpha / window, ALEXNET.beta, k=1)


@dataclass(frozen=True)
class Channels:
    """x (places, channels) and the constants."""

    x: Array
    response: Response

    @cached_property
    def divisor(self) -> Array:
        """What x is divided by before the power, q (places, channels)."""
        near = [(self.x[:, self.around(c)] ** 2).sum(1) for c in range(self.x.shape[1])]
        q: Array = self.response.k + self.response.alpha * np.stack(near, 1)
        return q

    def around(self, c: int) -> list[int]:
        """The channels within reach of channel c that exist."""
        reach = self.response.window // 2
        return list(range(max(0, c - reach), min(self.x.shape[1], c + reach + 1)))


def response_walk(layer: Channels, dy: Array | None) -> Walk:
    """Forward to y, and backward from ``dy`` (places, channels) if it is given."""
    k, alpha, beta = map(number, (layer.response.k, layer.response.alpha, layer.response.beta))
    rule = f"q = {k} + {alpha} · Σ x², over {layer.response.window} channels"
    parts = [
        Part("Forward: the divisor q", rule, tuple(_divisors(layer))),
        Part("Forward: the output y", f"y = x / q^{beta}", tuple(_outputs(layer))),
    ]
    if dy is not None:
        check_slopes(dy, layer.x.shape)
        through = f"s = δ · x / q^{number(1 + layer.response.beta)}"
        rule = f"dx = δ / q^{beta} - 2 · {alpha} · {beta} · x · Σ s, over the same channels"
        parts += [
            Part("Backward: what goes through the divisor, s", through, tuple(_through(layer, dy))),
            Part("Backward: the input's slope dx", rule, tuple(_dx(layer, dy))),
        ]
    return Walk("Local response normalization", _grids(layer, dy, tuple(parts)), tuple(parts))


def _divisors(layer: Channels) -> Iterator[Step]:
    k, alpha = number(layer.response.k), number(layer.response.alpha)
    for n, c in np.ndindex(*layer.x.shape):
        near = layer.around(c)
        terms = [Term(f"{factor(x)}²", x**2) for x in layer.x[n, near].tolist()]
        q = float(layer.divisor[n, c])
        text = f"{k} + {alpha} · ({added(term.value for term in terms)}) = {number(q)}"
        yield written(("q", n, c), q, text, [("x", n, other) for other in near], [terms])


def _outputs(layer: Channels) -> Iterator[Step]:
    beta = layer.response.beta
    for n, c in np.ndindex(*layer.x.shape):
        x, q = float(layer.x[n, c]), float(layer.divisor[n, c])
        text = f"{number(x)} / {number(q)}^{number(beta)} = {number(x / q**beta)}"
        yield written(("y", n, c), x / q**beta, text, [("x", n, c), ("q", n, c)])


def _through(layer: Channels, dy: Array) -> Iterator[Step]:
    power = 1 + layer.response.beta
    for n, c in np.ndindex(*layer.x.shape):
        delta, x, q = (float(values[n, c]) for values in (dy, layer.x, layer.divisor))
        value = delta * x / q**power
        text = f"{number(delta)}·{factor(x)} / {number(q)}^{number(power)} = {number(value)}"
        yield written(("s", n, c), value, text, [("dy", n, c), ("x", n, c), ("q", n, c)])


def _dx(layer: Channels, dy: Array) -> Iterator[Step]:
    alpha, beta = layer.response.alpha, layer.response.beta
    through = dy * layer.x / layer.divisor ** (1 + beta)
    for n, c in np.ndindex(*layer.x.shape):
        delta, x, q = (float(values[n, c]) for values in (dy, layer.x, layer.divisor))
        near = layer.around(c)
        flows = through[n, near].tolist()
        value = delta / q**beta - 2 * alpha * beta * x * sum(flows)
        left = f"{number(delta)} / {number(q)}^{number(beta)}"
        text = f"{left} - 2·{number(alpha)}·{number(beta)}·{factor(x)}·({added(flows)}) = {number(value)}"
        read = [("dy", n, c), ("x", n, c), ("q", n, c), *(("s", n, other) for other in near)]
        yield written(("dx", n, c), value, text, read)


def _grids(layer: Channels, dy: Array | None, parts: tuple[Part, ...]) -> tuple[Grid, ...]:
    shape = len(layer.x), layer.x.shape[1]
    grids = [given("x", "input, a place per row, a channel per column", layer.x)]
    grids += [made("q", "divisor", shape, parts), made("y", "output", shape, parts)]
    if dy is not None:
        grids += [given("dy", "δ, slope of the loss along y", dy), made("s", "through the divisor", shape, parts)]
        grids.append(made("dx", "slope along x", shape, parts))
    return tuple(grids)
