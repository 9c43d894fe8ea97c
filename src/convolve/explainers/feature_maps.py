"""What leaves the stages of a network: its feature maps, by the stage contract, without a layer's name."""

from __future__ import annotations

import torch
from torch import Tensor

from convolve.errors import NetworkError
from convolve.explainers.untouched import untouched
from convolve.models import Network
from convolve.values import Floats


def feature_maps(network: Network, images: Tensor) -> dict[str, Floats]:
    """(N, C, H, W) network inputs to every stage's map (N, channels, h, w), by the stage's name."""
    with untouched(network), torch.no_grad():
        return {name: maps.float().cpu().numpy() for name, maps in network.features(images).items()}


def chosen_stage(network: Network, stage: str | None) -> str:
    """The stage asked for, or the last one. Raises `NetworkError` for one that the network does not have."""
    names = list(network.stages)
    if stage is not None and stage not in names:
        raise NetworkError(f"The network has no {stage}; it has {', '.join(names)}.")
    return stage or names[-1]


def map_of(network: Network, images: Tensor, stage: str) -> Tensor:
    """(N, C, H, W) to the map (N, channels, h, w) of one stage, computing nothing behind it; slopes flow through."""
    for name, layers in network.stages.items():
        images = layers(images)
        if name == stage:
            break
    return images
