"""Support vector machines and box regression over the features of regions, one of each for every class.

Girshick, Donahue, Darrell, Malik 2014, "Rich feature hierarchies for accurate object detection and semantic
segmentation", sections 2.3 and 3.5 and appendix C; the constants are those of the authors' program.
"""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from convolve.layers.box_coding import BoxCoder


@final
class RegionSvms(nn.Module):
    """Linear machines for C classes, and for each class linear moves of boxes, on features (M, D) times ``scale``.

    All of it is zero until it is ``fitted`` (`tasks.detect.region_training`), and belongs to the network's state.

    """

    scale: Tensor
    weight: Tensor
    bias: Tensor
    moves: Tensor
    fitted: Tensor

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.width = width
        self.register_buffer("scale", torch.ones(()))
        self.register_buffer("weight", torch.zeros(classes, width))
        self.register_buffer("bias", torch.zeros(classes))
        self.register_buffer("moves", torch.zeros(classes, 4, width + 1))
        self.register_buffer("fitted", torch.zeros((), dtype=torch.int64))

    def forward(self, features: Tensor) -> Tensor:
        """(M, D) features to (M, C) margins: above 0 on the side of the class."""
        return features * self.scale @ self.weight.T + self.bias

    def move(self, features: Tensor, regions: Tensor) -> Tensor:
        """(M, D) features of regions (M, 4) to the boxes (M, C, 4) of objects of each class in them."""
        extended = torch.cat([features * self.scale, features.new_ones(len(features), 1)], 1)
        deltas = torch.einsum("md,ckd->mck", extended, self.moves)
        return BoxCoder().decode(regions[:, None].expand(-1, len(self.moves), -1), deltas)
