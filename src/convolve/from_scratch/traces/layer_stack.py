"""What a stack of layers costs and sees, layer by layer: output, parameters, multiply-adds, memory, receptive field.

Slides "특징맵의 크기변화" (760 parameters), "Inception module: 1x1 conv." (112.9 M and 5.3 M multiply-adds), "더 작은
필터" (smaller filters: two 3x3 see 5x5, three see 7x7), "Global Average Pooling" (7·7·1024·1024 weights).

A layer's receptive field R is how far it sees in the input, its jump J how many pixels lie between two neighbors of its
output: R grows by (F - 1)·J of the layer before, and J is multiplied by the stride.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from convolve.from_scratch.traces.trace import (
    Cell,
    Drawing,
    Mark,
    Phase,
    Shape,
    Step,
    Trace,
    format_shape,
    input_grid,
    result_grid,
    row_cells,
)
from convolve.from_scratch.windows import Sliding, output_size

Pair = tuple[int, int]
_WORD = re.compile(r"(pool)?(\d+)x(\d+)(?:x(\d+))?(?:s(\d+))?(?:p(\d+))?|fc(\d+)|gap")
_LARGEST = 100_000
_BYTES = 4
_UNITS = ((10**9, "G"), (10**6, "M"))


@dataclass(frozen=True)
class LayerSpec:
    """A layer as it was typed: its window, its ``filters`` (None: as many as its input has channels), its stride and
    padding. The ``window`` of a dense layer and of global average pooling is their whole input, here None.
    """

    text: str
    kind: Literal["conv", "pool", "fc", "gap"]
    window: Pair | None
    filters: int | None
    sliding: Sliding


def parse_layers(text: str, sliding: Sliding) -> tuple[LayerSpec, ...]:
    """Layers such as ``3x3``, ``5x5x10p2``, ``11x11x96s4p2``, ``pool3x3s2``, ``fc1024`` and ``gap``. ``sliding`` is for
    convolutions that name no stride or padding. Raises `ValueError`.
    """
    specs = tuple(_parse_layer(word, sliding) for word in text.replace(",", " ").split())
    if not specs:
        raise ValueError("kernel names no layer; write some, such as '3x3 3x3'.")
    return specs


def _parse_layer(word: str, sliding: Sliding) -> LayerSpec:
    match = _WORD.fullmatch(word.lower())
    numbers = [int(digits) for digits in re.findall(r"\d+", word)]
    if match is None or any(number > _LARGEST for number in numbers):
        raise ValueError(
            f"'{word[:40]}' is not a layer; write 3x3, 5x5x10p2 (filters, padding), 11x11x96s4p2 (stride), pool3x3s2, "
            f"fc1024 or gap, with numbers up to {_LARGEST:,}."
        )
    pool, height, width, filters, stride, padding, units = match.groups()
    if 0 in numbers[: 3 if filters else 2] or stride == "0" or units == "0":
        raise ValueError(f"'{word}' has a side, a number of filters or a stride of 0; each must be at least 1.")
    if height is None:
        return LayerSpec(word, "fc" if units else "gap", None, int(units) if units else None, Sliding())
    window = int(height), int(width)
    if pool and filters:
        raise ValueError(f"'{word}' is a pooling, which has no filters; write pool{height}x{width}.")
    default = Sliding(max(window)) if pool else sliding
    steps = Sliding(int(stride or default.stride), int(padding or default.padding), default.dilation)
    return LayerSpec(word, "pool" if pool else "conv", window, int(filters) if filters else None, steps)


@dataclass(frozen=True)
class LayerCost:
    """One layer's input and output as (rows, columns, channels), and what it costs and sees."""

    spec: LayerSpec
    source: tuple[int, int, int]
    output: tuple[int, int, int]
    receptive_field: Pair
    jump: Pair

    @property
    def window(self) -> Pair:
        """Its window; a dense layer's is its whole input."""
        return self.spec.window or self.source[:2]

    @property
    def learned(self) -> bool:
        """Whether it has parameters."""
        return self.spec.kind in {"conv", "fc"}

    @property
    def weights(self) -> int:
        """FH · FW · C for each filter."""
        return math.prod((*self.window, self.source[2], self.output[2])) * self.learned

    @property
    def biases(self) -> int:
        """One for each filter."""
        return self.output[2] * self.learned

    @property
    def multiply_adds(self) -> int:
        """The weights, once at each position of the window."""
        return self.weights * self.output[0] * self.output[1]

    @property
    def values(self) -> int:
        """Numbers in the output."""
        return self.output[0] * self.output[1] * self.output[2]


