"""Batch normalization's backward pass along its graph: each node's value forward, and its gradient backward.

Slides "BATCH & LAYER NORMALIZATION", "Flow of computation through Batch Normalization layer": x → μ, c = x - μ, q = c²,
σ² = mean of q, s = √(σ² + ε), r = 1/s, x̂ = c · r, y = γ x̂ + β. Backward, each node multiplies what arrives by its own
derivative; where a node is used twice (c by q and by x̂, x by μ and by c) what arrives from both sides is added. The
formula of `normalization` is the same in one line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from convolve.from_scratch.arrays import Array
from convolve.from_scratch.normalization import EPSILON
from convolve.from_scratch.traces.normalization import NormalizationInputs
from convolve.from_scratch.traces.trace import (
    Cell,
    Drawing,
    Grid,
    Mark,
    Phase,
    Point,
    Shape,
    Step,
    Trace,
    check_delta,
    column_cells,
    format_factor,
    format_mean,
    format_number,
    format_sum,
    input_grid,
    result_grid,
)

Values = Mapping[str, Array]
Equation = Callable[[int, int], str]


@dataclass(frozen=True)
class Node:
    """A node, or the gradient of one: its formula, the grids that it reads, and each value's equation."""

    name: str
    title: str
    formula: str
    sources: Sequence[str]
    equation: Equation


def normalization_graph_trace(given: NormalizationInputs, dy: Array | None) -> Trace:
    """Forward node by node to y, and backward from ``dy`` (N, D) node by node to dx if it is given."""
    if dy is not None:
        check_delta(dy, given.x.shape)
    values = node_values(given, np.zeros(given.x.shape) if dy is None else dy)
    forward, backward = _forward(values), [] if dy is None else _backward(values)
    phases = []
    for direction, nodes in (("Forward", forward), ("Backward", backward)):
        for node in nodes:
            words = (node.title, node.name) if node.title.startswith("the ") else (f"{node.name},", node.title)
            title = f"{direction}: {' '.join(words)}"
            phases.append(Phase(title, f"{node.name} = {node.formula}", tuple(_steps(node, values, direction))))
    grids = [input_grid("x", "input, one example per row", given.x)]
    grids += [_result(node, values, phases) for node in forward[:-1]]
    grids += [input_grid("γ", "scale", given.gamma[None]), input_grid("β", "shift", given.beta[None])]
    grids.append(result_grid("y", "output", given.x.shape, phases))
    grids += [] if dy is None else [input_grid("dy", "δ = ∂L/∂y", dy)]
    grids += [_result(node, values, phases) for node in backward]
    return Trace("Batch normalization along its graph", tuple(grids), tuple(phases), _drawing())


def node_values(given: NormalizationInputs, dy: Array) -> Values:
    """Every node and every gradient by name: (N, D), or (1, D) for one number per feature."""
    x, gamma, beta, count = given.x, given.gamma[None], given.beta[None], len(given.x)
    mean = x.sum(0, keepdims=True) / count
    c = x - mean
    q = c**2
    variance = q.sum(0, keepdims=True) / count
    s = np.sqrt(variance + EPSILON)
    r = 1 / s
    forward = {"x": x, "γ": gamma, "β": beta, "μ": mean, "c": c, "q": q, "σ²": variance, "s": s, "r": r, "x̂": c * r}
    dnormalized = dy * gamma
    dr = (dnormalized * c).sum(0, keepdims=True)
    ds = -dr / s**2
    dvariance = ds / (2 * s)
    dq = np.broadcast_to(dvariance / count, x.shape)
    dc = dnormalized * r + 2 * c * dq
    dmean = -dc.sum(0, keepdims=True)
    return {
        **forward,
        "y": gamma * c * r + beta,
        "dy": dy,
        "dβ": dy.sum(0, keepdims=True),
        "dγ": (dy * c * r).sum(0, keepdims=True),
        "dx̂": dnormalized,
        "dr": dr,
        "ds": ds,
        "dσ²": dvariance,
        "dq": dq,
        "dc": dc,
        "dμ": dmean,
        "dx": dc + dmean / count,
    }


