"""The figures of the chapter on segmentation; sizes are those of the networks, sums are computed."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from drawing import Sheet, arrow, box, matrix, sheet, text
from matplotlib.figure import Figure

from convolve.models.unet import WIDTHS
from convolve.reports.colors import MUTED, RIGHT, WRONG

VALUES, KERNEL, STRIDE = (1, 2, 3), np.array([1, 2, 1]), 2
TRUE = np.zeros((4, 4), int)
TRUE[1:3, :3] = 1
PREDICTED = np.roll(TRUE, 1, axis=1)
TILE = 572
"""Side of U-Net's input, in pixels."""
MAPS = ((8, 88, 70, 8), (16, 44, 34, 2), (32, 16, 16, 2))
"""FCN-8s on VGG-16 at 500x500: stride, side of the scores, of what remains of them, factor of enlargement."""


def transposed() -> Figure:
    """Each input writes its multiple of the kernel, two cells further on; the sum of all."""
    length = (len(VALUES) - 1) * STRIDE + len(KERNEL)
    on = sheet(length + 3.2, len(VALUES) + 2.4)
    total = np.zeros(length, int)
    for row, value in enumerate(VALUES):
        start = row * STRIDE
        matrix(on, (0.2, row + 0.2), [[value]], {(0, 0): RIGHT})
        text(on, (1.8, row + 0.7), "× 1 2 1", MUTED, 8)
        matrix(on, (2.9 + start, row + 0.2), [value * KERNEL])
        total[start : start + len(KERNEL)] += value * KERNEL
    shared = {(0, column): WRONG for column in range(STRIDE, length - 1, STRIDE)}
    text(on, (2.3, len(VALUES) + 1.2), "+", MUTED, 12)
    matrix(on, (2.9, len(VALUES) + 0.7), [total], shared)
    return on.figure


def overlap() -> Figure:
    """The true region, the predicted one, and both, of which the common pixels are blue and the others orange."""
    on = sheet(15.4, 5.4)
    for column, (name, region) in enumerate((("A", TRUE), ("B", PREDICTED), ("A ∩ B, A ∪ B", TRUE + PREDICTED))):
        left = 0.4 + 5.2 * column
        text(on, (left + 2, 0.5), name)
        for row, index in np.ndindex(4, 4):
            value = region[row, index]
            color = None if value == 0 else RIGHT if column < 2 or value == 2 else WRONG
            box(on, (left + index, row + 1), (1, 1), color)
    return on.figure


def unet_sides() -> tuple[list[int], list[int]]:
    """The sides of U-Net's maps at the end of each stage: on the way down, and from the second-lowest up."""
    down: list[int] = []
    side = TILE
    for _ in WIDTHS:
        side -= 4
        down.append(side)
        side //= 2
    up: list[int] = []
    side = down[-1]
    for _ in WIDTHS[1:]:
        side = 2 * side - 4
        up.append(side)
    return down, up


def unet() -> Figure:
    """The maps on the way down and up, and the arrows across."""
    down, up = unet_sides()
    on = sheet(19, 11.4)
    left = [(0.3 + 1.0 * row, 0.3 + 2.25 * row) for row in range(len(WIDTHS))]
    right = [(14.9 - 1.0 * row, y) for row, (_, y) in enumerate(left[:-1])]
    for (x, y), width, side in zip(left, WIDTHS, down, strict=True):
        _map(on, (x, y), width, side, RIGHT)
    for (x, y), width, side in zip(right, WIDTHS, reversed(up), strict=False):
        _map(on, (x, y), width, side, WRONG)
    for (x, y), (_, below) in pairwise(left):
        arrow(on, (x + 2.4, y + 1.2), (x + 2.4, below))
    bottom = left[-1]
    arrow(on, (bottom[0] + 3.8, bottom[1] + 0.4), (right[-1][0] + 0.9, right[-1][1] + 1.2), WRONG)
    for (x, y), (_, above) in pairwise(reversed(right)):
        arrow(on, (x + 1.9, y), (x + 1.9, above + 1.2), WRONG)
    for (x, y), (end, _) in zip(left, right, strict=False):
        arrow(on, (x + 3.8, y + 0.6), (end, y + 0.6))
    return on.figure


def fcn() -> Figure:
    """FCN-8s: the maps of three strides, their scores, and how sums go on to the finer one."""
    on = sheet(19, 9.6)
    text(on, (1.9, 0.4), "stride", MUTED, 8)
    text(on, (8.2, 0.4), "1×1", MUTED, 8)
    for row, (stride, side, kept, factor) in enumerate(MAPS):
        y = 1.0 + 3.0 * row
        text(on, (0.7, y + 0.6), str(stride))
        box(on, (1.5, y), (4.4, 1.2), RIGHT)
        text(on, (3.7, y + 0.6), ("pool3", "pool4", "fc7")[row])
        arrow(on, (5.9, y + 0.6), (7.0, y + 0.6))
        box(on, (7.0, y), (3.2, 1.2))
        text(on, (8.6, y + 0.6), f"{side}×{side}")
        if row < 2:
            arrow(on, (10.2, y + 0.6), (11.4, y + 0.6))
            text(on, (12.0, y + 0.6), "+", WRONG, 14)
            text(on, (14.3, y + 0.6), f"{kept}×{kept}")
        if row:
            start = (12.0, y) if row == 1 else (8.6, y)
            end = (12.0, y - 1.9) if row == 1 else (11.6, y - 1.9)
            arrow(on, start, end, WRONG)
            text(on, (start[0] + (0.8 if row == 1 else 2.8), y - 0.9), f"×{factor}", WRONG)
    arrow(on, (15.7, 1.6), (16.8, 1.6), WRONG)
    text(on, (16.3, 1.0), "×8", WRONG)
    text(on, (17.9, 1.6), "500×500")
    return on.figure


def _map(on: Sheet, at: tuple[float, float], width: int, side: int, color: str) -> None:
    box(on, at, (3.8, 1.2), color)
    text(on, (at[0] + 1.9, at[1] + 0.6), f"{width}×{side}×{side}", size=8)


FIGURES: dict[str, Callable[[], Figure]] = {
    "segmentation-transposed.svg": transposed,
    "segmentation-iou.svg": overlap,
    "segmentation-unet.svg": unet,
    "segmentation-fcn.svg": fcn,
}
