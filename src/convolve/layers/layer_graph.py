"""How layers that a file lists are put together: each takes the outputs of earlier ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, final

from torch import Tensor, nn


class Node(NamedTuple):
    """A layer of a graph by its name, the names of those whose outputs it takes, and of those that no later layer
    takes.
    """

    name: str
    sources: tuple[str, ...]
    finished: tuple[str, ...]


def order_layers(sources: Mapping[str, tuple[str, ...]], outputs: Sequence[str]) -> tuple[Node, ...]:
    """The nodes of layers that take the outputs of these ``sources``, in their order; ``outputs`` are never
    finished.
    """
    last = {source: name for name, taken in sources.items() for source in taken}
    return tuple(
        Node(name, taken, tuple(source for source in {*taken} if last[source] == name and source not in outputs))
        for name, taken in sources.items()
    )


def run_layers(nodes: Sequence[Node], layers: nn.Module, maps: dict[str, Tensor]) -> dict[str, Tensor]:
    """The outputs of the layers by name, from the ``maps`` that are known, without those that are finished.

    ``layers`` has them as submodules of these names.
    """
    for node in nodes:
        maps[node.name] = layers.get_submodule(node.name)(*(maps[source] for source in node.sources))
        for source in node.finished:
            del maps[source]
    return maps


@final
class LayerGraph(nn.Module):
    """Layers that take outputs of earlier ones, or what enters, whose name is ``start``; the last one's output leaves.

    ``layers`` and ``sources`` are by the layers' names, in the order in which they can be computed.
    """

    def __init__(self, layers: Mapping[str, nn.Module], sources: Mapping[str, tuple[str, ...]], start: str) -> None:
        super().__init__()
        for name, layer in layers.items():
            self.add_module(name, layer)
        self.start, self.last = start, list(layers)[-1]
        self.nodes = order_layers(sources, (self.last,))

    def forward(self, maps: Tensor) -> Tensor:
        """The last layer's output."""
        return run_layers(self.nodes, self, {self.start: maps})[self.last]


@final
class GraphOutputs(nn.Module):
    """Layers that take outputs of earlier ones, or the maps that enter, in the order of their names ``inputs``; those
    of ``outputs`` leave, as they are or, if ``flat``, as rows.

    ``layers`` and ``sources`` are by the layers' names, in the order in which they can be computed.
    """

    def __init__(
        self,
        layers: Mapping[str, nn.Module],
        sources: Mapping[str, tuple[str, ...]],
        inputs: Sequence[str],
        outputs: Sequence[str],
        *,
        flat: bool = False,
    ) -> None:
        super().__init__()
        for name, layer in layers.items():
            self.add_module(name, layer)
        self.inputs, self.outputs, self.flat = tuple(inputs), tuple(outputs), flat
        self.nodes = order_layers(sources, self.outputs)

    def forward(self, maps: list[Tensor]) -> tuple[Tensor, ...]:
        """The maps of ``inputs`` to those of ``outputs``."""
        known = run_layers(self.nodes, self, dict(zip(self.inputs, maps, strict=True)))
        return tuple(known[name].flatten(1) if self.flat else known[name] for name in self.outputs)
