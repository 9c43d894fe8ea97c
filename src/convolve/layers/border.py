"""A wide border around the image, of which every stage computes what is alike only once.

The published fully convolutional networks pad the first convolution by 100 (Long, Shelhamer, Darrell 2015, the authors'
definitions). A row of a map that sees only zeros of that border depends on nothing but the weights and its distance
from the map's edge, for there later layers pad with zeros of their own. From layer to layer, what the edge changes
spreads inwards and what the image changes spreads outwards; between them lies a band of rows that are all equal, above
the image and below it, and so do columns to its left and right:

    edge  a b c c c c c c c d e  IMAGE  f g h h h h h h h i j  edge

`BorderOnce` takes rows out of the bands of the map that enters a stage, as many as leave one row in the bands of the
map that leaves it, and then puts copies of that row where the others were. Rows are taken out in multiples of the
stage's stride, so that all others meet the same windows as before. Values and slopes are those of the whole
computation: the row gathers the slopes of its copies.
"""

from __future__ import annotations

import math
from typing import NamedTuple, final

import torch
from torch import Tensor, nn

from convolve.layers.geometry import windows
from convolve.layers.lrn import LocalResponseNorm

_KNOWN = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d, nn.ReLU, LocalResponseNorm)
"""Layers that treat equal rows alike however many there are, in training too: none draws or averages over the map."""


class Band(NamedTuple):
    """The equal rows of a map, from ``start`` up to before ``stop``, counted from its upper edge; as many are alike
    counted from the lower edge, and as many columns from the sides. Negative are rows that are still to be padded.
    """

    start: int
    stop: int

    def through(self, layers: nn.Module) -> Band:
        """The equal rows of the map that leaves a row of layers: those whose windows see nothing but this band.

        A stride may leave rows over at the lower edge, or round up beyond it; the worst of all heights is taken.
        """
        start, stop = self
        for layer in layers.children():
            if not (found := windows(layer)):
                continue
            window, left = found[0], found[0].stride - 1
            beyond, over = (left, 0) if getattr(layer, "ceil_mode", False) else (0, left)
            start = -(-(start + window.padding + beyond) // window.stride)
            last = stop - 1 + window.padding - over - (window.kernel - 1) * window.dilation
            stop = last // window.stride + 1
        return Band(start, stop)


def treats_rows_alike(layers: nn.Module) -> bool:
    """Whether it is a row of layers alone that leave equal rows equal, and do with columns what they do with rows."""
    return type(layers) is nn.Sequential and all(type(layer) in _KNOWN and _is_square(layer) for layer in layers)


@final
class BorderOnce(nn.Module):
    """A stage, its layers under their own names, that computes equal rows and columns of its map once.

    ``before`` is the band of the map that enters the stage, ``behind`` of the one that leaves it. The convolution that
    pads the border pads by less. It is for layers that `treats_rows_alike`, and takes bands for equal without looking,
    so that the map must be an image's own. Slopes by that map stand, for each band, in the rows that were kept.
    """

    def __init__(self, layers: nn.Module, before: Band, behind: Band) -> None:
        super().__init__()
        for name, layer in layers.named_children():
            self.add_module(name, layer)
        self.before, self.behind = before, behind
        self.copies = behind.stop - behind.start - 1
        self._pad(-self._taken)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, channels, H, W) to the stage's map."""
        if self.before.start >= 0:
            maps = _without(maps, self.before.start, self._taken)
        for layer in self.children():
            maps = layer(maps)
        return _with_copies(maps, self.behind.start, self.copies)

    def extra_repr(self) -> str:
        """What is printed with the stage's layers."""
        return f"{self._taken} of {self.before.stop - self.before.start} equal rows and columns left out at every edge"

    def compute_all(self) -> None:
        """Compute every row from now on, as published."""
        self._pad(self._taken)
        self.copies = 0

    @property
    def _taken(self) -> int:
        """How many rows are left out at each edge."""
        return self.copies * math.prod(window[0].stride for layer in self.children() if (window := windows(layer)))

    def _pad(self, more: int) -> None:
        """Let the convolution that pads the border, if it is in this stage, pad by more."""
        if self.before.start < 0:
            convolution = next(layer for layer in self.children() if isinstance(layer, nn.Conv2d))
            convolution.padding = (int(convolution.padding[0]) + more, int(convolution.padding[1]) + more)


def _is_square(layer: nn.Module) -> bool:
    """Whether the layer has no window, or the same down and across, padded with zeros; where it rounds up, none that
    might begin beyond the map, for such a window is dropped.
    """
    down, across = windows(layer) or (None, None)
    if isinstance(layer, nn.Conv2d) and (layer.padding_mode != "zeros" or isinstance(layer.padding, str)):
        return False
    begins_inside = not getattr(layer, "ceil_mode", False) or (down and down.kernel - down.padding >= down.stride)
    return down == across and bool(begins_inside)


def _without(maps: Tensor, first: int, count: int) -> Tensor:
    """The maps without ``count`` rows and columns from ``first`` on, counted from each edge."""

    def kept(side: int) -> Tensor:
        places = torch.arange(side - 2 * count, device=maps.device)
        return places + count * (places >= first) + count * (places >= side - 2 * count - first)

    return _chosen(maps, kept(maps.shape[2]), kept(maps.shape[3])) if count else maps


def _with_copies(maps: Tensor, first: int, count: int) -> Tensor:
    """The maps with ``count`` more copies of the row and column ``first``, counted from each edge, beside it."""

    def copied(side: int) -> Tensor:
        places = torch.arange(side + 2 * count, device=maps.device)
        return places - (places - first).clamp(0, count) - (places - (side + count - 1 - first)).clamp(0, count)

    return _chosen(maps, copied(maps.shape[2]), copied(maps.shape[3])) if count else maps


def _chosen(maps: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Rows and columns of the maps (N, channels, H, W), in the maps' own memory format."""
    if maps.is_contiguous(memory_format=torch.channels_last):
        return maps.permute(0, 2, 3, 1).index_select(1, rows).index_select(2, columns).permute(0, 3, 1, 2)
    return maps.index_select(2, rows).index_select(3, columns)
