"""The shortcuts that residual networks were compared with, beside the projection of `convolve.layers.residual`.

He, Zhang, Ren, Sun 2015, "Deep residual learning for image recognition", section 4.1, "Identity vs. projection
shortcuts".
"""

from __future__ import annotations

from collections import OrderedDict
from typing import final

from torch import Tensor, nn
from torch.nn import functional as F


@final
class ZeroPadded(nn.Module):
    """Every ``stride``-th pixel, with ``extra`` channels of zeros after its own."""

    def __init__(self, extra: int, stride: int) -> None:
        super().__init__()
        self.extra = extra
        self.pool = nn.AvgPool2d(1, stride)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, H, W) maps to (N, C + extra, H / stride, W / stride)."""
        return F.pad(self.pool(maps), (0, 0, 0, 0, 0, self.extra))


def zero_padded(channels: int, outputs: int, stride: int) -> nn.Module:
    """Option A: without parameters; zeros in the place of new channels.

    Shape: (N, channels, H, W) -> (N, outputs, H / stride, W / stride)
    """
    if channels == outputs and stride == 1:
        return nn.Identity()
    return ZeroPadded(outputs - channels, stride)


def always_projected(channels: int, outputs: int, stride: int) -> nn.Module:
    """Option C: a 1x1 convolution with batch normalization on every shortcut.

    Shape: (N, channels, H, W) -> (N, outputs, H / stride, W / stride)
    """
    conv = nn.Conv2d(channels, outputs, 1, stride, bias=False)
    return nn.Sequential(OrderedDict(conv=conv, norm=nn.BatchNorm2d(outputs)))
