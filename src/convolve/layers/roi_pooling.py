"""Regions of a map, each pooled to the same few cells.

Girshick 2015, "Fast R-CNN", section 2.1 (RoI max pooling), with the rounding of its authors' program; He, Gkioxari,
Dollár, Girshick 2017, "Mask R-CNN", section 3 (RoIAlign).

Regions are rows (K, 5): the index of an image, then left, top, right and bottom in pixels of the input. ``scale`` turns
them into cells of the map, as 1/16 does.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from convolve.layers.operators import load_operators


def roi_max_pool(maps: Tensor, regions: Tensor, side: int, scale: float) -> Tensor:
    """(N, C, H, W) maps and (K, 5) regions to the maxima of each region's bins, (K, C, side, side).

    Corners are rounded to cells, both of which belong to the region, which is therefore never empty. Its bins overlap,
    as their edges are rounded outwards; a bin outside of the map gives 0. The gradient goes to the maximum.
    """
    pooled: Tensor = _operators(maps).roi_pool(maps.float(), regions.float(), scale, side, side)[0]
    return pooled.to(maps.dtype)


def roi_align(
    maps: Tensor, regions: Tensor, side: int, scale: float, samples: int = -1, *, aligned: bool = True
) -> Tensor:
    """(N, C, H, W) maps and (K, 5) regions to the means of each region's bins, (K, C, side, side).

    Nothing is rounded: values between cells are interpolated at ``samples`` x ``samples`` points of each bin, or with
    -1 at as many as the bin has cells, rounded up. Where ``aligned``, pixel and cell have their values at their
    centers; the first programs had them half a cell apart and made every region at least one cell wide.
    """
    if samples > 0 and maps.device.type == "cpu":
        pooled = _align_by_cells(maps.float(), _points(regions, (side, samples), scale, aligned), side)
    else:
        pooled = _operators(maps).roi_align(maps.float(), regions.float(), scale, side, side, samples, aligned)
    return pooled.to(maps.dtype)


def _operators(maps: Tensor) -> Any:
    if torch.is_grad_enabled() and maps.requires_grad:
        import torchvision.ops  # noqa: F401 - registers the operators' gradients
    return load_operators()


def _points(regions: Tensor, counts: tuple[int, int], scale: float, aligned: bool) -> Tensor:
    """(K, 5) regions to where each is sampled: the images' indices, and across and down the positions in cells, for
    ``counts`` (side, samples) (K, 1 + 2 * side * samples).
    """
    side, samples = counts
    start, end = (regions[:, 1:].float() * scale - (0.5 if aligned else 0.0)).chunk(2, 1)
    sides = end - start if aligned else (end - start).clamp(min=1)
    bins = (sides / side)[:, :, None, None]
    steps = torch.arange(samples, device=regions.device) + 0.5
    positions = start[:, :, None, None] + torch.arange(side, device=regions.device)[:, None] * bins
    positions = positions + steps * bins / samples  # in the order of the operator, whose rounding it is
    return torch.cat((regions[:, :1].float(), positions.flatten(1)), 1)


def _align_by_cells(maps: Tensor, points: Tensor, side: int) -> Tensor:
    """The means of each bin's interpolated values as weighted sums of cells, whose channels are next to each other: on
    processors several times as fast as the operator, which takes one channel after the other.
    """
    count, channels, height, width = maps.shape
    across, down = points[:, 1:].chunk(2, 1)
    columns, column_weights = _neighbors(across, width, side)
    rows, row_weights = _neighbors(down, height, side)
    first = points[:, 0].long()[:, None, None] * (height * width)
    cells = (first + rows * width)[:, :, None, :, None] + columns[:, None, :, None, :]
    weights = row_weights[:, :, None, :, None] * column_weights[:, None, :, None, :]
    table = maps.permute(0, 2, 3, 1).reshape(count * height * width, channels)
    bags, parts = (each.flatten(3).flatten(0, 2) for each in (cells, weights))
    sums = F.embedding_bag(bags, table, mode="sum", per_sample_weights=parts)
    return sums.view(len(points), side, side, channels).permute(0, 3, 1, 2)


def _neighbors(positions: Tensor, length: int, side: int) -> tuple[Tensor, Tensor]:
    """(K, side * S) positions on a side of ``length`` cells to the cells (K, side, 2 * S) that those of each bin are
    between, and their weights, which add up to 1, or to less where positions are outside.
    """
    outside = (positions < -1) | (positions > length)
    positions = positions.clamp(0, length - 1)
    before = positions.floor()
    after = (before + 1).clamp(max=length - 1)
    weight = (positions - before).masked_fill(outside, 0)
    weights = torch.stack(((1 - weight).masked_fill(outside, 0), weight), -1)
    cells = torch.stack((before, after), -1).long()
    samples = positions.shape[1] // side
    shape = (len(positions), side, 2 * samples)
    return cells.reshape(shape), weights.reshape(shape) / samples
