"""The maps of an image of any size, one tile after another, equal to those of the whole image.

Each position of a map belongs to one tile. A tile is cut out with as many pixels around it as the receptive fields of
its positions reach, and begins where all maps have a position, so that its maps are a part of those of the whole image.
A network whose maps depend on the whole image, as squeeze-and-excitation makes them, sees it in one tile.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from convolve.errors import NetworkError
from convolve.layers.geometry import ReceptiveField
from convolve.models import Network
from convolve.runtime import Runtime
from convolve.style_transfer.layer_maps import layer_maps
from convolve.summary import receptive_fields
from convolve.values import Preprocessing

SIDE = 512
"""Pixels of a tile's side, without what is around it."""
Tile = tuple["Span", "Span"]
"""Its rows and its columns."""


@dataclass(frozen=True)
class Span:
    """A tile along one side: the pixels from ``start`` to ``stop`` are cut out, and the positions from the pixel
    ``begin`` to ``end`` belong to it; of the ``last`` tile all that follow.
    """

    start: int
    stop: int
    begin: int
    end: int
    last: bool

    def own(self, stride: int) -> slice:
        """The positions, in the tile's map of a ``stride``, that belong to the tile."""
        first = (self.begin - self.start) // stride
        return slice(first, None if self.last else first + (self.end - self.begin) // stride)


class TiledMaps:
    """The maps of some layers below `Network.stages`, of images (C, H, W) with pixels from 0 to 1."""

    def __init__(
        self,
        network: Network,
        preprocessing: Preprocessing,
        runtime: Runtime,
        layers: Sequence[str],
        side: int = SIDE,
    ) -> None:
        """Raises `NetworkError` where a layer gives no map. Tiles have about ``side`` pixels on a side."""
        self._network, self._runtime, self._side = network, runtime, side
        self._layers = tuple(layers)
        size = preprocessing.channels, preprocessing.height, preprocessing.width
        names = [f"stages.{layer}" for layer in layers]
        found = receptive_fields(network, size, names)
        if missing := [layer for layer, name in zip(layers, names, strict=True) if name not in found]:
            raise NetworkError(f"The layer {missing[0]} of {network.label} gives no map; name another one.")
        self._fields = [found[name] for name in names]
        self._sides = preprocessing.height, preprocessing.width
        self._mean, self._std = (
            torch.tensor(values, dtype=torch.float32, device=runtime.device).reshape(1, -1, 1, 1)
            for values in (preprocessing.mean, preprocessing.std)
        )

    @property
    def device(self) -> torch.device:
        """Where images have to be."""
        return self._mean.device

    def tiles(self, height: int, width: int) -> list[Tile]:
        """The tiles of an image, row after row."""
        rows, columns = (list(self._spans(length, axis)) for axis, length in enumerate((height, width)))
        return [(row, column) for row in rows for column in columns]

    def __call__(self, image: Tensor, tile: Tile) -> dict[str, Tensor]:
        """The part (C, h, w) of each layer's map that belongs to a tile of an image (C, H, W), by the layer's name.

        A gray image (1, H, W) is repeated for a network of more channels. Gradients flow through.
        """
        row, column = tile
        part = image[None, :, row.start : row.stop, column.start : column.stop]
        part = part.expand(-1, self._mean.shape[1], -1, -1)
        with self._runtime.arithmetic():
            maps = layer_maps(self._network, (part - self._mean) / self._std, self._layers)
        return {name: self._own(name, maps[name], tile) for name in self._layers}

    def _own(self, layer: str, maps: Tensor, tile: Tile) -> Tensor:
        if maps.dim() != 4:
            raise NetworkError(
                f"The layer {layer} of {self._network.label} gives no map (N, C, H, W); name another one."
            )
        if all(span.last and span.begin == 0 for span in tile):
            return maps[0].float()
        fields = self._fields[self._layers.index(layer)]
        rows, columns = (span.own(int(field.stride)) for span, field in zip(tile, fields, strict=True))
        return maps[0, :, rows, columns].float()

    def _spans(self, length: int, axis: int) -> Iterator[Span]:
        fields = [each[axis] for each in self._fields]
        step = math.lcm(*(int(field.stride) for field in fields)) if _in_steps(fields, self._sides[axis]) else length
        margin = max(
            max(math.ceil(-field.offset), math.ceil(field.offset + field.size - field.stride)) for field in fields
        )
        margin, core = _up(max(margin, 0), step), _up(self._side, step)
        begins = range(0, max(length - core // 2, 1), core)  # what would be less than half a tile joins the one before
        for begin in begins:
            last = begin == begins[-1]
            end = length if last else begin + core
            yield Span(max(0, begin - margin), length if last else min(length, end + margin), begin, end, last)


def _in_steps(fields: Sequence[ReceptiveField], side: int) -> bool:
    """Whether units see parts of an image of this side, at whole distances."""
    return all(
        field.stride >= 1 and field.stride == int(field.stride) and field.offset + field.size < side for field in fields
    )


def _up(length: int, step: int) -> int:
    """The least multiple of ``step`` that is not shorter."""
    return -(-length // step) * step
