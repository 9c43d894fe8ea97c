"""Cutting the layers that a file lists into stages and a head.

The stages are the longest beginning that is a chain of parts: no layer after a part takes what is inside of it. All
that follows is the head. Where there is a choice, a stage begins with the layer that makes the map smaller.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from torch import nn

from convolve.layers.layer_graph import LayerGraph
from convolve.models.network import Stage

IMAGE = -1
"""The index of what the first layers take."""


class GraphLayer(NamedTuple):
    """A layer of a file: its name, its module, the indices of the layers whose outputs it takes, the channels of its
    output, and by which factor a step of its map is longer than one of its first input; None where the output is not a
    map any more. ``weighted`` layers are those of which a network's last one belongs to the head.
    """

    name: str
    module: nn.Module
    sources: tuple[int, ...]
    channels: int
    stride: Fraction | None
    weighted: bool


class Cut(NamedTuple):
    """The index of the first layer of the head, and those of the last layers of the stages."""

    first: int
    ends: tuple[int, ...]


def total_strides(layers: Sequence[GraphLayer]) -> list[Fraction | None]:
    """Pixels of the image per step of each layer's map; None where it has no steps."""
    strides: list[Fraction | None] = []
    for layer in layers:
        taken = [Fraction(1) if source == IMAGE else strides[source] for source in layer.sources]
        before = next((stride for stride in taken if stride is not None), None)
        strides.append(None if before is None or layer.stride is None else before * layer.stride)
    return strides


def largest_stride(layers: Sequence[GraphLayer]) -> int:
    """Of all maps."""
    return int(max((stride for stride in total_strides(layers) if stride is not None), default=1))


def find_cut(layers: Sequence[GraphLayer], end: int, *, several: bool) -> Cut | None:
    """The head begins as late as can be, at ``end`` at the latest. It takes the last stage's map, or those of
    ``several``. None where no layer is before it.
    """
    strides = total_strides(layers)
    for first in range(_latest_head(layers, end), 0, -1):
        if strides[first - 1] is None:
            continue
        ends = _chain(layers[:first])
        taken = {source for layer in layers[first:] for source in layer.sources if source < first}
        if taken <= (ends if several else {first - 1}):
            needed = {first - 1, *taken}
            known = {strides[index] for index in needed} | {Fraction(1)}
            shrinking = {
                index
                for index in ends - needed
                if (layers[index + 1].stride or 0) > 1 and strides[index] not in known | {None}
            }
            return Cut(first, tuple(sorted(needed | shrinking)))
    return None


def make_stages(layers: Sequence[GraphLayer], cut: Cut) -> tuple[dict[str, Stage], dict[int, str]]:
    """The stages by name, and the names by the indices of their last layers."""
    strides = total_strides(layers)
    stages: dict[str, Stage] = {}
    names: dict[int, str] = {}
    start = 0
    for number, end in enumerate(cut.ends, 1):
        names[end] = f"stage{number}"
        part = {index: layers[index] for index in range(start, end + 1)}
        stages[names[end]] = Stage(join(part, layers), layers[end].channels, int(strides[end] or 1))
        start = end + 1
    return stages, names


def join(part: Mapping[int, GraphLayer], layers: Sequence[GraphLayer]) -> nn.Module:
    """Part of the ``layers``, by their indices, as a module that takes the output of the layer before the first."""
    if all(layer.sources == (index - 1,) for index, layer in part.items()):
        return nn.Sequential(OrderedDict((layer.name, layer.module) for layer in part.values()))
    modules, sources = by_name(part, layers)
    return LayerGraph(modules, sources, name_of(layers, min(part) - 1))


def by_name(
    part: Mapping[int, GraphLayer], layers: Sequence[GraphLayer]
) -> tuple[dict[str, nn.Module], dict[str, tuple[str, ...]]]:
    """The modules of a part of the ``layers``, and the names of those that they take."""
    modules = {layer.name: layer.module for layer in part.values()}
    sources = {layer.name: tuple(name_of(layers, source) for source in layer.sources) for layer in part.values()}
    return modules, sources


def name_of(layers: Sequence[GraphLayer], index: int) -> str:
    """A layer's name; that of the image, which no layer has, is empty."""
    return layers[index].name if index != IMAGE else ""


def _latest_head(layers: Sequence[GraphLayer], end: int) -> int:
    """The last layer with weights before the ``end``, or what makes a map larger before it."""
    weighted = [index for index, layer in enumerate(layers[:end]) if layer.weighted]
    growing = [index for index, layer in enumerate(layers) if layer.stride is not None and layer.stride < 1]
    return min([*growing, end, *weighted[-1:]])


def _chain(layers: Sequence[GraphLayer]) -> set[int]:
    """The layers after which a stage may end: what follows, among these layers, takes nothing from before."""
    ends: set[int] = set()
    earliest = len(layers)
    for index in range(len(layers) - 1, -1, -1):
        if earliest >= index:
            ends.add(index)
        earliest = min(earliest, *layers[index].sources)
    return ends
