"""Points as heatmaps, and back.

A heatmap of a point is a Gaussian around it, 1 at its center (Tompson, Jain, LeCun, Bregler 2014, "Joint training of a
convolutional network and a graphical model for human pose estimation"). Back, the greatest value says the position to
a cell, and a parabola through the logarithms of it and its two neighbors, along each axis, to a fraction of one: of a
Gaussian that is exact (Zhang, Zhu, Dai, Ye, Zhu 2020, "Distribution-aware coordinate representation for human pose
estimation", without the smoothing). Or the position is the mean of all cells, each weighed by the softmax of its value,
which has gradients (Sun, Xiao, Wei, Liang, Wei 2018, "Integral human pose regression").

Positions are in pixels of the network's input, counted from the outer edge of the first one.
"""

from __future__ import annotations

import torch
from torch import Tensor

_LEAST = 1e-6  # of a heatmap's value, for its logarithm


def gaussian_maps(points: Tensor, shape: tuple[int, int], size: tuple[int, int], sigma: float) -> Tensor:
    """(N, P, 2) points in an input of a ``size`` (height, width) to (N, P, *shape) maps; ``sigma`` in pixels."""
    columns, rows = (_centers(cells, side, points) for cells, side in zip(shape[::-1], size[::-1], strict=True))
    across = torch.exp(-((columns - points[..., 0, None]) ** 2) / (2 * sigma**2))
    down = torch.exp(-((rows - points[..., 1, None]) ** 2) / (2 * sigma**2))
    return down[..., :, None] * across[..., None, :]


def find_peaks(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """(N, P, h, w) heatmaps of inputs of a ``size`` (height, width) to (N, P, 3): x, y, and the value there, from 0 to
    1.
    """
    height, width = maps.shape[2:]
    value, best = maps.flatten(2).max(2)
    row, column = best // width, best % width
    x = (column + 0.5 + _offset(maps, row, column, 3)) * (size[1] / width)
    y = (row + 0.5 + _offset(maps, row, column, 2)) * (size[0] / height)
    return torch.stack([x, y, value.clamp(0, 1)], 2)


def find_means(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """As `find_peaks`, by the mean of all cells; the value is the softmax's greatest one."""
    weights = maps.flatten(2).softmax(2).view_as(maps)
    columns, rows = (_centers(maps.shape[axis], size[axis - 2], maps) for axis in (3, 2))
    x, y = (weights.sum(2) * columns).sum(2), (weights.sum(3) * rows).sum(2)
    return torch.stack([x, y, weights.flatten(2).amax(2)], 2)


def _centers(cells: int, side: int, like: Tensor) -> Tensor:
    """(cells,) the centers of a map's cells along a side of the input."""
    return (torch.arange(cells, device=like.device, dtype=like.dtype) + 0.5) * (side / cells)


def _offset(maps: Tensor, row: Tensor, column: Tensor, axis: int) -> Tensor:
    """(N, P) from the center of the greatest cell to the top of a parabola along an axis; 0 at the map's edge."""
    position, length = (column, maps.shape[3]) if axis == 3 else (row, maps.shape[2])
    inner = position.clamp(1, max(length - 2, 1))
    values = []
    for step in (-1, 0, 1):
        there = (inner + step).clamp(0, length - 1)
        index = row * maps.shape[3] + there if axis == 3 else there * maps.shape[3] + column
        values.append(maps.flatten(2).gather(2, index[..., None])[..., 0].clamp(min=_LEAST).log())
    before, middle, after = values
    bend = 2 * middle - before - after
    offset = (after - before) / (2 * bend.clamp(min=_LEAST))
    usable = (inner == position) & (bend > _LEAST)
    return torch.where(usable, offset.clamp(-0.5, 0.5), torch.zeros_like(offset))
