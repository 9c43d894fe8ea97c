"""The lecture's eight optimizers, step by step on a bowl or a saddle; slide "Review: Optimizer".

The surface is f(x, y) = (a x² + b y²) / 2: with a = 0.1 and b = 2 a long bowl, on which plain descent swings across the
valley; with a = 1 and b = -1 a saddle, at whose center the gradient vanishes though it is no minimum. Each optimizer
starts at the same point. SGD takes the gradient of one of four examples in turn, whose own surfaces lie to the left and
right of f and have f as their mean; all others take f's own gradient.

The first steps are worked in full, with the numbers of both coordinates; the others say where they arrive.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from convolve.from_scratch.arrays import Array
from convolve.from_scratch.traces.trace import (
    Drawing,
    Mark,
    Phase,
    Point,
    Shape,
    Step,
    Trace,
    format_factor,
    format_number,
    input_grid,
    result_grid,
)

WORKED = 3
"""Steps of each optimizer that are written out in full."""
_EXAMPLES = ((1.0, 0.5), (-1.0, -0.5), (1.0, -0.5), (-1.0, 0.5))
"""Where the centers of the four examples' surfaces are; their mean is 0."""
_FARTHEST = 1e12
_GAP = 0.12


@dataclass(frozen=True)
class Surface:
    """f(x, y) = (a x² + b y²) / 2, where one starts, how far it is drawn, and each optimizer's learning rate."""

    a: float
    b: float
    start: Point
    reach: Point
    rates: Mapping[str, float]

    def value(self, w: Array) -> float:
        """F at a point."""
        return float(self.a * w[0] ** 2 + self.b * w[1] ** 2) / 2

    def gradient(self, w: Array) -> Array:
        """∂f/∂x and ∂f/∂y."""
        return np.array([self.a, self.b]) * w


SURFACES: Mapping[str, Surface] = {
    "bowl": Surface(
        0.1, 2.0, (-7.0, 2.0), (8.0, 3.0),
        {
            "gradient descent": 0.95, "sgd": 0.4, "momentum": 0.1, "nesterov": 0.1, "adagrad": 1.5, "rmsprop": 0.1,
            "adadelta": 100.0, "adam": 0.5,
        },
    ),
    "saddle": Surface(
        1.0, -1.0, (-1.5, 0.01), (2.0, 2.0),
        {
            "gradient descent": 0.1, "sgd": 0.1, "momentum": 0.05, "nesterov": 0.05, "adagrad": 0.2, "rmsprop": 0.02,
            "adadelta": 5.0, "adam": 0.1,
        },
    ),
}  # fmt: skip
"""By name."""

Update = Callable[[dict[str, Array], Array, Array, float, int], tuple[Array, tuple[str, ...]]]
"""From the state (kept arrays, at first 0), w, g, η and the step's number t: the new w, and the lines."""


def _gradient_descent(state: dict[str, Array], w: Array, g: Array, eta: float, t: int) -> tuple[Array, tuple[str, ...]]:
    del state, t
    new = w - eta * g
    return new, (f"w = {_pair(w)} - {format_number(eta)}·{_pair(g)} = {_pair(new)}",)


def _momentum(state: dict[str, Array], w: Array, g: Array, eta: float, t: int) -> tuple[Array, tuple[str, ...]]:
    del t
    before, state["v"] = state["v"], 0.9 * state["v"] - eta * g
    new = w + state["v"]
    return new, (
        f"v = 0.9·{_pair(before)} - {format_number(eta)}·{_pair(g)} = {_pair(state['v'])}",
        f"w = {_pair(w)} + {_pair(state['v'])} = {_pair(new)}",
    )


def _nesterov(state: dict[str, Array], w: Array, g: Array, eta: float, t: int) -> tuple[Array, tuple[str, ...]]:
    del t
    before, state["v"] = state["v"], 0.9 * state["v"] - eta * g
    new = w + 0.9 * state["v"] - eta * g
    return new, (
        f"v = 0.9·{_pair(before)} - {format_number(eta)}·{_pair(g)} = {_pair(state['v'])}",
        f"w = {_pair(w)} + 0.9·{_pair(state['v'])} - {format_number(eta)}·{_pair(g)} = {_pair(new)}",
    )


