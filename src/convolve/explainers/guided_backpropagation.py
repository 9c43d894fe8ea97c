"""Guided backpropagation.

Springenberg, Dosovitskiy, Brox, Riedmiller 2014, "Striving for Simplicity: The All Convolutional Net", section 3.4 and
figure 1: the slope of the score along the pixels, but that at each rectifier only what is positive on both ways passes,

    R^l = (f^l > 0) (R^(l+1) > 0) R^(l+1)

The pictures are sharp, and mostly show the image's edges: they hardly change when the network's weights are random
(Adebayo et al. 2018; Nie, Zhang, Patel 2018). In a network without rectifiers it is the plain slope.
"""

from __future__ import annotations

from torch import Tensor

from convolve.explainers.rectifiers import rectifying
from convolve.explainers.slopes import image_slopes
from convolve.explainers.untouched import leaves_untouched, untouched
from convolve.models import Network


def guided_slopes(network: Network, images: Tensor, classes: Tensor) -> Tensor:
    """(N, C, H, W) images to (N, C, H, W) guided slopes of each image's class's score, for pictures in color."""
    with untouched(network), rectifying(network, _both_positive):
        return image_slopes(network, images, classes).float()


@leaves_untouched
def guided_backpropagation(network: Network, images: Tensor, classes: Tensor, stage: str | None) -> Tensor:
    """(N, C, H, W) images to (N, H, W), the largest of a pixel's channels; nowhere below 0."""
    del stage
    return guided_slopes(network, images, classes).abs().amax(1)


def _both_positive(arriving: Tensor, left: Tensor) -> Tensor:
    return arriving.relu() * (left > 0)
