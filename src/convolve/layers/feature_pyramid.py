"""A pyramid of maps that are all equally wide, each with what the coarser ones know.

Lin, Dollár, Girshick, He, Hariharan, Belongie 2017, "Feature pyramid networks for object detection", section 3 and
figure 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast, final

from torch import Tensor, nn
from torch.nn import functional as F

from convolve.layers.description import Series


@final
class FeaturePyramid(nn.Module):
    """Maps of the ``channels`` given, fine to coarse, to as many of ``width`` channels, and a coarser one: each second
    unit of the last.

    The coarser map is enlarged to the size of the finer one, whose 1x1 convolution is added to it; 3x3 convolutions
    follow.
    """

    def __init__(self, channels: Sequence[int], width: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(each, width, 1) for each in channels)
        self.output = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in channels)
        for layer in [*self.lateral, *self.output]:
            convolution = cast(nn.Conv2d, layer)
            nn.init.kaiming_uniform_(convolution.weight, a=1)
            nn.init.zeros_(cast(Tensor, convolution.bias))

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """(N, C, H, W) maps to (N, width, H, W) maps and one more."""
        found: list[Tensor] = []
        merged: Tensor | None = None
        for level in reversed(range(len(maps))):
            lateral: Tensor = self.lateral[level](maps[level])
            merged = lateral if merged is None else lateral + F.interpolate(merged, size=lateral.shape[2:])
            found.insert(0, self.output[level](merged))
        return [*found, F.max_pool2d(found[-1], 1, 2)]

    def describe(self) -> Series:
        """Its layers, as if one after the other."""
        count = len(self.lateral)
        return Series(tuple(f"{part}.{level}" for level in reversed(range(count)) for part in ("lateral", "output")))
