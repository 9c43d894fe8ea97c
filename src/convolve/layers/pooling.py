"""Poolings that torch lacks.

Its own follow the rules of other frameworks when asked to: with `ceil_mode`, sizes and windows of maximum and average
pooling are those of Caffe and cuda-convnet, which round up.
"""

from __future__ import annotations

from typing import final

from torch import Tensor, nn
from torch.nn import functional as F


@final
class MinPool2d(nn.Module):
    """The least value of each window, as the lectures compare it with maximum and average pooling.

    Shape: (N, channels, H, W) -> (N, channels, H / 2, W / 2)
    """

    def __init__(self, kernel_size: int = 2, stride: int = 2, *, ceil_mode: bool = False) -> None:
        super().__init__()
        self.kernel_size, self.stride, self.ceil_mode = kernel_size, stride, ceil_mode

    def forward(self, maps: Tensor) -> Tensor:
        """(N, channels, H, W) to the minima of the windows."""
        return -F.max_pool2d(-maps, self.kernel_size, self.stride, ceil_mode=self.ceil_mode)
