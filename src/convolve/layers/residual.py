"""Residual learning.

He, Zhang, Ren, Sun 2015, "Deep residual learning for image recognition", section 3.1 to 3.3.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import final

from torch import Tensor, nn


@final
class Residual(nn.Module):
    """y = relu(branch(x) + shortcut(x)), equations 1 and 2; ``channels`` is what leaves it.

    The sum is written into the branch's result, so the branch has to end in a layer that does not need its own
    output for its gradient (batch normalization and convolution do not).
    """

    def __init__(self, branch: nn.Module, shortcut: nn.Module, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.branch = branch
        self.shortcut = shortcut
        self.relu = nn.ReLU(inplace=True)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, H, W) maps to (N, channels, H / stride, W / stride)."""
        merged: Tensor = self.relu(self.branch(maps).add_(self.shortcut(maps)))
        return merged


def projection(channels: int, outputs: int, stride: int) -> nn.Module:
    """Option B of section 4.1: a strided 1x1 convolution where the shape changes, else the identity.

    Shape: (N, channels, H, W) -> (N, outputs, H / stride, W / stride)
    """
    if channels == outputs and stride == 1:
        return nn.Identity()
    conv = nn.Conv2d(channels, outputs, 1, stride, bias=False)
    return nn.Sequential(OrderedDict(conv=conv, norm=nn.BatchNorm2d(outputs)))
