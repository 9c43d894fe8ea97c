"""Saliency: the slope of the score along the pixels.

Simonyan, Vedaldi, Zisserman 2013, "Deep Inside Convolutional Networks: Visualizing Image Classification Models and
Saliency Maps", section 3:

    M_ij = max_c |dS / dI_cij|

with the score before the softmax; of a pixel's channels the one with the largest slope counts (section 3.1).
"""

from __future__ import annotations

from torch import Tensor

from convolve.explainers.slopes import image_slopes
from convolve.explainers.untouched import leaves_untouched
from convolve.models import Network


@leaves_untouched
def saliency(network: Network, images: Tensor, classes: Tensor, stage: str | None) -> Tensor:
    """(N, C, H, W) images to (N, H, W), nowhere below 0."""
    del stage
    return image_slopes(network, images, classes).abs().amax(1)