def stack_costs(source: tuple[int, int, int], specs: Sequence[LayerSpec]) -> tuple[LayerCost, ...]:
    """Each layer's cost, for an input of (rows, columns, channels). Raises `ValueError` where a window does not fit."""
    image, seen, jump, costs = source, (1, 1), (1, 1), []
    for spec in specs:
        window = spec.window or (source[0], source[1])
        output = (*(output_size(side, taps, spec.sliding) for side, taps in zip(source, window, strict=False)),)
        reach = [spec.sliding.extent(taps) - 1 for taps in window]
        seen = (seen[0] + reach[0] * jump[0], seen[1] + reach[1] * jump[1])
        if spec.window is None:  # there is nothing to see beyond the image
            seen = (min(seen[0], image[0]), min(seen[1], image[1]))
        jump = (jump[0] * spec.sliding.stride, jump[1] * spec.sliding.stride)
        channels = spec.filters or source[2]
        costs.append(LayerCost(spec, source, (output[0], output[1], channels), seen, jump))
        source = (output[0], output[1], channels)
    return tuple(costs)


def layer_trace(source: tuple[int, int, int], specs: Sequence[LayerSpec]) -> Trace:
    """Every count of every layer, and the sums, for an input of (rows, columns, channels)."""
    costs = stack_costs(source, specs)
    phases = [
        Phase("The output of each layer", "O = (H + 2P - F) / S + 1, rounded down", _steps(costs, _output)),
        Phase("Parameters", "(F·F·C + 1) · filters: weights, and one bias for each filter", _steps(costs, _parameters)),
        Phase("Multiply-adds", "weights · positions of the window", _steps(costs, _multiply_adds)),
        Phase("Memory", f"{_BYTES} bytes for each number: output, parameters", _steps(costs, _memory)),
        Phase("Receptive field", "R = R + (F - 1)·J, J = J·S; first R = J = 1", _steps(costs, _receptive_field)),
        Phase("Sums", "over all layers", (_total_step(costs),)),
    ]
    rows = np.array(
        [[*each.window, each.output[2], each.spec.sliding.stride, each.spec.sliding.padding] for each in costs]
    )
    grids = [
        input_grid("x", "input: rows, columns, channels", np.array([source], np.float64)),
        input_grid("F", "window's rows, columns; filters; stride; padding", rows.astype(np.float64)),
        result_grid("O", "output: rows, columns, channels", (len(costs), 3), phases),
        result_grid("P", "weights, biases, parameters", (len(costs), 3), phases),
        result_grid("M", "multiply-adds", (len(costs), 1), phases),
        result_grid("B", "bytes of output, parameters", (len(costs), 2), phases),
        result_grid("R", "receptive field: rows, columns", (len(costs), 2), phases),
        result_grid("J", "jump: rows, columns", (len(costs), 2), phases),
        result_grid("Σ", "parameters, multiply-adds, bytes", (1, 3), phases),
    ]
    return Trace("Layers: what they cost and see", tuple(grids), tuple(phases), _drawing(source, costs))


Calculation = tuple[tuple[str, ...], str, tuple[int, ...]]
"""The equations, and the grid whose row gets the values."""


def _steps(
    costs: Sequence[LayerCost], calculate: Callable[[LayerCost, LayerCost | None], Calculation]
) -> tuple[Step, ...]:
    """A step for each layer, from it and the one before."""
    steps = []
    for index, cost in enumerate(costs):
        equations, grid, values = calculate(cost, costs[index - 1] if index else None)
        grids = (grid, "J") if grid == "R" else (grid,)  # a receptive field comes with its jump
        width = len(values) // len(grids)
        cells = [cell for name in grids for cell in row_cells(name, index, width)]
        source = row_cells("O", index - 1, 3) if index else row_cells("x", 0, 3)
        marks: tuple[tuple[str, Mark], ...] = ((_seen_name(cost), "selected"),) if grid == "R" else ()
        outputs = tuple(zip(cells, map(float, values), strict=True))
        inputs = (*row_cells("F", index, 5), *source)
        steps.append(Step(f"layer {index + 1}: {cost.spec.text}", (), equations, inputs, outputs, marks))
    return tuple(steps)


def _output(cost: LayerCost, before: LayerCost | None) -> Calculation:
    del before
    sliding, lines = cost.spec.sliding, []
    for name, side, taps, output in zip(("rows", "columns"), cost.source, cost.window, cost.output, strict=False):
        space = f"({side} + 2·{sliding.padding} - {sliding.extent(taps)}) / {sliding.stride} + 1"
        lines.append(f"{name} = {space} = {output}")
    return (*lines, f"channels = {cost.output[2]}"), "O", cost.output


def _parameters(cost: LayerCost, before: LayerCost | None) -> Calculation:
    del before
    if not cost.learned:
        return (f"{cost.spec.kind} learns nothing: 0",), "P", (0, 0, 0)
    taps = f"{cost.window[0]}·{cost.window[1]}·{cost.source[2]}"
    total = cost.weights + cost.biases
    lines = (
        f"weights: {taps}·{cost.output[2]} = {count_text(cost.weights)}",
        f"({taps} + 1)·{cost.output[2]} = {count_text(total)}",
    )
    return lines, "P", (cost.weights, cost.biases, total)


