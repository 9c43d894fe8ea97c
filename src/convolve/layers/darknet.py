"""Layers as Redmon's program Darknet computes them, where torch's own differ."""

from __future__ import annotations

import math
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from convolve.layers.description import Leaf, sliding
from convolve.layers.geometry import Window


def darknet_pool(size: int, stride: int, padding: int | None = None) -> nn.Module:
    """A maximum pooling that is padded by ``padding`` in all, size - 1 unless given: half of it, rounded down, above
    and to the left, the rest below and to the right. Padding is never a maximum.

    A side becomes (side + padding - size) / stride + 1, rounded down.
    """
    padding = size - 1 if padding is None else padding
    before, after = padding // 2, padding - padding // 2
    if before == after and 2 * before <= size:
        return nn.MaxPool2d(size, stride, before)
    if (size, stride, padding) == (2, 2, 1):
        return nn.MaxPool2d(2, 2, ceil_mode=True)  # the same: padding of 1 is used where a side is odd
    return PaddedMaxPool2d(size, stride, before, after)


@final
class PaddedMaxPool2d(nn.Module):
    """A maximum pooling with other padding ``after`` the map, below and to the right, than ``before`` it."""

    def __init__(self, kernel_size: int, stride: int, before: int, after: int) -> None:
        super().__init__()
        self.kernel_size, self.stride, self.padding, self.after = kernel_size, stride, before, after

    def forward(self, maps: Tensor) -> Tensor:
        """(N, channels, H, W) to the maxima of the windows."""
        sides = (self.padding, self.after)
        return F.max_pool2d(F.pad(maps, (*sides, *sides), value=-math.inf), self.kernel_size, self.stride)

    def extra_repr(self) -> str:
        """Kernel size, stride and padding."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding=({self.padding}, {self.after})"

    def describe(self) -> Leaf:
        """A pooling."""
        return Leaf("pooling", "max pool", sliding(self))


@final
class Reorg(nn.Module):
    """Darknet's `reorg`, which makes a map smaller and deeper, but not as space to depth does.

    It takes the memory of the map (C, H, W) for one of (C / stride², H stride, W stride), gathers from that every
    stride-th value in both directions, and takes the result for a map of (C stride², H / stride, W / stride). Published
    weights were trained with this order.

    Shape: (N, 4 * stride, H, W) -> (N, 4 * stride * stride * stride, H / stride, W / stride)
    """

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C stride², H / stride, W / stride)."""
        count, channels, height, width = maps.shape
        step = self.stride
        blocks = maps.reshape(count, channels // step**2, height, step, width, step)
        gathered = blocks.permute(0, 3, 5, 1, 2, 4)  # row and column of the offset, channel, row, column
        return gathered.reshape(count, channels * step**2, height // step, width // step)

    def describe(self) -> Leaf:
        """Windows, of which the one down is wider than the stride: of the channels of row i = stride * a + b, each
        comes from one of the rows stride * i - (stride - 1) * b + stride * (0, …, stride - 1).
        """
        step = self.stride
        down = Window((step - 1) * (2 * step - 1) + 1, step, (step - 1) ** 2, 1)
        return Leaf(name="reorg", windows=(down, Window(step, step, 0, 1)))


@final
class LocallyConnected2d(nn.Module):
    """A convolution with weights and biases of its own at every position of its output, of one size (height, width)."""

    def __init__(
        self, channels: int, outputs: int, size: tuple[int, int], kernel_size: int, stride: int, padding: int
    ) -> None:
        super().__init__()
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding
        inputs = channels * kernel_size**2
        self.weight = nn.Parameter(torch.empty(size[0] * size[1], outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs, *size))
        nn.init.normal_(self.weight, std=math.sqrt(2 / inputs))

    def forward(self, maps: Tensor) -> Tensor:
        """(N, channels, H, W) to (N, outputs, height, width)."""
        windows = F.unfold(maps, self.kernel_size, padding=self.padding, stride=self.stride)
        sums = torch.einsum("nip,poi->nop", windows, self.weight)
        return sums.reshape(len(maps), *self.bias.shape) + self.bias

    def describe(self) -> Leaf:
        """A convolution, each of whose weights is used once: `Leaf.weights` are those of one position."""
        return Leaf("convolution", "local", sliding(self), 1, self.weight[0].numel())
