"""The maps of several classes of an image for little more than one: what is common to them runs once."""

from __future__ import annotations

import torch
from torch import Tensor

from convolve.explainers.cam import averaged_head
from convolve.explainers.methods import METHODS, Method
from convolve.explainers.slopes import stage_maps
from convolve.explainers.untouched import untouched
from convolve.models import Network


def own_method(network: Network) -> Method:
    """CAM where the network can give it, else Grad-CAM."""
    return METHODS["cam" if averaged_head(network) else "grad-cam"]


def class_maps(network: Network, images: Tensor, places: Tensor, classes: Tensor) -> Tensor:
    """(N, C, H, W) images, and (M,) places among them with (M,) classes, to (M, h, w) raw values of `own_method`.

    They are those of ``images[places]`` at the resolution of the last stage with a map. Stages before that one run once
    for each image. Leaves nothing on the network. Raises `ExplainError` where there is no map.
    """
    with torch.inference_mode(mode=False), untouched(network), torch.no_grad():
        last, _ = stage_maps(network, images[:1])
        names = list(network.stages)
        before = names[: names.index(last)]
        maps = images
        for name in before:
            maps = network.stages[name](maps)
    behind = network.tail(before[-1]) if before else network
    return own_method(network).heat(behind, maps[places], classes, None)