def _multiply_adds(cost: LayerCost, before: LayerCost | None) -> Calculation:
    del before
    if not cost.learned:
        return (f"{cost.spec.kind} multiplies nothing: 0",), "M", (0,)
    left = f"({_product_text(cost.output)}) · ({cost.window[0]}·{cost.window[1]}·{cost.source[2]})"
    return (f"{left} = {count_text(cost.multiply_adds)}",), "M", (cost.multiply_adds,)


def _memory(cost: LayerCost, before: LayerCost | None) -> Calculation:
    del before
    output, parameters = _BYTES * cost.values, _BYTES * (cost.weights + cost.biases)
    lines = (
        f"output: {_product_text(cost.output)}·{_BYTES} = {_bytes_text(output)}",
        f"parameters: {cost.weights + cost.biases}·{_BYTES} = {_bytes_text(parameters)}",
    )
    return lines, "B", (output, parameters)


def _receptive_field(cost: LayerCost, before: LayerCost | None) -> Calculation:
    seen, jump = (before.receptive_field, before.jump) if before else ((1, 1), (1, 1))
    lines = []
    for axis, name in enumerate(("rows", "columns")):
        grown = seen[axis] + (cost.spec.sliding.extent(cost.window[axis]) - 1) * jump[axis]
        text = f"{name}: {seen[axis]} + ({cost.spec.sliding.extent(cost.window[axis])} - 1)·{jump[axis]} = {grown}"
        limited = grown != cost.receptive_field[axis]
        text += f", at most the input: {cost.receptive_field[axis]}" if limited else ""
        lines.append(f"{text}; J = {jump[axis]}·{cost.spec.sliding.stride} = {cost.jump[axis]}")
    return tuple(lines), "R", (*cost.receptive_field, *cost.jump)


def _total_step(costs: Sequence[LayerCost]) -> Step:
    parameters = [cost.weights + cost.biases for cost in costs]
    multiply_adds = [cost.multiply_adds for cost in costs]
    memory = [_BYTES * (cost.values + count) for cost, count in zip(costs, parameters, strict=True)]
    lines = (
        f"parameters: {_sum_text(parameters)}",
        f"multiply-adds: {_sum_text(multiply_adds)}",
        f"memory: {_bytes_text(sum(memory))}",
    )
    totals = [sum(parameters), sum(multiply_adds), sum(memory)]
    inputs: list[Cell] = [
        cell for name, column in (("P", 2), ("M", 0)) for cell in [(name, n, column) for n in range(len(costs))]
    ]
    outputs = tuple(zip(row_cells("Σ", 0, 3), map(float, totals), strict=True))
    return Step("all layers", (), lines, tuple(inputs), outputs)


def _sum_text(counts: Sequence[int]) -> str:
    left = " + ".join(map(str, counts))
    return f"{left} = {count_text(sum(counts))}" if len(counts) > 1 else count_text(sum(counts))


def _product_text(sides: Sequence[int]) -> str:
    """``14·14·48``."""
    return "·".join(map(str, sides))


def count_text(count: int) -> str:
    """``112896000 = 112.9 M``; small counts as they are."""
    for unit, letter in _UNITS:
        if count >= unit:
            return f"{count} = {count / unit:.1f} {letter}"
    return str(count)


def _bytes_text(count: int) -> str:
    return f"{count} bytes" + (f" = {count / 10**6:.1f} MB" if count >= 10**5 else "")


def _drawing(source: tuple[int, int, int], costs: Sequence[LayerCost]) -> Drawing:
    """The input, and around its center what one unit of each layer sees."""
    shapes = [_centered("input", source[:2], source[:2], "")]
    first = {_seen_name(cost): cost for cost in reversed(costs)}
    for name, cost in first.items():  # layers that see the same have one square
        shapes.append(_centered(name, source[:2], cost.receptive_field, f"{cost.spec.text}: {name}"))
    points = [point for shape in shapes for point in shape.points]
    margin = 0.04 * max(source[:2])
    left, top = (min(point[axis] for point in points) - margin for axis in range(2))
    right, bottom = (max(point[axis] for point in points) + margin for axis in range(2))
    return Drawing("The input, and what one unit of each layer sees of it", (left, top, right, bottom), tuple(shapes))


def _seen_name(cost: LayerCost) -> str:
    return format_shape(cost.receptive_field)


def _centered(name: str, image: Pair, size: Pair, label: str) -> Shape:
    left, top = (image[1] - size[1]) / 2, (image[0] - size[0]) / 2
    right, bottom = left + size[1], top + size[0]
    return Shape(name, "box", ((left, top), (right, top), (right, bottom), (left, bottom)), label)
