"""Boxes as what is regressed: how far the center moves, in widths and heights of a first box, and the logarithms of how
much the sides grow.

Girshick, Donahue, Darrell, Malik 2014, "Rich feature hierarchies for accurate object detection and semantic
segmentation", appendix C, equations 1 to 10.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

LARGEST_SCALE = math.log(1000 / 16)
"""What later programs let a logarithm be at most: a box of 16 pixels becomes one of 1000."""


@final
@dataclass(frozen=True)
class BoxCoder:
    """Boxes (..., 4) of left, top, right and bottom to deltas (..., 4) of x, y, width and height, and back.

    ``extra`` is what a width has more than right - left: 1 in the first programs, in which both columns of pixels
    belong to a box, and 0 where edges are positions. Deltas are divided by ``deviations``, so that all four have a
    variance near 1. Logarithms above ``largest`` count as that.
    """

    extra: float = 0.0
    deviations: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)
    largest: float = math.inf

    def encode(self, boxes: Tensor, targets: Tensor) -> Tensor:
        """The deltas that turn boxes into their targets, of the same shape (..., 4)."""
        sides, centers = self._sides_and_centers(boxes)
        target_sides, target_centers = self._sides_and_centers(targets)
        deltas = torch.cat(((target_centers - centers) / sides, (target_sides / sides).log()), -1)
        return deltas / deltas.new_tensor(self.deviations)

    def decode(self, boxes: Tensor, deltas: Tensor) -> Tensor:
        """The boxes that deltas turn boxes into, of shapes (..., 4) that broadcast: the edges of boxes, so that what
        was encoded with an ``extra`` of 1 has its right and bottom edge 1 farther than the target's last pixel.
        """
        sides, centers = self._sides_and_centers(boxes)
        shift, growth = (deltas * deltas.new_tensor(self.deviations)).chunk(2, -1)
        centers = centers + shift * sides
        half = 0.5 * sides * growth.clamp(max=self.largest).exp()
        return torch.cat((centers - half, centers + half), -1)

    def _sides_and_centers(self, boxes: Tensor) -> tuple[Tensor, Tensor]:
        sides = boxes[..., 2:] - boxes[..., :2] + self.extra
        return sides, boxes[..., :2] + 0.5 * sides


def clip_boxes(boxes: Tensor, size: tuple[int, int], extra: float = 0.0) -> Tensor:
    """Boxes (..., 4) cut at the edges of an image of a ``size`` (height, width), or with an ``extra`` of 1 at its last
    pixels.
    """
    most = boxes.new_tensor((size[1], size[0])) - extra
    corners = torch.unflatten(boxes, -1, (2, 2))
    return torch.minimum(corners.clamp(min=0), most).flatten(-2)
