"""Layer-CAM.

Jiang, Zhang, Hou, Cheng, Wei 2021, "LayerCAM: Exploring Hierarchical Class Activation Maps for Localization",
equations 5 to 7: every place of every map has its own weight, its slope where that speaks for the class,

    L_c = relu(sum_k relu(dS_c / dA^k_ij) A^k_ij)

which also makes sense of early stages, whose maps are fine.
"""

from __future__ import annotations

from torch import Tensor

from convolve.explainers.slopes import map_slopes
from convolve.explainers.untouched import leaves_untouched
from convolve.models import Network


@leaves_untouched
def layer_cam(network: Network, images: Tensor, classes: Tensor, stage: str | None) -> Tensor:
    """(N, C, H, W) images to (N, h, w), at the stage's resolution, nowhere below 0."""
    maps, slopes = map_slopes(network, images, classes, stage)
    return (slopes.relu_() * maps).sum(1).relu()
