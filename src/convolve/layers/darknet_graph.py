"""How the layers of a Darknet `.cfg` are put together, and those that only a `.cfg` has.

Every map has four axes here, also what a connected layer or a global average gives: (N, outputs, 1, 1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, final

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


class Node(NamedTuple):
    """A layer of a graph, by its index, the indices of those whose outputs it takes, and of those that no later layer
    takes.
    """

    number: int
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
        maps[node.number] = layers.get_submodule(str(node.number))(*(maps[source] for source in node.sources))
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


@final
class GraphOutputs(nn.Module):
    """Layers that take outputs of earlier ones, or the maps that enter, in the order of their indices ``inputs``; those
    of ``outputs`` leave, as they are or, if ``flat``, as rows.

    ``layers`` and ``sources`` are by the layers' indices, ascending.
    """

    def __init__(
        self,
        layers: Mapping[int, nn.Module],
        sources: Mapping[int, tuple[int, ...]],
        inputs: Sequence[int],
        outputs: Sequence[int],
        *,
        flat: bool,
    ) -> None:
        super().__init__()
        for index, layer in layers.items():
            self.add_module(str(index), layer)
        self.inputs, self.outputs, self.flat = tuple(inputs), tuple(outputs), flat
        self.nodes = order_layers(sources, self.outputs)

    def forward(self, maps: list[Tensor]) -> tuple[Tensor, ...]:
        """The maps of ``inputs`` to those of ``outputs``."""
        known = follow(self.nodes, self, dict(zip(self.inputs, maps, strict=True)))
        return tuple(known[index].flatten(1) if self.flat else known[index] for index in self.outputs)