def _forward(values: Values) -> list[Node]:
    """The nodes from x to y."""
    x, mean, c, q, variance = (values[name] for name in ("x", "μ", "c", "q", "σ²"))
    s, r, normalized, gamma, beta = (values[name] for name in ("s", "r", "x̂", "γ", "β"))
    return [
        Node("μ", "the mean", "Σ x / N", ("x",), lambda _, d: format_mean(x[:, d].tolist())),
        Node("c", "the difference", "x - μ", ("x", "μ"), lambda n, d: f"{_of(x, n, d)} - {_factor(mean, 0, d)}"),
        Node("q", "its square", "c²", ("c",), lambda n, d: f"{_factor(c, n, d)}²"),
        Node("σ²", "the variance", "Σ q / N", ("q",), lambda _, d: format_mean(q[:, d].tolist())),
        Node("s", "the deviation", "√(σ² + ε)", ("σ²",), lambda _, d: f"√({_of(variance, 0, d)} + ε)"),
        Node("r", "one over it", "1 / s", ("s",), lambda _, d: f"1 / {_of(s, 0, d)}"),
        Node("x̂", "the normalized", "c · r", ("c", "r"), lambda n, d: f"{_of(c, n, d)}·{_factor(r, 0, d)}"),
        Node(
            "y", "the output", "γ · x̂ + β", ("γ", "x̂", "β"),
            lambda n, d: f"{_of(gamma, 0, d)}·{_factor(normalized, n, d)} + {_factor(beta, 0, d)}",
        ),
    ]  # fmt: skip


def _backward(values: Values) -> list[Node]:
    """The gradients from y back to x."""
    dy, normalized, gamma, c, r, s = (values[name] for name in ("dy", "x̂", "γ", "c", "r", "s"))
    dnormalized, dr, ds, dvariance = (values[name] for name in ("dx̂", "dr", "ds", "dσ²"))
    dq, dc, dmean, count = values["dq"], values["dc"], values["dμ"], len(dy)
    return [
        Node("dβ", "the gradient", "Σ dy", ("dy",), lambda _, d: format_sum(dy[:, d].tolist())),
        Node("dγ", "the gradient", "Σ dy · x̂", ("dy", "x̂"), lambda _, d: _products(dy, normalized, d)),
        Node(
            "dx̂", "through y = γ x̂ + β", "dy · γ", ("dy", "γ"),
            lambda n, d: f"{_of(dy, n, d)}·{_factor(gamma, 0, d)}",
        ),
        Node("dr", "through x̂ = c r", "Σ dx̂ · c", ("dx̂", "c"), lambda _, d: _products(dnormalized, c, d)),
        Node("ds", "through r = 1/s", "-dr / s²", ("dr", "s"), lambda _, d: f"-{_factor(dr, 0, d)} / {_of(s, 0, d)}²"),
        Node(
            "dσ²", "through s = √(σ² + ε)", "ds / 2s", ("ds", "s"),
            lambda _, d: f"{_of(ds, 0, d)} / (2·{_of(s, 0, d)})",
        ),
        Node("dq", "through σ² = Σ q / N", "dσ² / N", ("dσ²",), lambda _, d: f"{_of(dvariance, 0, d)} / {count}"),
        Node(
            "dc", "through x̂ = c r and q = c²", "dx̂ · r + 2c · dq", ("dx̂", "r", "c", "dq"),
            lambda n, d: f"{_of(dnormalized, n, d)}·{_factor(r, 0, d)} + 2·{_factor(c, n, d)}·{_factor(dq, n, d)}",
        ),
        Node("dμ", "through c = x - μ", "-Σ dc", ("dc",), lambda _, d: f"-({format_sum(dc[:, d].tolist())})"),
        Node(
            "dx", "through c = x - μ and μ = Σ x / N", "dc + dμ / N", ("dc", "dμ"),
            lambda n, d: f"{_of(dc, n, d)} + {_factor(dmean, 0, d)} / {count}",
        ),
    ]  # fmt: skip


