"""The layers of a definition as they are read from Caffe's, and what Caffe calls the maps between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from convolve.models.definition import IMAGE, LayerDefinition, Value
from convolve.untrusted.caffe import CaffeLayer


@dataclass(frozen=True)
class Map:
    """What a layer gives: the layer's name, how many axes it has with the batch's, and its channels where known."""

    layer: str
    axes: int
    channels: int | None


class Weighted(NamedTuple):
    """A layer of Caffe that has numbers, and the channels of what it takes where known."""

    layer: CaffeLayer
    channels: int | None


@dataclass
class Graph:
    """The layers of a definition as they are read.

    ``maps`` are what has a name in Caffe so far: None are labels and other inputs than the image. ``weighted`` are
    Caffe's layers with numbers by the names that they have in the definition, ``silenced`` maps that no one wants, and
    ``auxiliary`` the outputs that only help in training.
    """

    maps: dict[str, Map | None]
    layers: list[LayerDefinition] = field(default_factory=list)
    weighted: dict[str, Weighted] = field(default_factory=dict)
    silenced: set[str] = field(default_factory=set)
    auxiliary: set[str] = field(default_factory=set)
    _counts: dict[str, int] = field(default_factory=dict)
    _names: set[str] = field(default_factory=lambda: {IMAGE})

    def add(self, name: str, kind: str, inputs: Sequence[Map], options: Mapping[str, Value] | None = None) -> Map:
        """Append a layer, under another name if its own is taken."""
        options = dict(options or {})
        name = self._free_name(name or kind)
        self.layers.append(LayerDefinition(name, kind, tuple(each.layer for each in inputs), options))
        axes, channels = _axes_after(kind, options, inputs), _channels_after(kind, options, inputs)
        return Map(name, axes, channels)

    def add_weighted(self, layer: CaffeLayer, kind: str, inputs: Sequence[Map], options: Mapping[str, Value]) -> Map:
        """Append a layer with numbers."""
        after = self.add(layer.name, kind, inputs, options)
        self.weighted[after.layer] = Weighted(layer, inputs[0].channels)
        return after

    def outputs(self) -> list[str]:
        """The layers that no other takes, without those that only help in training."""
        taken = {name for layer in self.layers for name in layer.inputs} | self.silenced
        found = [layer.name for layer in self.layers if layer.name not in taken]
        return [name for name in found if name not in self.auxiliary] or found

    def needed(self, outputs: Sequence[str]) -> tuple[LayerDefinition, ...]:
        """The layers that lead to the outputs."""
        wanted, kept = set(outputs), list[LayerDefinition]()
        for layer in reversed(self.layers):
            if layer.name in wanted:
                wanted.update(layer.inputs)
                kept.append(layer)
        return tuple(kept[::-1])

    def _free_name(self, name: str) -> str:
        free = name
        while free in self._names:
            self._counts[name] = self._counts.get(name, 1) + 1
            free = f"{name}_{self._counts[name]}"
        self._names.add(free)
        return free


def _axes_after(kind: str, options: Mapping[str, Any], inputs: Sequence[Map]) -> int:
    if kind in ("linear", "flatten"):
        return 2
    return 1 + len(options["shape"]) if kind == "reshape" else inputs[0].axes


def _channels_after(kind: str, options: Mapping[str, Any], inputs: Sequence[Map]) -> int | None:
    if kind in ("convolution", "deconvolution", "linear"):
        return int(options["out"])
    if kind in ("flatten", "reshape", "permute"):
        return None
    if kind == "slice" and options["axis"] == 1:
        return int(options["end"]) - int(options["begin"])
    if kind == "concat" and options["axis"] == 1:
        channels = [each.channels for each in inputs]
        return None if None in channels else sum(each or 0 for each in channels)
    return inputs[0].channels


def refuse_unless(condition: bool, layer: CaffeLayer, what: str) -> None:
    """Raise `ValueError`, with a sentence about the layer, unless it is as it must be."""
    if not condition:
        raise ValueError(f"the layer {layer.name!r} ({layer.kind}) {what}, which is not read here")


def only_input(layer: CaffeLayer, inputs: Sequence[Map]) -> Map:
    """The single map that a layer takes. Raises `ValueError` where there are more."""
    refuse_unless(len(inputs) == 1, layer, f"takes {len(inputs)} inputs")
    return inputs[0]


Reader = Callable[[Graph, CaffeLayer, Sequence[Map]], list[Map]]
"""What appends a layer of Caffe to a graph, and says what it gives. Raises `ValueError`."""
