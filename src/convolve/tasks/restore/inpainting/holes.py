"""Holes that are drawn to learn from: strokes of a brush, and rectangles.

Strokes as in Yu, Lin, Yang, Shen, Lu, Huang 2019, "Free-form image inpainting with gated convolution", algorithm 1: a
brush turns to alternating sides at each vertex. Their sizes are fractions of the side of what is learned from, so that
an image of another size gets more of them and not larger ones.
"""

from __future__ import annotations

import math
import zlib

import cv2
import numpy as np
import numpy.typing as npt

from convolve.values import Flags, Pixels

_VERTICES = (2, 6)
_LENGTH, _WIDTH = (0.05, 0.25), (0.03, 0.12)
_RECTANGLE = (0.1, 0.35)
"""Of the side: the brush's way between two vertices, its width, and the sides of a rectangle."""
_RECTANGLES = 0.3
"""How likely a part of a hole is a rectangle."""


def draw_hole(shape: tuple[int, int], fraction: float, side: int, random: np.random.Generator) -> Flags:
    """(H, W) true in a hole. It covers ``fraction`` of the image on average, drawn evenly from half of that to one and
    a half, and a little more where its last part crosses that; at least one pixel stays known.
    """
    hole = np.zeros(shape, np.uint8)
    wanted = random.uniform(0.5, 1.5) * fraction * hole.size
    while np.count_nonzero(hole) < wanted:
        draw = _draw_rectangle if random.random() < _RECTANGLES else _draw_stroke
        draw(hole, side, random)
    if hole.all():
        hole[random.integers(shape[0]), random.integers(shape[1])] = 0
    return hole.astype(bool)


def hole_of(image: Pixels, fraction: float, side: int) -> Flags:
    """The hole (H, W) that an image (H, W, C) is evaluated with: the same whenever it is."""
    seed = zlib.crc32(np.ascontiguousarray(image).tobytes())
    return draw_hole((image.shape[0], image.shape[1]), fraction, side, np.random.default_rng(seed))


def _draw_stroke(hole: npt.NDArray[np.uint8], side: int, random: np.random.Generator) -> None:
    height, width = hole.shape
    x, y = random.uniform(0, width), random.uniform(0, height)
    brush = max(1, round(random.uniform(*_WIDTH) * side))
    angle, turn = random.uniform(0, 2 * math.pi), random.uniform(math.pi / 15, 2 * math.pi / 5)
    for number in range(random.integers(*_VERTICES) + 1):
        towards = angle + turn * random.uniform(0.5, 1.5) * (math.pi if number % 2 else 0)
        length = random.uniform(*_LENGTH) * side
        end_x = min(max(x + length * math.cos(towards), 0), width - 1)
        end_y = min(max(y + length * math.sin(towards), 0), height - 1)
        cv2.line(hole, (int(x), int(y)), (int(end_x), int(end_y)), 1, brush)
        x, y = end_x, end_y


def _draw_rectangle(hole: npt.NDArray[np.uint8], side: int, random: np.random.Generator) -> None:
    height, width = (max(1, round(random.uniform(*_RECTANGLE) * side)) for _ in range(2))
    top, left = random.integers(hole.shape[0]), random.integers(hole.shape[1])
    hole[top : top + height, left : left + width] = 1
