"""Residual learning, and the three kinds of shortcuts.

He, Zhang, Ren, Sun 2015, "Deep residual learning for image recognition", sections 3.1 to 3.3 and section 4.1, "Identity
vs. projection shortcuts".
"""

from __future__ import annotations

from collections import OrderedDict
from typing import final

from torch import Tensor, nn
from torch.nn import functional as F

from convolve.layers.description import Series, Skip


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

    def describe(self) -> Skip:
        """A branch with a skip."""
        return Skip("branch")


@final
class LinearResidual(nn.Module):
    """y = x + branch(x), as in Darknet-53 (Redmon, Farhadi 2018, Table 1): nothing follows the sum."""

    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, H, W) maps to the same shape."""
        merged: Tensor = maps + self.branch(maps)
        return merged

    def describe(self) -> Skip:
        """A branch with a skip."""
        return Skip("branch")


@final
class ZeroPadShortcut(nn.Module):
    """Every ``stride``-th pixel, followed by ``extra`` channels of zeros."""

    def __init__(self, extra: int, stride: int) -> None:
        super().__init__()
        self.extra = extra
        self.pool = nn.AvgPool2d(1, stride)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, H, W) maps to (N, C + extra, H / stride, W / stride)."""
        return F.pad(self.pool(maps), (0, 0, 0, 0, 0, self.extra))

    def describe(self) -> Series:
        """Its pooling."""
        return Series(("pool",))


def zero_padding(channels: int, outputs: int, stride: int) -> nn.Module:
    """Option A: without parameters; new channels are zeros.

    Shape: (N, channels, H, W) -> (N, outputs, H / stride, W / stride)
    """
    if channels == outputs and stride == 1:
        return nn.Identity()
    return ZeroPadShortcut(outputs - channels, stride)


def projection(channels: int, outputs: int, stride: int) -> nn.Module:
    """Option B: a strided 1x1 convolution where the shape changes, else the identity.

    Shape: (N, channels, H, W) -> (N, outputs, H / stride, W / stride)
    """
    if channels == outputs and stride == 1:
        return nn.Identity()
    return projection_always(channels, outputs, stride)


def projection_always(channels: int, outputs: int, stride: int) -> nn.Module:
    """Option C: a 1x1 convolution with batch normalization on every shortcut.

    Shape: (N, channels, H, W) -> (N, outputs, H / stride, W / stride)
    """
    conv = nn.Conv2d(channels, outputs, 1, stride, bias=False)
    return nn.Sequential(OrderedDict(conv=conv, norm=nn.BatchNorm2d(outputs)))