def _adagrad(state: dict[str, Array], w: Array, g: Array, eta: float, t: int) -> tuple[Array, tuple[str, ...]]:
    del t
    before, state["h"] = state["h"], state["h"] + g * g
    new = w - eta * g / (np.sqrt(state["h"]) + 1e-10)
    return new, (f"h = {_pair(before)} + {_pair(g)}² = {_pair(state['h'])}", _scaled(w, g, eta, state["h"], new))


def _rmsprop(state: dict[str, Array], w: Array, g: Array, eta: float, t: int) -> tuple[Array, tuple[str, ...]]:
    del t
    before, state["h"] = state["h"], 0.99 * state["h"] + 0.01 * g * g
    new = w - eta * g / (np.sqrt(state["h"]) + 1e-8)
    line = f"h = 0.99·{_pair(before)} + 0.01·{_pair(g)}² = {_pair(state['h'])}"
    return new, (line, _scaled(w, g, eta, state["h"], new))


def _adadelta(state: dict[str, Array], w: Array, g: Array, eta: float, t: int) -> tuple[Array, tuple[str, ...]]:
    del t
    h, s, epsilon = state["h"], state["s"], 1e-6
    state["h"] = 0.9 * h + 0.1 * g * g
    d = g * np.sqrt(s + epsilon) / np.sqrt(state["h"] + epsilon)
    state["s"] = 0.9 * s + 0.1 * d * d
    new = w - eta * d
    return new, (
        f"h = 0.9·{_pair(h)} + 0.1·{_pair(g)}² = {_pair(state['h'])}",
        f"d = {_pair(g)} · √({_pair(s)} + ε) / √({_pair(state['h'])} + ε) = {_pair(d)}, ε = 1e-06",
        f"s = 0.9·{_pair(s)} + 0.1·{_pair(d)}² = {_pair(state['s'])}",
        f"w = {_pair(w)} - {format_number(eta)}·{_pair(d)} = {_pair(new)}",
    )


def _adam(state: dict[str, Array], w: Array, g: Array, eta: float, t: int) -> tuple[Array, tuple[str, ...]]:
    m, h = state["m"], state["h"]
    state["m"], state["h"] = 0.9 * m + 0.1 * g, 0.999 * h + 0.001 * g * g
    corrected_m, corrected_h = state["m"] / (1 - 0.9**t), state["h"] / (1 - 0.999**t)
    new = w - eta * corrected_m / (np.sqrt(corrected_h) + 1e-8)
    return new, (
        f"m = 0.9·{_pair(m)} + 0.1·{_pair(g)} = {_pair(state['m'])}",
        f"m̂ = m / (1 - 0.9^{t}) = {_pair(corrected_m)}",
        f"h = 0.999·{_pair(h)} + 0.001·{_pair(g)}² = {_pair(state['h'])}",
        f"ĥ = h / (1 - 0.999^{t}) = {_pair(corrected_h)}",
        _scaled(w, corrected_m, eta, corrected_h, new),
    )


UPDATES: Mapping[str, tuple[str, Update]] = {
    "gradient descent": ("w ← w - η g, g of all examples", _gradient_descent),
    "sgd": ("w ← w - η g, g of one example", _gradient_descent),
    "momentum": ("v ← 0.9 v - η g; w ← w + v", _momentum),
    "nesterov": ("v ← 0.9 v - η g; w ← w + 0.9 v - η g", _nesterov),
    "adagrad": ("h ← h + g²; w ← w - η g / √h", _adagrad),
    "rmsprop": ("h ← 0.99 h + 0.01 g²; w ← w - η g / √h", _rmsprop),
    "adadelta": ("h ← 0.9 h + 0.1 g²; d = g √s / √h; s ← 0.9 s + 0.1 d²; w ← w - η d", _adadelta),
    "adam": ("m ← 0.9 m + 0.1 g; h ← 0.999 h + 0.001 g²; w ← w - η m̂ / √ĥ", _adam),
}
"""Formula and update of each, in the lecture's order."""


def _scaled(w: Array, g: Array, eta: float, h: Array, new: Array) -> str:
    return f"w = {_pair(w)} - {format_number(eta)}·{_pair(g)} / √{_pair(h)} = {_pair(new)}"


def _pair(values: Array) -> str:
    return f"({format_number(float(values[0]))}, {format_number(float(values[1]))})"