def _of(values: Array, n: int, d: int) -> str:
    return format_number(float(values[n, d]))


def _factor(values: Array, n: int, d: int) -> str:
    return format_factor(float(values[n, d]))


def _products(a: Array, b: Array, d: int) -> str:
    pairs = zip(a[:, d].tolist(), b[:, d].tolist(), strict=True)
    return format_sum(first * second for first, second in pairs)


def _steps(node: Node, values: Values, direction: str) -> Iterator[Step]:
    """A step for each feature: all its values at once."""
    result = values[node.name]
    single = len(result) == 1 < len(values["x"])
    for d in range(result.shape[1]):
        lines = []
        for n in range(len(result)):
            left, value = node.equation(n, d), _of(result, n, d)
            name = f"{node.name}[{d + 1}]" if single else f"{node.name}[{n + 1},{d + 1}]"
            lines.append(
                f"{name} = {left}" if left.endswith(f"= {value}") or left == value else f"{name} = {left} = {value}"
            )
        inputs: list[Cell] = [cell for name in node.sources for cell in column_cells(name, d, len(values[name]))]
        outputs = tuple(((node.name, n, d), float(result[n, d])) for n in range(len(result)))
        shape = node.name if direction == "Forward" else node.name.removeprefix("d")
        mark: Mark = "drawn" if direction == "Forward" else "selected"
        given = [name for name in node.sources if name in {"x", "γ", "β"} and direction == "Forward"]
        marks: tuple[tuple[str, Mark], ...] = (*((name, "drawn") for name in given), (shape, mark))
        yield Step(f"{node.name}, feature {d + 1}", (), tuple(lines), tuple(inputs), outputs, marks)


def _result(node: Node, values: Values, phases: Sequence[Phase]) -> Grid:
    title = node.title if not node.name.startswith("d") else f"∂L/∂{node.name.removeprefix('d')}"
    rows, columns = values[node.name].shape
    return result_grid(node.name, title, (rows, columns), phases)


_POSITIONS: Mapping[str, Point] = {
    "x": (0, 2), "μ": (1.5, 3.5), "c": (3, 2), "q": (3, 3.5), "σ²": (4.5, 3.5), "s": (6, 3.5), "r": (7.5, 3.5),
    "x̂": (7.5, 2), "y": (9, 2), "γ": (8.2, 0.5), "β": (9.8, 0.5),
}  # fmt: skip
_EDGES = (
    ("x", "μ"), ("x", "c"), ("μ", "c"), ("c", "q"), ("q", "σ²"), ("σ²", "s"), ("s", "r"), ("r", "x̂"), ("c", "x̂"),
    ("x̂", "y"), ("γ", "y"), ("β", "y"),
)  # fmt: skip
_SIDE = 0.9


def _edge(start: Point, end: Point) -> tuple[Point, ...]:
    """From one box's outline to the other's, between their centers."""
    across, down = end[0] - start[0], end[1] - start[1]
    part = _SIDE / 2 / max(abs(across), abs(down))
    center = start[0] + _SIDE / 2, start[1] + _SIDE / 2
    return tuple((center[0] + ratio * across, center[1] + ratio * down) for ratio in (part, 1 - part))


def _drawing() -> Drawing:
    """The graph: a box for each node, a line for each use."""
    shapes = []
    for start, end in _EDGES:
        shapes.append(Shape(f"{start} to {end}", "line", _edge(_POSITIONS[start], _POSITIONS[end])))
    for name, (left, top) in _POSITIONS.items():
        right, bottom = left + _SIDE, top + _SIDE
        shapes.append(Shape(name, "box", ((left, top), (right, top), (right, bottom), (left, bottom)), name))
    return Drawing("The graph of batch normalization", (-0.4, 0.2, 11.1, 4.8), tuple(shapes))
