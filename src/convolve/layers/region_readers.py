"""What R-CNN, SPP-net and Fast R-CNN read of a region: a window of the image, or cells of a map, pooled.

Girshick, Donahue, Darrell, Malik 2014, "Rich feature hierarchies for accurate object detection and semantic
segmentation", appendix A; He, Zhang, Ren, Sun 2014, "Spatial pyramid pooling in deep convolutional networks for visual
recognition", sections 2.2 and 4 and its appendix; Girshick 2015, "Fast R-CNN", section 2.1.
"""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from convolve.layers.roi_pooling import roi_max_pool

CONTEXT = 16 / 227
LEVELS = (6, 3, 2, 1)


@final
class WarpedWindow(nn.Module):
    """Regions as images of ``size`` x ``size``, both axes scaled apart, with a margin on each side that shows what is
    around the region: 16 pixels of 227. Outside of the image pixels are 0, which is the mean of normalized images.

    Deviations: windows are cut from the network's input, and their edges are not rounded to whole pixels.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, images: Tensor, regions: Tensor, image: Tensor) -> Tensor:
        """Images (N, C, H, W) and regions (M, 4) of the images ``image`` (M,) to (M, C, size, size)."""
        windows = images.new_empty(len(regions), images.shape[1], self.size, self.size)
        centers, sides = (regions[:, :2] + regions[:, 2:]) / 2, regions[:, 2:] - regions[:, :2]
        sides = sides / (1 - 2 * CONTEXT)
        steps = (torch.arange(self.size, device=regions.device) + 0.5) / self.size - 0.5
        points = centers[:, None] + steps[:, None] * sides[:, None]  # (M, size, 2): x and y of the columns and rows
        limits = torch.tensor(images.shape[:1:-1], device=regions.device)
        points = 2 * points / limits - 1
        shape = (-1, self.size, self.size)
        grids = torch.stack([points[:, None, :, 0].expand(shape), points[:, :, None, 1].expand(shape)], -1)
        for number in sorted(set(image.tolist())):
            rows = (image == number).nonzero()[:, 0]
            pixels = images[number].expand(len(rows), -1, -1, -1)
            windows[rows] = F.grid_sample(pixels, grids[rows].to(pixels), align_corners=False)
        return windows

    def cells(self, regions: Tensor) -> Tensor:
        """The regions themselves: each is another window."""
        return regions

    def blank(self, images: Tensor, count: int) -> Tensor:
        """Zeros as large as ``count`` windows."""
        return images.new_zeros(count, images.shape[1], self.size, self.size)


@final
class RegionPooling(nn.Module):
    """The maximum in each of ``bins`` x ``bins`` parts of a region, of a map with a step of ``stride`` pixels."""

    def __init__(self, bins: int, stride: int) -> None:
        super().__init__()
        self.bins, self.stride = bins, stride

    def forward(self, map_: Tensor, regions: Tensor, image: Tensor) -> Tensor:
        """A map (N, C, H, W) and regions (M, 4) of the images ``image`` (M,) to (M, C, bins, bins)."""
        return roi_max_pool(map_, _rows(regions, image), self.bins, 1 / self.stride)

    def cells(self, regions: Tensor) -> Tensor:
        """The first and last cell of the map in both directions."""
        return torch.cat([regions[:, :2], regions[:, 2:] - 1], 1).div(self.stride).add(0.5).floor()

    def blank(self, map_: Tensor, count: int) -> Tensor:
        """Zeros as large as ``count`` pooled regions."""
        return map_.new_zeros(count, map_.shape[1], self.bins, self.bins)


@final
class PyramidPooling(nn.Module):
    """The maximum in each part of a pyramid: a region of a map with a step of ``stride`` pixels in ``levels`` x
    ``levels`` parts, level after level.

    A region begins at the cell after the one in which its left and upper edge lie, and ends before that of the right
    and lower ones, so that the centers of all of its cells lie inside; it has one cell at least. Part i of n of a cells
    reaches from the floor of i a / n to the ceiling of (i + 1) a / n.
    """

    def __init__(self, stride: int, levels: tuple[int, ...] = LEVELS) -> None:
        super().__init__()
        self.stride, self.levels = stride, levels

    def forward(self, map_: Tensor, regions: Tensor, image: Tensor) -> Tensor:
        """A map (N, C, H, W) and regions (M, 4) of the images ``image`` (M,) to (M, C, bins of all levels)."""
        cells = self.cells(regions)
        rows = torch.cat([image[:, None].to(cells), cells], 1)
        pooled = [roi_max_pool(map_, rows, bins, 1.0).flatten(2) for bins in self.levels]
        return torch.cat(pooled, 2)

    def cells(self, regions: Tensor) -> Tensor:
        """The first and last cell of the map in both directions."""
        first = (regions[:, :2] / self.stride).floor() + 1
        last = ((regions[:, 2:] - 1) / self.stride).ceil() - 1
        middle = ((regions[:, :2] + regions[:, 2:]) / 2 / self.stride).floor()
        narrow = last < first
        return torch.cat([first.where(~narrow, middle), last.where(~narrow, middle)], 1)

    def blank(self, map_: Tensor, count: int) -> Tensor:
        """Zeros as large as ``count`` pooled regions."""
        return map_.new_zeros(count, map_.shape[1], sum(level**2 for level in self.levels))


def _rows(regions: Tensor, image: Tensor) -> Tensor:
    """(M, 5) the image, then the first and last pixels of a region: both ends belong to it in the authors' programs."""
    return torch.cat([image[:, None].to(regions), regions[:, :2], regions[:, 2:] - 1], 1)
