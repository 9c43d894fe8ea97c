"""Grad-CAM++.

Chattopadhay, Sarkar, Howlader, Balasubramanian 2018, "Grad-CAM++: Generalized Gradient-based Visual Explanations for
Deep Convolutional Networks", equations 5 and 19: as Grad-CAM, but the weight of a map is a weighted sum of the slopes
that speak for the class,

    w_k = sum_ij alpha_ij relu(g_ij)   with   alpha_ij = g_ij^2 / (2 g_ij^2 + g_ij^3 sum_ab A_ab) = 1 / (2 + g_ij sum A)

so that a small object counts as much as a large one. g is the slope of the score along the map; the exponential of the
score, whose slopes the paper takes, only scales the map of an image.
"""

from __future__ import annotations

from torch import Tensor

from convolve.explainers.slopes import map_slopes
from convolve.explainers.untouched import leaves_untouched
from convolve.models import Network


@leaves_untouched
def grad_cam_plus_plus(network: Network, images: Tensor, classes: Tensor, stage: str | None) -> Tensor:
    """(N, C, H, W) images to (N, h, w), at the stage's resolution, nowhere below 0."""
    maps, slopes = map_slopes(network, images, classes, stage)
    favor = slopes.relu()
    weights = (favor / (2 + favor * maps.sum((2, 3), keepdim=True))).sum((2, 3), keepdim=True)
    return (maps * weights).sum(1).relu()
