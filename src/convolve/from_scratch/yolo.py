"""From the outputs of one cell of YOLO's grid to boxes and scores, as the three versions do.

Slides "Predictions on a grid" (the descriptor t_x, t_y, t_w, t_h, c_1 … c_4, p_obj of a box) and "Yolo". Redmon et al.
2016 (v1), Redmon and Farhadi 2017 (v2) and 2018 (v3). The image is a grid of square cells, ``side`` pixels wide.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from convolve.from_scratch.activations import sigmoid_forward
from convolve.from_scratch.arrays import Array
from convolve.from_scratch.losses import softmax_forward


class Cell(NamedTuple):
    """Its row and column from 0, the cells along each side of the image, and the ``side`` of one in pixels."""

    row: int
    column: int
    cells: int
    side: float

    def corner(self, t: Array) -> Array:
        """Column and row (2,), in the number format of t."""
        return np.array([self.column, self.row], t.dtype)


def decode_v1(t: Array, cell: Cell) -> Array:
    """Centers and sizes (B, 4) in pixels of outputs t (B, 4): the center in the cell, and the square root of the
    sides, of which 1 is the whole image. All outputs are linear.
    """
    center = (t[:, :2] + cell.corner(t)) * cell.side
    return np.concatenate([center, t[:, 2:] ** 2 * (cell.cells * cell.side)], axis=1)


def decode_v2(t: Array, cell: Cell, anchors: Array) -> Array:
    """Centers and sizes (B, 4) in pixels of outputs t (B, 4): a sigmoid keeps the center inside of the cell, and
    e^t scales the sides of the box's anchor (B, 2), in pixels. v3 does the same.
    """
    center = (sigmoid_forward(t[:, :2])[0] + cell.corner(t)) * cell.side
    return np.concatenate([center, np.exp(t[:, 2:]) * anchors], axis=1)


def v1_scores(c: Array, objectness: Array) -> Array:
    """Scores (B, C) of classes c (B, C) and objectness (B,), which are probabilities as they are."""
    return c * objectness[:, None]


def v2_scores(c: Array, objectness: Array) -> Array:
    """Scores (B, C): a softmax over the classes, each times the objectness, a sigmoid."""
    return softmax_forward(c)[0] * sigmoid_forward(objectness)[0][:, None]


def v3_scores(c: Array, objectness: Array) -> Array:
    """Scores (B, C): a sigmoid for each class by itself, so that a box may have several."""
    return sigmoid_forward(c)[0] * sigmoid_forward(objectness)[0][:, None]


def corners(boxes: Array) -> Array:
    """Left, top, right, bottom (B, 4) of centers and sizes (B, 4)."""
    center, half = boxes[:, :2], boxes[:, 2:] / 2
    return np.concatenate([center - half, center + half], axis=1)
