"""Convolutions of 3x3 with a quarter of the products: Winograd's minimal filtering, F(4x4, 3x3).

Lavin, Gray 2016, "Fast algorithms for convolutional neural networks", sections 4.1 to 4.3 (forward and the gradient of
the images) and section 5 (tiles gathered so that the products are 36 matrix products). A tile of 6x6 inputs gives 4x4
outputs: Y = A'[(G g G') * (B' d B)]A, 36 products for each pair of channels in place of 144. Tiles are worked on a
piece at a time, small enough to stay in the processor's cache, so that what is gathered never fills the memory.

In fp32 outputs and gradients differ from direct convolution's by up to about 2e-5 of the largest one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor
from torch.nn import functional as F

TILE, INPUT = 4, 6
_POINTS = INPUT * INPUT
_ONES = INPUT + 1
"""The product that reaches every output of a tile with factor one, where a bias is added once for all 16."""
_CACHED = 16384
"""Channels times tiles of a strip, for each thread: what is gathered and transformed at a time stays in its cache."""
_PRODUCT = 128
"""Tiles of a piece, which is multiplied at a time, for each thread: the kernels are read once for all of them."""
_NARROW, _WIDE, _FEW, _FULL = 64, 128, 128, 0.75
"""Where the transforms cost less than the products that they save: channels of the narrower and of the wider side,
tiles, and the share of their outputs that is wanted."""


def _twice(rows: list[list[float]]) -> Tensor:
    """A one-dimensional transform, as the matrix that applies it along both axes of a tile."""
    matrix = torch.tensor(rows, dtype=torch.float64)
    return torch.kron(matrix, matrix).float().contiguous()


_INPUT = _twice(
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ]
)
_KERNEL = _twice(
    [
        [1 / 4, 0, 0],
        [-1 / 6, -1 / 6, -1 / 6],
        [-1 / 6, 1 / 6, -1 / 6],
        [1 / 24, 1 / 12, 1 / 6],
        [1 / 24, -1 / 12, 1 / 6],
        [0, 0, 1],
    ]
)
_OUTPUT = _twice([[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]])


def worth(images: Tensor, weight: Tensor, padding: tuple[int, int]) -> bool:
    """Whether a convolution of 3x3 at stride 1 is done faster so than directly."""
    outputs, inputs = weight.shape[:2]
    tiling = _tiling(images, padding)
    wide = min(inputs, outputs) >= _NARROW and max(inputs, outputs) >= _WIDE
    return wide and tiling.count >= _FEW and tiling.images * tiling.height * tiling.width >= _FULL * 16 * tiling.count


def convolution(images: Tensor, weight: Tensor, bias: Tensor | None, padding: tuple[int, int]) -> Tensor:
    """(N, C, H, W), (O, C, 3, 3), (O,) in fp32 to (N, O, H', W'), channels last; padding of up to 2 by zeros."""
    found: Tensor = _Convolution.apply(images, weight, bias, padding)
    return found


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, bias: Tensor | None, padding: tuple[int, int]) -> Tensor:
        ctx.save_for_backward(images, weight)
        ctx.padding = padding
        return _filtered(images, _transformed(weight).transpose(1, 2), bias, padding)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, slopes: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        images, weight = ctx.saved_tensors
        down, across = ctx.padding
        back = (2 - down, 2 - across)
        of_images = _filtered(slopes, _transformed(weight.flip(2, 3)), None, back) if ctx.needs_input_grad[0] else None
        of_weight = _correlated(images, slopes, ctx.padding) if ctx.needs_input_grad[1] else None
        return of_images, of_weight, slopes.sum((0, 2, 3)) if ctx.needs_input_grad[2] else None, None


@dataclass(frozen=True)
class _Tiling:
    """How maps (N, C, height, width) are cut into ``down`` x ``across`` tiles of 4x4 outputs."""

    images: int
    height: int
    width: int

    @property
    def down(self) -> int:
        return -(-self.height // TILE)

    @property
    def across(self) -> int:
        return -(-self.width // TILE)

    @property
    def count(self) -> int:
        return self.images * self.down * self.across

    def pieces(self, channels: int) -> list[list[_Strip]]:
        """What is multiplied together, by the strips that are transformed together."""
        pieces: list[list[_Strip]] = []
        piece: list[_Strip] = []
        for images, rows in self._strips(max(1, _CACHED // channels) * torch.get_num_threads()):
            first = piece[-1].tiles.stop if piece else 0
            count = (images.stop - images.start) * (rows.stop - rows.start) * self.across
            piece.append(_Strip(images, rows, slice(first, first + count)))
            if first + count >= _PRODUCT * torch.get_num_threads():
                pieces.append(piece)
                piece = []
        return [*pieces, piece] if piece else pieces

    def _strips(self, most: int) -> Iterator[tuple[slice, slice]]:
        """Images and rows of about so many tiles: several images, or rows of one."""
        images, rows = max(1, most // (self.down * self.across)), max(1, most // self.across)
        for first in range(0, self.images, images):
            for top in range(0, self.down, rows):
                yield slice(first, min(first + images, self.images)), slice(top, min(top + rows, self.down))


@dataclass(frozen=True)
class _Strip:
    """Some rows of tiles of some images, and which tiles they are of the piece that they belong to."""

    images: slice
    rows: slice
    tiles: slice


@final
class _Room:
    """Memory that every piece of a convolution uses in turn: fresh memory would cost more than what is done in it."""

    def __init__(self, like: Tensor, pieces: list[list[_Strip]], channels: int) -> None:
        self._channels = channels
        self._all = like.new_empty(max(_POINTS * piece[-1].tiles.stop for piece in pieces) * channels)

    def of(self, piece: list[_Strip]) -> Tensor:
        """(36, tiles, channels)"""
        size = _POINTS, piece[-1].tiles.stop, self._channels
        return self._all[: math.prod(size)].view(size)


def _tiling(images: Tensor, padding: tuple[int, int]) -> _Tiling:
    """How the outputs are cut."""
    return _Tiling(images.shape[0], images.shape[2] + 2 * padding[0] - 2, images.shape[3] + 2 * padding[1] - 2)


def _transformed(weight: Tensor) -> Tensor:
    """(O, C, 3, 3) to (36, O, C)."""
    outputs, inputs = weight.shape[:2]
    return (_KERNEL @ weight.permute(2, 3, 0, 1).reshape(9, -1)).view(_POINTS, outputs, inputs)


def _filtered(images: Tensor, kernels: Tensor, bias: Tensor | None, padding: tuple[int, int]) -> Tensor:
    """(N, C, H, W) with transformed kernels (36, C, O) to (N, O, H', W')."""
    inputs, outputs = kernels.shape[1:]
    tiling = _tiling(images, padding)
    size = tiling.images, outputs, TILE * tiling.down, TILE * tiling.across
    whole = torch.empty(size, dtype=images.dtype, memory_format=torch.channels_last)
    tiles = _tiled(whole, tiling)
    pieces = tiling.pieces(max(inputs, outputs))
    rooms = _Room(images, pieces, inputs), _Room(images, pieces, outputs)
    for piece in pieces:
        products = torch.bmm(_inputs(images, piece, tiling, padding, rooms[0]), kernels, out=rooms[1].of(piece))
        if bias is not None:
            products[_ONES] += bias
        for strip in piece:
            place = tiles[:, :, strip.images, strip.rows]
            place.copy_((_OUTPUT @ products[:, strip.tiles].view(_POINTS, -1)).view(place.shape))
    if whole.shape[2:] == (tiling.height, tiling.width):
        return whole
    return whole[:, :, : tiling.height, : tiling.width].clone(memory_format=torch.channels_last)


def _correlated(images: Tensor, slopes: Tensor, padding: tuple[int, int]) -> Tensor:
    """The gradient of a kernel (O, C, 3, 3), from the images and the slopes of the outputs (N, O, H', W')."""
    outputs, inputs = slopes.shape[1], images.shape[1]
    tiling = _tiling(images, padding)
    edge = 0, TILE * tiling.across - tiling.width, 0, TILE * tiling.down - tiling.height
    whole = F.pad(slopes, edge) if any(edge) else slopes
    tiles = _tiled(whole.contiguous(memory_format=torch.channels_last), tiling)
    total = images.new_zeros(_POINTS, outputs, inputs)
    pieces = tiling.pieces(max(inputs, outputs))
    rooms = _Room(images, pieces, inputs), _Room(images, pieces, outputs)
    for piece in pieces:
        asked = rooms[1].of(piece)
        for strip in piece:
            found = tiles[:, :, strip.images, strip.rows].reshape(TILE * TILE, -1)
            torch.mm(_OUTPUT.T, found, out=asked.view(_POINTS, -1)[:, _numbers(strip, outputs)])
        total.baddbmm_(asked.transpose(1, 2), _inputs(images, piece, tiling, padding, rooms[0]))
    return (_KERNEL.T @ total.view(_POINTS, -1)).view(3, 3, outputs, inputs).permute(2, 3, 0, 1)


def _tiled(maps: Tensor, tiling: _Tiling) -> Tensor:
    """(N, O, H', W') as (4, 4, N, down, across, O), without a copy."""
    last = maps.permute(0, 2, 3, 1)
    return last.view(len(maps), tiling.down, TILE, tiling.across, TILE, -1).permute(2, 4, 0, 1, 3, 5)


def _inputs(images: Tensor, piece: list[_Strip], tiling: _Tiling, padding: tuple[int, int], room: _Room) -> Tensor:
    """(36, tiles, C) a piece's transformed inputs."""
    found = room.of(piece)
    for strip in piece:
        gathered = _gathered(images, strip, tiling, padding)
        torch.mm(_INPUT, gathered, out=found.view(_POINTS, -1)[:, _numbers(strip, images.shape[1])])
    return found


def _numbers(strip: _Strip, channels: int) -> slice:
    return slice(strip.tiles.start * channels, strip.tiles.stop * channels)


def _gathered(images: Tensor, strip: _Strip, tiling: _Tiling, padding: tuple[int, int]) -> Tensor:
    """(36, tiles * C) a strip's inputs."""
    channels, height, width = images.shape[1:]
    top, left = TILE * strip.rows.start - padding[0], padding[1]
    bottom = TILE * strip.rows.stop - padding[0] + 2
    inside = slice(max(top, 0), min(bottom, height))
    seen = images[strip.images, :, inside].permute(0, 2, 3, 1)
    field = images.new_empty(len(seen), bottom - top, TILE * tiling.across + 2, channels)
    field[:, : inside.start - top] = 0
    field[:, inside.stop - top :] = 0
    field[:, :, :left] = 0
    field[:, :, left + width :] = 0
    field[:, inside.start - top : inside.stop - top, left : left + width] = seen
    image, down, across, step = field.stride()
    shape = (INPUT, INPUT, len(field), strip.rows.stop - strip.rows.start, tiling.across, channels)
    return field.as_strided(shape, (down, across, image, TILE * down, TILE * across, step)).reshape(_POINTS, -1)