@dataclass(frozen=True)
class OptimizerInputs:
    """The surface by name, where to start, how many steps, and for each optimizer (by name) its learning rate."""

    surface: str
    start: Array
    steps: int
    rates: Mapping[str, float]

    @cached_property
    def paths(self) -> Mapping[str, tuple[tuple[Array, ...], tuple[tuple[str, ...], ...]]]:
        """The points of each optimizer, the start first, and each step's lines. A path ends where it diverges."""
        return {name: self._path(name) for name in self.rates}

    def _path(self, name: str) -> tuple[tuple[Array, ...], tuple[tuple[str, ...], ...]]:
        surface, w, update = SURFACES[self.surface], self.start, UPDATES[name][1]
        state: dict[str, Array] = {letter: np.zeros(2) for letter in "vhsm"}
        points, lines = [w], []
        for t in range(1, self.steps + 1):
            center = np.array(_EXAMPLES[(t - 1) % len(_EXAMPLES)] if name == "sgd" else (0, 0))
            g = surface.gradient(w - center)
            which = (t - 1) % len(_EXAMPLES) + 1
            example = f" of example {which}, whose center is {_pair(center)}" if name == "sgd" else ""
            new, equations = update(state, w, g, self.rates[name], t)
            w = np.clip(new, -_FARTHEST, _FARTHEST)
            value = f"f = {format_number(surface.value(w))}"
            first = f"g{example} = {_gradient_text(surface, points[-1] - center)} = {_pair(g)}"
            lines.append((first, *equations, value) if t <= WORKED else (f"w = {_pair(w)}, {value}",))
            points.append(w)
            if np.abs(w).max() >= _FARTHEST:
                lines[-1] = (*lines[-1], "it has diverged, and ends here: take a smaller learning rate")
                break
        return tuple(points), tuple(lines)


def _gradient_text(surface: Surface, w: Array) -> str:
    a, b = format_number(surface.a), format_number(surface.b)
    return f"({a}·{format_factor(float(w[0]))}, {b}·{format_factor(float(w[1]))})"


def optimizer_trace(given: OptimizerInputs) -> Trace:
    """The path of each optimizer, step by step, and where all of them are at the end."""
    surface = SURFACES[given.surface]
    phases = []
    for name, eta in given.rates.items():
        formula = f"{UPDATES[name][0]}; η = {format_number(eta)}"
        phases.append(Phase(name, formula, tuple(_path_steps(given, name))))
    phases.append(Phase("The ends", f"f = ({_weighted_squares(surface)}) / 2", (_end_step(given),)))
    grids = [input_grid("w", "start: x, y", given.start[None])]
    for name in given.rates:
        size = 3, len(given.paths[name][0]) - 1
        grids.append(result_grid(name, "x, y and f after each step", size, phases))
    grids.append(result_grid("f", "at the end, one row per optimizer", (len(given.rates), 1), phases))
    title = f"Optimizers on a {given.surface}"
    return Trace(title, tuple(grids), tuple(phases), _drawing(given))


def _path_steps(given: OptimizerInputs, name: str) -> list[Step]:
    points, lines = given.paths[name]
    steps = []
    for t, equations in enumerate(lines):
        values = (*points[t + 1].tolist(), SURFACES[given.surface].value(points[t + 1]))
        outputs = tuple(((name, row, t), float(value)) for row, value in enumerate(values))
        inputs = tuple((name, row, t - 1) for row in range(2)) if t else (("w", 0, 0), ("w", 0, 1))
        marks: list[tuple[str, Mark]] = []
        if clipped_segment(SURFACES[given.surface].reach, points[t], points[t + 1]):
            marks = [(f"{name} {t + 1}", "selected"), (f"{name} {t + 1}, end", "brief")]
        steps.append(Step(f"{name}, step {t + 1}", (), equations, inputs, outputs, tuple(marks)))
    return steps


def _end_step(given: OptimizerInputs) -> Step:
    surface, names = SURFACES[given.surface], list(given.rates)
    values = {name: surface.value(given.paths[name][0][-1]) for name in names}
    ranking = sorted(names, key=values.__getitem__)
    lines = tuple(f"{name}: f{_pair(given.paths[name][0][-1])} = {format_number(values[name])}" for name in ranking)
    inputs = tuple((name, row, len(given.paths[name][0]) - 2) for name in names for row in range(3))
    return Step("lowest first", (), lines, inputs, tuple((("f", n, 0), values[name]) for n, name in enumerate(names)))


def _weighted_squares(surface: Surface) -> str:
    """``0.1 x² + 2 y²``."""
    sign = "-" if surface.b < 0 else "+"
    return f"{format_number(surface.a)} x² {sign} {format_number(abs(surface.b))} y²"


