"""The positions of a sliding window, and how many there are: OH = (H + 2P - FH) / S + 1; slides "특징맵의 크기변화"
(the size of feature maps). One dimension is treated as two with a height of 1.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from convolve.from_scratch.arrays import Array
from convolve.from_scratch.traces.trace import Phase, Step, Trace, format_number, input_grid, result_grid, value_step
from convolve.from_scratch.windows import Sliding, output_size

Pair = tuple[int, int]


@dataclass(frozen=True)
class WindowPositions:
    """A ``kernel`` that slides over an input of ``size``, each (rows, columns), by ``down`` and ``right``."""

    size: Pair
    kernel: Pair
    down: Sliding
    right: Sliding

    @property
    def output(self) -> Pair:
        """(OH, OW). Raises `ValueError` where the window does not fit."""
        return (
            output_size(self.size[0], self.kernel[0], self.down),
            output_size(self.size[1], self.kernel[1], self.right),
        )

    @property
    def border(self) -> Pair:
        """Rows of padding above (and below), columns of padding on the left (and on the right)."""
        return self.down.padding, self.right.padding

    def cell(self, position: Pair, tap: Pair) -> Pair:
        """The cell, counted in the padded input, that a tap of the kernel reads at a position of the window."""
        return (
            self.down.stride * position[0] + self.down.dilation * tap[0],
            self.right.stride * position[1] + self.right.dilation * tap[1],
        )

    def uses(self) -> Mapping[Pair, Sequence[tuple[Pair, Pair]]]:
        """For each cell of the padded input, every (position, tap) that reads it."""
        uses: dict[Pair, list[tuple[Pair, Pair]]] = defaultdict(list)
        for i, j, u, v in np.ndindex(*self.output, *self.kernel):
            uses[self.cell((i, j), (u, v))].append(((i, j), (u, v)))
        return uses


def size_trace(size: Array, kernel: Array, sliding: Sliding) -> Trace:
    """``size`` and ``kernel`` (1, 2): rows and columns of the input and of the window, whole numbers. Raises
    `ValueError` where the window does not fit.
    """
    extent = f"{sliding.dilation}(F - 1) - 1" if sliding.dilation > 1 else "F"
    steps = tuple(_size_step(axis, size[0, axis], kernel[0, axis], sliding) for axis in range(2))
    phase = Phase("The output's rows and columns", f"O = (H + 2P - {extent}) / S + 1, rounded down", steps)
    grids = input_grid("H", "input: rows, columns", size), input_grid("F", "window: rows, columns", kernel)
    return Trace(
        "Size of a feature map", (*grids, result_grid("O", "output: rows, columns", (1, 2), [phase])), (phase,)
    )


def _size_step(axis: int, side: float, window: float, sliding: Sliding) -> Step:
    output = output_size(int(side), int(window), sliding)
    extent = format_number(window)
    if sliding.dilation > 1:
        extent = f"{sliding.dilation}·({extent} - 1) - 1"
    exact = (side + 2 * sliding.padding - sliding.dilation * (window - 1) - 1) / sliding.stride + 1
    rounded = f"{output}" if exact == output else f"{format_number(exact)}, rounded down: {output}"
    text = f"({format_number(side)} + 2·{sliding.padding} - {extent}) / {sliding.stride} + 1 = {rounded}"
    return value_step(("O", 0, axis), output, text, [("H", 0, axis), ("F", 0, axis)], vector=True)
