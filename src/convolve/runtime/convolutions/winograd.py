"""Convolutions of 3x3 with a quarter of the products: Winograd's minimal filtering, F(4x4, 3x3).

Lavin, Gray 2016, "Fast algorithms for convolutional neural networks", sections 4.1 to 4.3 (forward and the gradient of
the images) and section 5 (tiles gathered so that the products are 36 matrix products). A tile of 6x6 inputs gives 4x4
outputs: Y = A'[(G g G') * (B' d B)]A, 36 products for each pair of channels in place of 144. Tiles are processed in
blocks that are small enough to stay in the processor's cache, so that gathering them takes little memory.

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
"""The product that enters every output of a tile with factor one, so that a bias is added once for all 16."""
_CACHED = 16384
"""Channels times tiles that are gathered and transformed at a time, for each thread, so that they stay in its cache."""
_PRODUCT = 128
"""Tiles that are multiplied at a time, for each thread: the kernels are read once for all of them."""
_NARROW, _WIDE, _FEW, _FULL = 64, 128, 128, 0.75
"""Where the transforms cost less than the products that they save: channels of the narrower and of the wider side,
tiles, and the fraction of their outputs that is used."""


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


def pays(images: Tensor, weight: Tensor, padding: tuple[int, int]) -> bool:
    """Whether this is faster than the direct algorithm, for a 3x3 convolution with stride 1."""
    outputs, inputs = weight.shape[:2]
    tiling = _tiling(images, padding)
    wide = min(inputs, outputs) >= _NARROW and max(inputs, outputs) >= _WIDE
    return wide and tiling.count >= _FEW and tiling.images * tiling.height * tiling.width >= _FULL * 16 * tiling.count


def convolution(images: Tensor, weight: Tensor, bias: Tensor | None, padding: tuple[int, int]) -> Tensor:
    """(N, C, H, W), (O, C, 3, 3), (O,) in fp32 to (N, O, H', W'), channels last; padding of up to 2 by zeros."""
    output: Tensor = _Convolution.apply(images, weight, bias, padding)
    return output


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, bias: Tensor | None, padding: tuple[int, int]) -> Tensor:
        ctx.save_for_backward(images, weight)
        ctx.padding = padding
        return _filter(images, _transform_kernels(weight).transpose(1, 2), bias, padding)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradients: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        images, weight = ctx.saved_tensors
        down, across = ctx.padding
        back = (2 - down, 2 - across)
        image_gradient = (
            _filter(gradients, _transform_kernels(weight.flip(2, 3)), None, back) if ctx.needs_input_grad[0] else None
        )
        weight_gradient = _correlate(images, gradients, ctx.padding) if ctx.needs_input_grad[1] else None
        return image_gradient, weight_gradient, gradients.sum((0, 2, 3)) if ctx.needs_input_grad[2] else None, None


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

    def blocks(self, channels: int) -> list[list[_TileGroup]]:
        """The tiles that are multiplied together, by the groups that are transformed together."""
        blocks: list[list[_TileGroup]] = []
        block: list[_TileGroup] = []
        for images, rows in self._groups(max(1, _CACHED // channels) * torch.get_num_threads()):
            first = block[-1].tiles.stop if block else 0
            count = (images.stop - images.start) * (rows.stop - rows.start) * self.across
            block.append(_TileGroup(images, rows, slice(first, first + count)))
            if first + count >= _PRODUCT * torch.get_num_threads():
                blocks.append(block)
                block = []
        return [*blocks, block] if block else blocks

    def _groups(self, most: int) -> Iterator[tuple[slice, slice]]:
        """Images and rows of about ``most`` tiles: several images, or rows of one."""
        images, rows = max(1, most // (self.down * self.across)), max(1, most // self.across)
        for first in range(0, self.images, images):
            for top in range(0, self.down, rows):
                yield slice(first, min(first + images, self.images)), slice(top, min(top + rows, self.down))


@dataclass(frozen=True)
class _TileGroup:
    """Some rows of tiles of some images, and the indices of these tiles in their block."""

    images: slice
    rows: slice
    tiles: slice


@final
class _Workspace:
    """Memory that all blocks of a convolution use in turn: allocating it anew would cost more than the work in it."""

    def __init__(self, like: Tensor, blocks: list[list[_TileGroup]], channels: int) -> None:
        self._channels = channels
        self._all = like.new_empty(max(_POINTS * block[-1].tiles.stop for block in blocks) * channels)

    def of(self, block: list[_TileGroup]) -> Tensor:
        """(36, tiles, channels)"""
        size = _POINTS, block[-1].tiles.stop, self._channels
        return self._all[: math.prod(size)].view(size)


def _tiling(images: Tensor, padding: tuple[int, int]) -> _Tiling:
    """How the outputs are cut."""
    return _Tiling(images.shape[0], images.shape[2] + 2 * padding[0] - 2, images.shape[3] + 2 * padding[1] - 2)


def _transform_kernels(weight: Tensor) -> Tensor:
    """(O, C, 3, 3) to (36, O, C)."""
    outputs, inputs = weight.shape[:2]
    return (_KERNEL @ weight.permute(2, 3, 0, 1).reshape(9, -1)).view(_POINTS, outputs, inputs)


def _filter(images: Tensor, kernels: Tensor, bias: Tensor | None, padding: tuple[int, int]) -> Tensor:
    """(N, C, H, W) with transformed kernels (36, C, O) to (N, O, H', W')."""
    inputs, outputs = kernels.shape[1:]
    tiling = _tiling(images, padding)
    size = tiling.images, outputs, TILE * tiling.down, TILE * tiling.across
    output = torch.empty(size, dtype=images.dtype, memory_format=torch.channels_last)
    tiles = _as_tiles(output, tiling)
    blocks = tiling.blocks(max(inputs, outputs))
    workspaces = _Workspace(images, blocks, inputs), _Workspace(images, blocks, outputs)
    for block in blocks:
        products = torch.bmm(
            _inputs(images, block, tiling, padding, workspaces[0]), kernels, out=workspaces[1].of(block)
        )
        if bias is not None:
            products[_ONES] += bias
        for group in block:
            target = tiles[:, :, group.images, group.rows]
            target.copy_((_OUTPUT @ products[:, group.tiles].view(_POINTS, -1)).view(target.shape))
    if output.shape[2:] == (tiling.height, tiling.width):
        return output
    return output[:, :, : tiling.height, : tiling.width].clone(memory_format=torch.channels_last)


def _correlate(images: Tensor, gradients: Tensor, padding: tuple[int, int]) -> Tensor:
    """The gradient of a kernel (O, C, 3, 3), from the images and the gradients of the outputs (N, O, H', W')."""
    outputs, inputs = gradients.shape[1], images.shape[1]
    tiling = _tiling(images, padding)
    edge = 0, TILE * tiling.across - tiling.width, 0, TILE * tiling.down - tiling.height
    output = F.pad(gradients, edge) if any(edge) else gradients
    tiles = _as_tiles(output.contiguous(memory_format=torch.channels_last), tiling)
    total = images.new_zeros(_POINTS, outputs, inputs)
    blocks = tiling.blocks(max(inputs, outputs))
    workspaces = _Workspace(images, blocks, inputs), _Workspace(images, blocks, outputs)
    for block in blocks:
        transformed = workspaces[1].of(block)
        for group in block:
            outputs_of_group = tiles[:, :, group.images, group.rows].reshape(TILE * TILE, -1)
            torch.mm(_OUTPUT.T, outputs_of_group, out=transformed.view(_POINTS, -1)[:, _columns(group, outputs)])
        total.baddbmm_(transformed.transpose(1, 2), _inputs(images, block, tiling, padding, workspaces[0]))
    return (_KERNEL.T @ total.view(_POINTS, -1)).view(3, 3, outputs, inputs).permute(2, 3, 0, 1)


def _as_tiles(maps: Tensor, tiling: _Tiling) -> Tensor:
    """(N, O, H', W') as (4, 4, N, down, across, O), without a copy."""
    last = maps.permute(0, 2, 3, 1)
    return last.view(len(maps), tiling.down, TILE, tiling.across, TILE, -1).permute(2, 4, 0, 1, 3, 5)


def _inputs(
    images: Tensor, block: list[_TileGroup], tiling: _Tiling, padding: tuple[int, int], workspace: _Workspace
) -> Tensor:
    """(36, tiles, C) the transformed inputs of a block."""
    transformed = workspace.of(block)
    for group in block:
        gathered = _gather(images, group, tiling, padding)
        torch.mm(_INPUT, gathered, out=transformed.view(_POINTS, -1)[:, _columns(group, images.shape[1])])
    return transformed


def _columns(group: _TileGroup, channels: int) -> slice:
    return slice(group.tiles.start * channels, group.tiles.stop * channels)


def _gather(images: Tensor, group: _TileGroup, tiling: _Tiling, padding: tuple[int, int]) -> Tensor:
    """(36, tiles * C) a group's inputs."""
    channels, height, width = images.shape[1:]
    top, left = TILE * group.rows.start - padding[0], padding[1]
    bottom = TILE * group.rows.stop - padding[0] + 2
    inside = slice(max(top, 0), min(bottom, height))
    pixels = images[group.images, :, inside].permute(0, 2, 3, 1)
    field = images.new_empty(len(pixels), bottom - top, TILE * tiling.across + 2, channels)
    field[:, : inside.start - top] = 0
    field[:, inside.stop - top :] = 0
    field[:, :, :left] = 0
    field[:, :, left + width :] = 0
    field[:, inside.start - top : inside.stop - top, left : left + width] = pixels
    image, down, across, step = field.stride()
    shape = (INPUT, INPUT, len(field), group.rows.stop - group.rows.start, tiling.across, channels)
    return field.as_strided(shape, (down, across, image, TILE * down, TILE * across, step)).reshape(_POINTS, -1)
