"""Convolutions of images with holes.

Liu, Reda, Shih, Wang, Tao, Catanzaro 2018, "Image inpainting for irregular holes using partial convolutions", section
3.1.

A value that is not known is nan, in an image as in a map: so each map carries its own mask.
"""

from __future__ import annotations

from functools import reduce
from typing import cast, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def known(values: Tensor) -> Tensor:
    """(N, channels, H, W) to (N, 1, H, W): whether a position is known, in all channels or in none."""
    return ~values[:, :1].isnan()


@final
class PartialConvolution(nn.Module):
    """A convolution of the known values, divided by the fraction of its window that is known (equation 1), whose output
    is known where any value was (equation 2). Zero padding is not known, as in the authors' program.

    Reads one or more maps as if they were concatenated, by a convolution for each and one bias: (N, channels, H, W) of
    each give (N, width, H/stride, W/stride).
    """

    def __init__(self, channels: tuple[int, ...], width: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.parts = nn.ModuleList(
            nn.Conv2d(each, width, kernel, stride, padding=kernel // 2, bias=number == 0)
            for number, each in enumerate(channels)
        )

    def convolutions(self) -> list[nn.Conv2d]:
        """The convolution of each map; the first one's bias is that of all."""
        return [cast(nn.Conv2d, part) for part in self.parts]

    def forward(self, *maps: Tensor) -> Tensor:
        """Maps of one size to the convolution, nan where nothing in its window is known."""
        masks = [known(values) for values in maps]
        parts = self.convolutions()
        pairs = list(zip(parts, maps, masks, strict=True))
        total = reduce(torch.add, [part(torch.where(mask, values, 0)) for part, values, mask in pairs])
        found = reduce(torch.add, [part.in_channels * _count(mask, part) for part, _, mask in pairs])
        size = sum(part.weight[0].numel() for part in parts)
        bias = cast(Tensor, parts[0].bias)[:, None, None]
        scaled = (total - bias) * (size / found.clamp(min=1)) + bias
        return torch.where(found > 0, scaled, torch.nan)


def _count(mask: Tensor, part: nn.Conv2d) -> Tensor:
    """(N, 1, H, W) to (N, 1, H', W'): how many positions are known in each window of a convolution, in 32 bits, as 16
    would lose whole numbers.
    """
    ones = mask.to(torch.float32)
    return F.avg_pool2d(ones, part.kernel_size, part.stride, part.padding, divisor_override=1)  # type: ignore[arg-type]


@final
class OfKnown(nn.Module):
    """Layers that compute each value from those of its own position and channel, such as batch normalization and ReLU,
    on a map with unknown values: these are zero meanwhile, as in the authors' program, and unknown afterwards.

    (N, channels, H, W) give (N, channels, H, W).
    """

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, values: Tensor) -> Tensor:
        """As the layers have it."""
        mask = known(values)
        return torch.where(mask, self.layers(torch.where(mask, values, 0)), torch.nan)


@final
class MaskChannel(nn.Module):
    """For networks of usual convolutions: what is unknown becomes zero, and a last channel is one where it was known.

    (N, channels, H, W) give (N, channels + 1, H, W).
    """

    def forward(self, values: Tensor) -> Tensor:
        """The image and its mask."""
        mask = known(values)
        joined = torch.cat([torch.where(mask, values, 0), mask.to(values.dtype)], 1)
        return joined.contiguous(memory_format=torch.channels_last)
