"""A wide border around the image, in which every stage computes equal rows and columns only once.

The published fully convolutional networks pad the first convolution by 100 (Long, Shelhamer, Darrell 2015, the authors'
definitions). A row of a map whose receptive field lies in that border depends on nothing but the weights and its
distance from the map's edge, where later layers pad with zeros of their own. From layer to layer the influence of the
edge spreads inwards and that of the image outwards; between them lies a band of rows that are all equal, above the
image and below it, and so do columns to its left and right:

    edge  a b c c c c c c c d e  IMAGE  f g h h h h h h h i j  edge

`BorderOnce` removes rows from the bands of its input map, as many as leave one row in the bands of its output map, and
then copies that row to where the others were. Rows are removed in multiples of the stage's stride, so that all others
meet the same windows as before. Values and gradients are those of the full computation: the row sums the gradients of
its copies.
"""

from __future__ import annotations

import math
from typing import NamedTuple, final

import torch
from torch import Tensor, nn

from convolve.layers.description import Series, windows
from convolve.layers.lrn import LocalResponseNorm

_UNIFORM = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d, nn.ReLU, LocalResponseNorm)
"""Layers that turn equal rows into equal rows however many there are, in training too: none draws random numbers or
averages over the map."""


class Band(NamedTuple):
    """The equal rows of a map, from ``start`` up to but not including ``stop``, counted from its upper edge; the same
    holds from the lower edge, and for columns from both sides. Negative rows are those that are yet to be padded.
    """

    start: int
    stop: int

    def through(self, layers: nn.Module) -> Band:
        """The equal rows of the map after these layers: those whose windows lie within this band.

        A stride may skip rows at the lower edge, or round up beyond it; the worst case over all heights is taken.
        """
        start, stop = self
        for layer in layers.children():
            if not (sides := windows(layer)):
                continue
            window, slack = sides[0], sides[0].stride - 1
            beyond, skipped = (slack, 0) if getattr(layer, "ceil_mode", False) else (0, slack)
            start = -(-(start + window.padding + beyond) // window.stride)
            last = stop - 1 + window.padding - skipped - (window.kernel - 1) * window.dilation
            stop = last // window.stride + 1
        return Band(start, stop)


def keeps_rows_equal(layers: nn.Module) -> bool:
    """Whether it is a plain sequence of layers that turn equal rows into equal rows, and treat columns as rows."""
    return type(layers) is nn.Sequential and all(type(layer) in _UNIFORM and _is_square(layer) for layer in layers)


@final
class BorderOnce(nn.Module):
    """A stage, its layers under their own names, that computes equal rows and columns of its map once.

    ``input_band`` is the band of the stage's input map, ``output_band`` that of its output map. The convolution that
    pads the border pads by less. The layers must be such that `keeps_rows_equal`. Bands are not checked for equality,
    so the map must be that of an image. Gradients with respect to it are found, for each band, in the rows that remain.
    """

    def __init__(self, layers: nn.Module, input_band: Band, output_band: Band) -> None:
        super().__init__()
        for name, layer in layers.named_children():
            self.add_module(name, layer)
        self.input_band, self.output_band = input_band, output_band
        self.copies = output_band.stop - output_band.start - 1
        self._pad(-self._removed)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, channels, H, W) to the stage's map."""
        if self.input_band.start >= 0:
            maps = _without_rows(maps, self.input_band.start, self._removed)
        for layer in self.children():
            maps = layer(maps)
        return _with_copies(maps, self.output_band.start, self.copies)

    def describe(self) -> Series:
        """Its layers."""
        return Series(tuple(name for name, _ in self.named_children()))

    def extra_repr(self) -> str:
        """What is printed with the stage's layers."""
        rows = self.input_band.stop - self.input_band.start
        return f"{self._removed} of {rows} equal rows and columns left out at every edge"

    def compute_all(self) -> None:
        """Compute every row from now on, as published."""
        self._pad(self._removed)
        self.copies = 0

    @property
    def _removed(self) -> int:
        """How many rows are left out at each edge."""
        return self.copies * math.prod(sides[0].stride for layer in self.children() if (sides := windows(layer)))

    def _pad(self, more: int) -> None:
        """Let the convolution that pads the border, if it is in this stage, pad by more."""
        if self.input_band.start < 0:
            convolution = next(layer for layer in self.children() if isinstance(layer, nn.Conv2d))
            convolution.padding = (int(convolution.padding[0]) + more, int(convolution.padding[1]) + more)


def _is_square(layer: nn.Module) -> bool:
    """Whether the layer has no window, or the same one down and across, padded with zeros; and where it rounds up, no
    window that might begin beyond the map, for such a window is dropped.
    """
    down, across = windows(layer) or (None, None)
    if isinstance(layer, nn.Conv2d) and (layer.padding_mode != "zeros" or isinstance(layer.padding, str)):
        return False
    begins_inside = not getattr(layer, "ceil_mode", False) or (down and down.kernel - down.padding >= down.stride)
    return down == across and bool(begins_inside)


def _without_rows(maps: Tensor, first: int, count: int) -> Tensor:
    """The maps without ``count`` rows and columns from ``first`` on, counted from each edge."""

    def remaining(side: int) -> Tensor:
        indices = torch.arange(side - 2 * count, device=maps.device)
        return indices + count * (indices >= first) + count * (indices >= side - 2 * count - first)

    return _select(maps, remaining(maps.shape[2]), remaining(maps.shape[3])) if count else maps


def _with_copies(maps: Tensor, first: int, count: int) -> Tensor:
    """The maps with ``count`` more copies of the row and column ``first``, counted from each edge, next to it."""

    def repeated(side: int) -> Tensor:
        indices = torch.arange(side + 2 * count, device=maps.device)
        return indices - (indices - first).clamp(0, count) - (indices - (side + count - 1 - first)).clamp(0, count)

    return _select(maps, repeated(maps.shape[2]), repeated(maps.shape[3])) if count else maps


def _select(maps: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """These rows and columns of the maps (N, channels, H, W), in the maps' own memory format."""
    if maps.is_contiguous(memory_format=torch.channels_last):
        return maps.permute(0, 2, 3, 1).index_select(1, rows).index_select(2, columns).permute(0, 3, 1, 2)
    return maps.index_select(2, rows).index_select(3, columns)
