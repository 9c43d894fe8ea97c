"""Eigen-CAM.

Muhammad, Yeasin 2020, "Eigen-CAM: Class Activation Map using Principal Components", section III: the maps of a stage,
read as one vector per place, projected on their first principal component. It asks for no class: every class gets the
same map.

Deviations: the vectors are centerd before, as principal components are and as others have it; the paper's formula
leaves their mean in. Its sign, which is arbitrary, is taken so that places with long vectors are positive. What is
negative is cut off.
"""

from __future__ import annotations

import torch
from torch import Tensor

from convolve.explainers.slopes import stage_maps
from convolve.explainers.untouched import leaves_untouched
from convolve.models import Network


@leaves_untouched
@torch.no_grad()
def eigen_cam(network: Network, images: Tensor, classes: Tensor, stage: str | None) -> Tensor:
    """(N, C, H, W) images to (N, h, w), at the stage's resolution, nowhere below 0."""
    del classes
    maps = stage_maps(network, images, stage)[1].float()
    vectors = maps.flatten(2).transpose(1, 2)
    centerd = vectors - vectors.mean(1, keepdim=True)
    component = torch.linalg.svd(centerd, full_matrices=False).Vh[:, 0]
    projected = (centerd * component[:, None]).sum(2)
    positive = (projected * vectors.norm(dim=2)).sum(1, keepdim=True) >= 0
    return torch.where(positive, projected, -projected).relu().view(-1, *maps.shape[2:])
