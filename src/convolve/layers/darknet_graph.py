"""Layers that only a Darknet `.cfg` has.

Every map has four axes here, also what a connected layer or a global average gives: (N, outputs, 1, 1).
"""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def darknet_norm(channels: int) -> nn.BatchNorm2d:
    """Batch normalization, with which published weights give the same outputs to 3e-5.

    Deviations: the program adds 1e-6 to the deviation, here 1e-6 is added to the variance; with 1e-5, as the program
    has it on GPUs, outputs are 4e-4 apart. In training the program divides by n - 1 to find a batch's variance, here as
    on GPUs by n. A batch adds 0.1 to the running statistics, not 0.01, with which the first few hundred batches cannot
    be evaluated.
    """
    return nn.BatchNorm2d(channels, eps=1e-6)


@final
class Connected(nn.Module):
    """A dense layer on all values of a map, channel by channel.

    Shape: (N, channels, H, W) -> (N, outputs, 1, 1)
    """

    def __init__(self, inputs: int, outputs: int, *, normalized: bool) -> None:
        super().__init__()
        self.dense = nn.Linear(inputs, outputs, bias=not normalized)
        self.norm = darknet_norm(outputs) if normalized else nn.Identity()

    def forward(self, maps: Tensor) -> Tensor:
        """(N, channels, H, W) to (N, outputs, 1, 1)."""
        outputs: Tensor = self.norm(self.dense(maps.flatten(1))[:, :, None, None])
        return outputs


@final
class Upsample(nn.Module):
    """Every value is repeated ``factor`` times in both directions, and multiplied by ``scale``."""

    def __init__(self, factor: int, scale: float) -> None:
        super().__init__()
        self.factor, self.scale = factor, scale

    def forward(self, maps: Tensor) -> Tensor:
        """(N, channels, H, W) to (N, channels, factor H, factor W)."""
        larger = F.interpolate(maps, scale_factor=float(self.factor), mode="nearest")
        return larger if self.scale == 1 else larger * self.scale


@final
class Route(nn.Module):
    """Maps next to each other; with ``groups`` only the part ``group`` of the channels of each."""

    def __init__(self, groups: int, group: int) -> None:
        super().__init__()
        self.groups, self.group = groups, group

    def forward(self, *maps: Tensor) -> Tensor:
        """Maps (N, channels, H, W) to one with the channels of all."""
        parts = [each.chunk(self.groups, 1)[self.group] for each in maps]
        return torch.cat(parts, 1) if len(parts) > 1 else parts[0]


@final
class Shortcut(nn.Module):
    """A sum of two maps, then an activation; channels that only one of them has are the first one's, or left out."""

    def __init__(self, activation: nn.Module) -> None:
        super().__init__()
        self.activation = activation

    def forward(self, maps: Tensor, other: Tensor) -> Tensor:
        """(N, channels, H, W) and (N, others, H, W) to (N, channels, H, W)."""
        missing = maps.shape[1] - other.shape[1]
        if missing:
            other = F.pad(other, (0, 0, 0, 0, 0, missing))  # by a negative number: shortened
        total: Tensor = self.activation(maps + other)
        return total