def _drawing(given: OptimizerInputs) -> Drawing:
    """A panel for each optimizer, with contours of the surface, the start, and the path inside of it."""
    surface, names = SURFACES[given.surface], list(given.rates)
    columns = min(2 if surface.reach[0] > surface.reach[1] else 4, len(names))
    width, height = 2 * surface.reach[0], 2 * surface.reach[1]
    title, gap = 0.35 * surface.reach[1] + _GAP, _GAP * width
    shapes: list[Shape] = []
    for n, name in enumerate(names):
        left, top = (n % columns) * (width + gap), (n // columns) * (height + title)
        shapes += _panel(given, name, (left + surface.reach[0], top + title + surface.reach[1]))
    rows = -(-len(names) // columns)
    extent = (-gap / 4, 0.0, columns * (width + gap) - 0.75 * gap, rows * (height + title) + gap / 4)
    return Drawing(f"The paths on a {given.surface}", extent, tuple(shapes))


def _panel(given: OptimizerInputs, name: str, center: Point) -> list[Shape]:
    """The shapes of one optimizer, around the center of its panel."""
    surface, (points, _) = SURFACES[given.surface], given.paths[name]

    def to_panel(w: Array) -> Point:
        return center[0] + float(w[0]), center[1] - float(w[1])

    (right, top), corners = surface.reach, ((-1, 1), (1, 1), (1, -1), (-1, -1))
    edge = tuple(to_panel(np.array([right * x, top * y])) for x, y in corners)
    title = Shape(f"{name}: title", "text", ((center[0], center[1] - 1.16 * top),), name)
    shapes = [Shape(f"{name}: edge", "line", (*edge, edge[0])), title]
    for n, line in enumerate(contours(surface)):
        shapes.append(Shape(f"{name}: contour {n + 1}", "line", tuple(map(to_panel, line))))
    shapes.append(Shape(f"{name}: start", "dot", (to_panel(points[0]),)))
    for t in range(1, len(points)):
        if segment := clipped_segment(surface.reach, points[t - 1], points[t]):
            start, end = map(to_panel, segment)
            shapes.append(Shape(f"{name} {t}", "line", (start, end)))
            shapes.append(Shape(f"{name} {t}, end", "dot", (end,)))
    return shapes


def contours(surface: Surface) -> list[list[Array]]:
    """Lines of equal f inside of what is drawn: ellipses of a bowl, hyperbolas of a saddle."""
    lines: list[list[Array]] = []
    largest = max(
        surface.value(np.array([surface.reach[0], 0.0])), abs(surface.value(np.array([0.0, surface.reach[1]])))
    )
    for level in (largest * fraction**2 for fraction in (0.15, 0.35, 0.6, 0.9)):
        x, y = math.sqrt(2 * level / surface.a), math.sqrt(2 * level / abs(surface.b))
        if surface.b > 0:
            angles = np.linspace(0, 2 * math.pi, 73)
            curves = [np.stack([x * np.cos(angles), y * np.sin(angles)], 1)]
        else:
            s = np.linspace(-3, 3, 61)
            curves = [np.stack([side * x * np.cosh(s), y * np.sinh(s)], 1) for side in (1, -1)]
            curves += [np.stack([x * np.sinh(s), side * y * np.cosh(s)], 1) for side in (1, -1)]
        for curve in curves:
            lines += _inside(surface.reach, curve)
    return lines


def _inside(reach: Point, curve: Array) -> list[list[Array]]:
    """The parts of a curve (N, 2) that are drawn, each of at least two points."""
    parts: list[list[Array]] = [[]]
    for point in curve:
        if (np.abs(point) <= reach).all():
            parts[-1].append(point)
        elif parts[-1]:
            parts.append([])
    return [part for part in parts if len(part) > 1]


def clipped_segment(reach: Point, start: Array, end: Array) -> Sequence[Array] | None:
    """The part of a step that is drawn: none if it starts outside, and up to the edge if it ends there."""
    if (np.abs(start) > reach).any():
        return None
    ratio = 1.0
    for axis in range(2):
        if abs(end[axis]) > reach[axis]:
            edge = math.copysign(reach[axis], end[axis])
            ratio = min(ratio, float((edge - start[axis]) / (end[axis] - start[axis])))
    return start, start + ratio * (end - start)
