"""Deconvnet: what in the image made a unit answer.

Zeiler, Fergus 2013, "Visualizing and understanding convolutional networks", section 2.1 and figure 2: one activation of
a map, all others set to 0, goes back down to the pixels. Pooling hands a value to the place that was the largest on the
way up, a rectifier lets what is positive pass whatever it saw on the way up, and a convolution applies its filters
transposed. That is the slope but for the rectifiers (Simonyan et al. 2013, section 4), and computed so here.

Deviations: the paper does not say what becomes of the normalization across maps; here its slope is taken. Where
pooling windows overlap and share their largest place, what they hand down adds up. Branches and shortcuts, which the
paper's network does not have, add up too. In a network without rectifiers it is the plain slope.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from convolve.errors import ExplainError
from convolve.explainers.rectifiers import rectifying
from convolve.explainers.slopes import image_slopes, stage_maps
from convolve.explainers.untouched import leaves_untouched, untouched
from convolve.models import Network


@dataclass(frozen=True)
class Projection:
    """Of N images: the ``patterns`` (N, C, H, W) that a unit's strongest activation throws back onto the pixels, and
    the ``places`` (N, 2), row and column of that activation in its map.
    """

    patterns: Tensor
    places: Tensor


def project(network: Network, images: Tensor, stage: str, channel: int) -> Projection:
    """Each (N, C, H, W) image's strongest activation in one channel of a stage, thrown back onto the pixels (figure 2).

    Raises `ExplainError` for an unknown stage or channel.
    """
    with untouched(network), rectifying(network, _arriving_positive), torch.enable_grad():
        leaf = images.detach().requires_grad_()
        maps = stage_maps(network, leaf, stage)[1]
        if not 0 <= channel < maps.shape[1]:
            raise ExplainError(f"{stage} has no channel {channel}: its channels are 0 to {maps.shape[1] - 1}.")
        strongest, places = maps[:, channel].flatten(1).max(1)
        # The slope of half the square is the activation itself, with which the way down begins.
        (patterns,) = torch.autograd.grad((strongest**2 / 2).sum(), leaf)
    return Projection(patterns.float(), torch.stack([places // maps.shape[3], places % maps.shape[3]], dim=1))


@leaves_untouched
def deconvnet(network: Network, images: Tensor, classes: Tensor, stage: str | None) -> Tensor:
    """(N, C, H, W) images to (N, H, W): the class's score thrown back, the largest of a pixel's channels."""
    del stage
    with rectifying(network, _arriving_positive):
        return image_slopes(network, images, classes).abs().amax(1)


def _arriving_positive(arriving: Tensor, left: Tensor) -> Tensor:
    del left
    return arriving.relu()
