"""A border of the image's own mirror.

Ronneberger, Fischer, Brox 2015, "U-Net", figure 2: what lies beyond the image is extrapolated by mirroring.
"""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn


@final
class Mirrored(nn.Module):
    """``border`` pixels on every side, and behind the last ones more until each side is ``base`` + n ``step`` long.

    (N, channels, H, W) give (N, channels, H + 2 border + …, W + 2 border + …). The outermost pixels are not repeated;
    where an image is smaller than its border, it is mirrored to and fro.
    """

    def __init__(self, border: int, step: int, base: int) -> None:
        super().__init__()
        self.border, self.step, self.base = border, step, base

    def forward(self, images: Tensor) -> Tensor:
        """(N, channels, H, W) to the same with its border."""
        rows, columns = (self._places(side, images.device) for side in images.shape[2:])
        return images.index_select(2, rows).index_select(3, columns)

    def length(self, side: int) -> int:
        """How long a side of the image becomes."""
        steps = -(-(side + 2 * self.border - self.base) // self.step)
        return self.base + max(1, steps) * self.step

    def _places(self, side: int, device: torch.device) -> Tensor:
        """Which of the image's rows or columns stands where."""
        there_and_back = max(1, 2 * (side - 1))
        places = torch.arange(-self.border, self.length(side) - self.border, device=device) % there_and_back
        return torch.minimum(places, there_and_back - places)
