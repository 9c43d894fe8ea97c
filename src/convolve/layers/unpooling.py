"""Unpooling by remembered places.

Zeiler, Fergus 2014, "Visualizing and understanding convolutional networks", section 2.1 ("switches"); Noh, Hong, Han
2015, "Learning deconvolution network for semantic segmentation", section 3.2.1, figure 3; Badrinarayanan, Kendall,
Cipolla 2015, "SegNet", section 3, figure 3.
"""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SIDE = 2


@final
class Unpooling(nn.Module):
    """Every value goes back to the place where 2x2 pooling found it, with zeros around it.

    ``maps`` (N, channels, H / 2, W / 2), rounded up, and ``pooled`` (N, channels, H, W), the map whose pooling they
    undo, give (N, channels, H, W). The places are not handed down from the pooling but found once more, by pooling
    again: a comparison per value, beside the thousands of multiply-adds of a convolution, and no gradient.

    In bfloat16 values that differ by less than 0.4 % become equal or change places, and one window in a few hundred has
    its maximum elsewhere than in float32: in a fresh SegNet that moves the scores by a fifth, in one that has learned
    by a fortieth. Pooling in float32 would not help, as it is the convolutions before it that round.
    """

    def forward(self, maps: Tensor, pooled: Tensor) -> Tensor:
        """The values of ``maps`` at the places of the maxima in ``pooled``."""
        return F.max_unpool2d(maps, _places(pooled), [SIDE, SIDE], output_size=list(pooled.shape[2:]))


@torch.no_grad()
def _places(pooled: Tensor) -> Tensor:
    """(N, channels, H / 2, W / 2), rounded up, of row * W + column, the first of equal values."""
    _, places = F.max_pool2d(pooled, SIDE, ceil_mode=True, return_indices=True)
    return places
