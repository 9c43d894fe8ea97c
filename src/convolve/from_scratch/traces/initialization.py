"""What an initializer does to the activations of a deep network, layer by layer; slides "Xavier initialize" and
"Initialization Test".

Examples with standard normal values run through layers of equal width, y = f(x · W), with no training at all. The sum
of D products has a spread of rms(x) · σ_W · √D: too small a σ_W and the activations vanish, too large and they sit at
the ends of the sigmoid or tanh, where the gradient vanishes. Xavier's σ_W = 1/√D keeps the spread of linear layers and
tanh, He's √(2/D) that of ReLU.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from convolve.from_scratch.arrays import Array
from convolve.from_scratch.traces.trace import (
    Drawing,
    Phase,
    Point,
    Shape,
    Step,
    Trace,
    format_number,
    input_grid,
    result_grid,
)

INITIALIZERS: Mapping[str, tuple[str, Callable[[int], float]]] = {
    "gaussian": ("σ_W = 0.01", lambda _: 0.01),
    "normal": ("σ_W = 1", lambda _: 1.0),
    "xavier": ("σ_W = 1/√D", lambda width: math.sqrt(1 / width)),
    "he": ("σ_W = √(2/D)", lambda width: math.sqrt(2 / width)),
}
"""By name the formula, and σ_W for the width D."""
_BINS = 24
_EDGE = 0.01


@dataclass(frozen=True)
class Response:
    """An activation, the range in which it is drawn, and what is counted of its values."""

    function: Callable[[Array], Array]
    limits: tuple[float, float]
    counted: str
    counts: Callable[[Array], npt.NDArray[np.bool_]]


RESPONSES: Mapping[str, Response] = {
    "tanh": Response(np.tanh, (-1, 1), "|y| > 0.99", lambda y: np.abs(y) > 1 - _EDGE),
    "sigmoid": Response(
        lambda a: 0.5 * (1 + np.tanh(0.5 * a)), (0, 1), "y < 0.01 or y > 0.99", lambda y: np.abs(y - 0.5) > 0.5 - _EDGE
    ),
    "relu": Response(lambda a: np.maximum(a, 0), (0, 3), "y = 0", lambda y: y == 0),
}
"""By name."""


@dataclass(frozen=True)
class LayerSpread:
    """One layer: rms of its input, spread of a = x · W, mean and spread of y = f(a), the fraction that is counted, and
    the histogram of y, as fractions.
    """

    source: float
    sums: float
    mean: float
    spread: float
    counted: float
    histogram: tuple[float, ...]


@dataclass(frozen=True)
class InitializationInputs:
    """How many ``examples``, units of each layer (the ``width`` D) and ``layers``; the activation and the initializers
    by name; the seed, the same for each initializer.
    """

    examples: int
    width: int
    layers: int
    activation: str
    initializers: Sequence[str]
    seed: int

    @cached_property
    def spreads(self) -> Mapping[str, tuple[LayerSpread, ...]]:
        """Each initializer's layers."""
        return {name: tuple(self._layers(name)) for name in self.initializers}

    def _layers(self, name: str) -> Iterator[LayerSpread]:
        random, response = np.random.default_rng(self.seed), RESPONSES[self.activation]
        x: Array = random.standard_normal((self.examples, self.width))
        deviation = INITIALIZERS[name][1](self.width)
        for _ in range(self.layers):
            sums = x @ (random.standard_normal((self.width, self.width)) * deviation)
            y = response.function(sums)
            histogram = np.histogram(np.clip(y, *response.limits), _BINS, response.limits)[0] / y.size
            yield LayerSpread(
                float(np.sqrt((x**2).mean())), float(sums.std()), float(y.mean()), float(y.std()),
                float(response.counts(y).mean()), tuple(histogram.tolist()),
            )  # fmt: skip
            x = y


def initialization_trace(given: InitializationInputs) -> Trace:
    """For each initializer, the spread of each layer, and a histogram."""
    response = RESPONSES[given.activation]
    phases = []
    for name in given.initializers:
        formula = f"{INITIALIZERS[name][0]} = {format_number(INITIALIZERS[name][1](given.width))}"
        phases.append(Phase(f"{name}: {formula}", "spread of x · W = rms(x) · σ_W · √D", tuple(_steps(given, name))))
    sizes = np.array([[given.examples, given.width, given.layers]], np.float64)
    grids = [input_grid("N", "examples, units of each layer, layers", sizes)]
    for name in given.initializers:
        title = f"mean of y, spread of y, fraction with {response.counted}; one column per layer"
        grids.append(result_grid(name, title, (3, given.layers), phases))
    title = f"{given.layers} layers of {given.width} with {given.activation}, before any training"
    return Trace(title, tuple(grids), tuple(phases), _drawing(given))


def _steps(given: InitializationInputs, name: str) -> Iterator[Step]:
    deviation, response = INITIALIZERS[name][1](given.width), RESPONSES[given.activation]
    for n, layer in enumerate(given.spreads[name]):
        product = f"{format_number(layer.source)} · {format_number(deviation)} · √{given.width}"
        expected = layer.source * deviation * math.sqrt(given.width)
        lines = (
            f"spread of x · W: {product} = {format_number(expected)} expected, {format_number(layer.sums)} found",
            f"y = {given.activation}(x · W): mean {format_number(layer.mean)}, spread {format_number(layer.spread)}",
            f"{response.counted}: {100 * layer.counted:.4g} %",
        )
        inputs = tuple((name, row, n - 1) for row in range(2)) if n else (("N", 0, 0), ("N", 0, 1))
        values = layer.mean, layer.spread, layer.counted
        outputs = tuple(((name, row, n), value) for row, value in enumerate(values))
        yield Step(f"{name}, layer {n + 1}", (), lines, inputs, outputs, ((f"{name} {n + 1}", "drawn"),))


def _drawing(given: InitializationInputs) -> Drawing:
    """A row of histograms for each initializer, one for each layer."""
    shapes: list[Shape] = []
    low, high = RESPONSES[given.activation].limits
    for row, name in enumerate(given.initializers):
        base = 1.6 * (row + 1)
        shapes.append(
            Shape(f"{name}: title", "text", ((given.layers / 2, base - 1.35),), f"{name}, {INITIALIZERS[name][0]}")
        )
        for n, layer in enumerate(given.spreads[name]):
            shapes.append(Shape(f"{name}: base {n + 1}", "line", ((n + 0.06, base), (n + 0.94, base))))
            shapes.append(Shape(f"{name} {n + 1}", "box", _outline(layer.histogram, (n, base))))
    bottom = 1.6 * len(given.initializers) + 0.25
    shapes += [Shape(f"layer {n + 1}", "text", ((n + 0.5, bottom),), str(n + 1)) for n in range(given.layers)]
    extent = (-0.1, 0.0, given.layers + 0.1, 1.6 * len(given.initializers) + 0.5)
    title = f"Histograms of y from {format_number(low)} to {format_number(high)}, one for each layer"
    return Drawing(title, extent, tuple(shapes))


def _outline(histogram: Sequence[float], corner: Point) -> tuple[Point, ...]:
    """The bars as one polygon, the highest bar 1 high, above the line from ``corner`` to the right."""
    width, highest = 0.88 / len(histogram), max(histogram)
    left, base = corner[0] + 0.06, corner[1]
    points = [(left, base)]
    for n, fraction in enumerate(histogram):
        top = base - fraction / highest
        points += [(left + n * width, top), (left + (n + 1) * width, top)]
    return (*points, (left + len(histogram) * width, base))
