"""Trainable sub-sampling.

LeCun et al. 1990, "Handwritten digit recognition with a back-propagation network"; LeCun, Bottou, Bengio, Haffner 1998,
"Gradient-based learning applied to document recognition", section II.B, layer S2.
"""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@final
class Subsampling(nn.Module):
    """The four values of each 2x2 window added, times a coefficient, plus a bias; one of each is learned per map.

    Shape: (N, channels, H, W) -> (N, channels, H / 2, W / 2)

    It starts as the mean. The stretching that follows in the papers is a layer of its own.
    """

    kernel_size = 2
    stride = 2

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels, 1, 1), 0.25))
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, maps: Tensor) -> Tensor:
        """(N, channels, H, W) to (N, channels, H / 2, W / 2), rounded down."""
        added = F.avg_pool2d(maps, self.kernel_size, divisor_override=1)
        return added * self.weight + self.bias
