"""The features that a network's scores are made of: what its last layer with weights reads."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from convolve.errors import NetworkError
from convolve.explainers.untouched import untouched
from convolve.layers.lecun import RadialBasis
from convolve.models import Network

_SCORING = nn.Linear | nn.Conv2d | RadialBasis


def scoring_layer(network: Network) -> nn.Module:
    """The last layer of the head that has weights. Raises `NetworkError` for a head without."""
    found = [layer for layer in network.head.modules() if isinstance(layer, _SCORING)]
    if not found:
        raise NetworkError("The network's head has no layer with weights, so that there are no features before it.")
    return found[-1]


def penultimate(network: Network, images: Tensor) -> Tensor:
    """(N, C, H, W) network inputs to (N, features); of a map, as the last 1x1 convolution of network in network reads
    it, each channel's mean.
    """
    read: list[Tensor] = []
    with untouched(network), torch.no_grad():
        scoring_layer(network).register_forward_pre_hook(lambda _layer, given: read.append(given[0]))
        network(images)
    features = read[0].float()
    return features.mean((2, 3)) if features.dim() == 4 else features
