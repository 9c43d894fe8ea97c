"""The size of a feature map, OH = (H + 2P - FH) / S + 1; slides "특징맵의 크기변화" (the size of feature maps)."""

from __future__ import annotations

from collections.abc import Iterator

from convolve.from_scratch.arrays import Array
from convolve.from_scratch.steps.values import Part, Step, Walk, given, made
from convolve.from_scratch.steps.wording import number
from convolve.from_scratch.steps.writing import written
from convolve.from_scratch.windows import Sliding, output_size


def size_walk(size: Array, kernel: Array, sliding: Sliding) -> Walk:
    """``size`` and ``kernel`` (1, 2): rows and columns of the input and of the window, in whole numbers. Raises
    `ValueError` where the window does not fit.
    """
    steps = tuple(_sides(size, kernel, sliding))
    dilated = f"{sliding.dilation}(F - 1) - 1" if sliding.dilation > 1 else "F"
    part = Part("The output's rows and columns", f"O = (H + 2P - {dilated}) / S + 1, rounded down", steps)
    grids = given("H", "input: rows, columns", size), given("F", "window: rows, columns", kernel)
    return Walk("Size of a feature map", (*grids, made("O", "output: rows, columns", (1, 2), (part,))), (part,))


def _sides(size: Array, kernel: Array, sliding: Sliding) -> Iterator[Step]:
    for axis, (side, window) in enumerate(zip(size[0].tolist(), kernel[0].tolist(), strict=True)):
        output = output_size(int(side), int(window), sliding)
        reach = number(window)
        if sliding.dilation > 1:
            reach = f"{sliding.dilation}·({reach} - 1) - 1"
        places = (side + 2 * sliding.padding - sliding.dilation * (window - 1) - 1) / sliding.stride
        down = "" if places == int(places) else f" = {number(places + 1)}, rounded down: {output}"
        text = f"({number(side)} + 2·{sliding.padding} - {reach}) / {sliding.stride} + 1" + (down or f" = {output}")
        yield written(("O", 0, axis), output, text, [("H", 0, axis), ("F", 0, axis)], line=True)
