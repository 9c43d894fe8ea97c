"""Poolings that torch lacks, and the way back from one.

Torch's own follow the rules of other frameworks on request: with `ceil_mode`, sizes and windows of maximum and average
pooling are those of Caffe and cuda-convnet, which round up.
"""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from convolve.layers.description import Leaf, Parallel, sliding

SIDE = 2


@final
class MinPool2d(nn.Module):
    """The minimum of each window, which the lectures compare with maximum and average pooling; padding counts for none.

    Shape: (N, channels, H, W) -> (N, channels, H / 2, W / 2)
    """

    def __init__(self, kernel_size: int = 2, stride: int = 2, padding: int = 0, *, ceil_mode: bool = False) -> None:
        super().__init__()
        self.kernel_size, self.stride, self.padding, self.ceil_mode = kernel_size, stride, padding, ceil_mode

    def forward(self, maps: Tensor) -> Tensor:
        """(N, channels, H, W) to the minima of the windows."""
        return -F.max_pool2d(-maps, self.kernel_size, self.stride, self.padding, ceil_mode=self.ceil_mode)

    def describe(self) -> Leaf:
        """A pooling."""
        return Leaf("pooling", "min pool", sliding(self))


@final
class Unpooling(nn.Module):
    """Every value goes back to the position at which 2x2 pooling found it, with zeros around it.

    ``maps`` (N, channels, H / 2, W / 2), rounded up, and ``pooled`` (N, channels, H, W), the map whose pooling they
    undo, give (N, channels, H, W). The positions are not passed on by the pooling but found again by pooling once more:
    that costs one comparison per value, next to the thousands of multiply-adds of a convolution, and no gradient.

    In bfloat16, values that differ by less than 0.4 % become equal or change order, and one window in a few hundred has
    its maximum elsewhere than in float32: that changes the scores of a randomly initialized SegNet by a fifth, those of
    a trained one by a fortieth. Pooling in float32 would not help, as the convolutions before it do the rounding.

    Zeiler, Fergus 2014, "Visualizing and understanding convolutional networks", section 2.1 ("switches"); Noh, Hong,
    Han 2015, "Learning deconvolution network for semantic segmentation", section 3.2.1, figure 3; Badrinarayanan,
    Kendall, Cipolla 2015, "SegNet", section 3, figure 3.
    """

    def forward(self, maps: Tensor, pooled: Tensor) -> Tensor:
        """The values of ``maps`` at the positions of the maxima in ``pooled``."""
        return F.max_unpool2d(maps, _max_positions(pooled), [SIDE, SIDE], output_size=list(pooled.shape[2:]))


@torch.no_grad()
def _max_positions(pooled: Tensor) -> Tensor:
    """(N, C, H / 2, W / 2), rounded up, of row * W + column of each window's maximum, the first of equal values."""
    _, positions = F.max_pool2d(pooled, SIDE, ceil_mode=True, return_indices=True)
    return positions


@final
class SpatialPyramid(nn.Module):
    """A map and its maxima in windows of 13, 9 and 5 around each position, next to each other, the map last.

    The YOLO authors' file `yolov3-spp.cfg`, after He et al. 2014, "Spatial pyramid pooling in deep convolutional
    networks", whose pyramid has levels of fixed numbers of windows.

    Shape: (N, channels, H, W) -> (N, 4 * channels, H, W)
    """

    def __init__(self) -> None:
        super().__init__()
        self.pools = nn.ModuleList(nn.MaxPool2d(side, 1, padding=side // 2) for side in (13, 9, 5))
        self.identity = nn.Identity()

    def forward(self, maps: Tensor) -> Tensor:
        """(N, channels, H, W) maps to four times the channels."""
        return torch.cat([*(pool(maps) for pool in self.pools), self.identity(maps)], 1)

    def describe(self) -> Parallel:
        """The poolings, and what passes them."""
        return Parallel(("pools.0", "pools.1", "pools.2", "identity"))
