"""Instance normalization of an image that goes through the network in tiles.

Each tile would be normalized by its own mean and deviation, and tiles could be told from each other. So every such
layer normalizes all tiles by the same statistics: those of parts of the image, at its own scale, that are evenly spread
over it and go through the network together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Statistics = Mapping[nn.Module, tuple[Tensor, Tensor]]
"""The mean and the variance of each channel (C,), by layer."""


def normalizes_each_image(network: nn.Module) -> bool:
    """Whether what becomes of a pixel depends on all of its image."""
    return any(isinstance(layer, nn.GroupNorm) for layer in network.modules())


def measure_statistics(network: nn.Module, parts: Tensor) -> Statistics:
    """Those of the parts (N, C, h, w) of an image, taken together, before each layer that normalizes single images."""
    found: dict[nn.Module, tuple[Tensor, Tensor]] = {}

    def measure(layer: Any, maps: Tensor) -> tuple[Tensor, Tensor]:
        size = layer.num_channels // layer.num_groups
        groups = maps.float().reshape(len(maps), layer.num_groups, size, *maps.shape[2:])
        var, mean = torch.var_mean(groups, (0, 2, 3, 4), correction=0)
        found[layer] = mean.repeat_interleave(size), var.repeat_interleave(size)
        return found[layer]

    with _normalizing(network, measure):
        network(parts)
    return found


@contextmanager
def fixed_statistics(network: nn.Module, statistics: Statistics) -> Iterator[None]:
    """For the length of a block, the network's layers normalize by these."""
    with _normalizing(network, lambda layer, _: statistics[layer]):
        yield


@contextmanager
def _normalizing(network: nn.Module, statistics: Callable[[Any, Tensor], tuple[Tensor, Tensor]]) -> Iterator[None]:
    """For the length of a block, layers normalize by what is given for them and what enters them."""

    def normalize(layer: Any, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        mean, var = statistics(layer, inputs[0])
        return F.batch_norm(inputs[0], mean, var, layer.weight, layer.bias, eps=layer.eps).to(output.dtype)

    layers = [layer for layer in network.modules() if isinstance(layer, nn.GroupNorm)]
    handles = [layer.register_forward_hook(normalize) for layer in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
