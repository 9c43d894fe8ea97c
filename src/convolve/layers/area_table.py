"""Means over rectangles of an image, from sums over all that is above and to the left (a summed-area table).

Crow 1984, "Summed-area tables for texture mapping".
"""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

_MOST = 2**31 // 255
"""Pixels whose sum has room in 32 bits."""


@final
class AreaTable:
    """The sums of an image (C, H, W) of whole numbers from 0 to 255; ``size`` is (height, width)."""

    def __init__(self, image: Tensor) -> None:
        self.size = (image.shape[1], image.shape[2])
        kind = torch.int32 if self.size[0] * self.size[1] < _MOST else torch.int64
        sums = image.to(kind).permute(1, 2, 0).cumsum(0, dtype=kind).cumsum(1, dtype=kind)
        self._sums = torch.nn.functional.pad(sums, (0, 0, 1, 0, 1, 0))

    def means(self, boxes: Tensor, side: int) -> Tensor:
        """(K, C, side, side) the parts in boxes (K, 4) of whole left, top, right, bottom, resized by means over areas,
        as torch's `adaptive_avg_pool2d` does: each starts and ends at whole pixels, and neighbors may share some.
        """
        step = torch.arange(side, device=boxes.device)
        extents = (boxes[:, 2:] - boxes[:, :2])[:, :, None]
        starts = boxes[:, :2, None] + step * extents // side
        ends = boxes[:, :2, None] - (-(step + 1) * extents // side)
        left, top, right, bottom = starts[:, 0, None], starts[:, 1, :, None], ends[:, 0, None], ends[:, 1, :, None]
        sums = self._sums[bottom, right] - self._sums[top, right] - self._sums[bottom, left] + self._sums[top, left]
        areas = (bottom - top) * (right - left)
        return (sums / areas[..., None]).permute(0, 3, 1, 2)
