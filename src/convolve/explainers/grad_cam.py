"""Grad-CAM.

Selvaraju, Cogswell, Das, Vedantam, Parikh, Batra 2017, "Grad-CAM: Visual Explanations from Deep Networks via
Gradient-based Localization", equations 1 and 2:

    L_c = relu(sum_k alpha_k^c A^k)   with   alpha_k^c = mean_ij dS_c / dA^k_ij

Where the maps are averaged and weighted by a dense layer alone, alpha is w / (h w) and the map that of CAM, divided by
the number of places, without what speaks against the class.
"""

from __future__ import annotations

from torch import Tensor

from convolve.explainers.slopes import map_slopes
from convolve.explainers.untouched import leaves_untouched
from convolve.models import Network


@leaves_untouched
def grad_cam(network: Network, images: Tensor, classes: Tensor, stage: str | None) -> Tensor:
    """(N, C, H, W) images to (N, h, w), at the stage's resolution, nowhere below 0."""
    maps, slopes = map_slopes(network, images, classes, stage)
    return (maps * slopes.mean((2, 3), keepdim=True)).sum(1).relu()
