"""Layers as Redmon's program Darknet computes them, where torch's own differ, and the graph in which a `.cfg` puts them.

Every map has four axes here, also what a connected layer or a global average gives: (N, outputs, 1, 1).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from convolve.layers.description import Leaf, sliding


def darknet_norm(channels: int) -> nn.BatchNorm2d:
    """Batch normalization whose running statistics are 0.99 of the old and 0.01 of a batch's.

    Deviations: the program adds 1e-6 to the deviation, here 1e-6 is added to the variance; published weights give the
    same outputs to 3e-5. (With 1e-5, as the program has it on GPUs, they are 4e-4 apart.) In training the program
    divides by n - 1 to find a batch's variance, here as on GPUs by n.
    """
    return nn.BatchNorm2d(channels, eps=1e-6, momentum=0.01)


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
        """Its numbers."""
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
        seen = maps.reshape(count, channels // step**2, height, step, width, step)
        gathered = seen.permute(0, 3, 5, 1, 2, 4)  # row and column of the offset, channel, row, column
        return gathered.reshape(count, channels * step**2, height // step, width // step)


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
        return torch.einsum("nip,poi->nop", windows, self.weight).unflatten(2, self.bias.shape[1:]) + self.bias

    def describe(self) -> Leaf:
        """A convolution, each of whose weights is used once: `Leaf.weights` are those of one position."""
        return Leaf("convolution", "local", sliding(self), 1, self.weight[0].numel())


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
        maps = self.dense(maps.flatten(1))[:, :, None, None]
        return self.norm(maps)


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


class Node(NamedTuple):
    """A layer of a graph, by its index, the indices of those whose outputs it takes, and of those that no later layer
    takes.
    """

    index: int
    sources: tuple[int, ...]
    finished: tuple[int, ...]


def order_layers(sources: Mapping[int, tuple[int, ...]], outputs: Sequence[int]) -> tuple[Node, ...]:
    """The nodes of layers that take the outputs of these ``sources``, in ascending order; ``outputs`` are never
    finished.
    """
    last = {source: index for index, taken in sources.items() for source in taken}
    return tuple(
        Node(index, taken, tuple(source for source in {*taken} if last[source] == index and source not in outputs))
        for index, taken in sources.items()
    )


def follow(nodes: Sequence[Node], layers: nn.Module, maps: dict[int, Tensor]) -> dict[int, Tensor]:
    """The outputs of the layers by index, from the ``maps`` that are known, without those that are finished.

    ``layers`` has them as submodules, named by their indices.
    """
    for node in nodes:
        maps[node.index] = layers.get_submodule(str(node.index))(*(maps[source] for source in node.sources))
        for source in node.finished:
            del maps[source]
    return maps


@final
class LayerGraph(nn.Module):
    """Layers that take outputs of earlier ones, or what enters, whose index is ``start``; the last one's output leaves.

    ``layers`` and ``sources`` are by the layers' indices, ascending.
    """

    def __init__(self, layers: Mapping[int, nn.Module], sources: Mapping[int, tuple[int, ...]], start: int) -> None:
        super().__init__()
        for index, layer in layers.items():
            self.add_module(str(index), layer)
        self.start, self.last = start, max(layers)
        self.nodes = order_layers(sources, (self.last,))

    def forward(self, maps: Tensor) -> Tensor:
        """The last layer's output."""
        return follow(self.nodes, self, {self.start: maps})[self.last]
