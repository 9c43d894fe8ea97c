"""Instance normalization of an image that goes through the network in tiles.

Each tile would be normalized by its own mean and deviation, and tiles could be told from each other. So the statistics
of every such layer are those of the whole image at a smaller size, and the same for all tiles.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Statistics = Mapping[nn.GroupNorm, tuple[Tensor, Tensor]]
"""The mean and the variance of each channel (C,), by layer."""


def measure_statistics(network: nn.Module, image: Tensor) -> Statistics:
    """Those by which the layers of a network normalize an image (1, C, H, W)."""
    found: dict[nn.GroupNorm, tuple[Tensor, Tensor]] = {}

    def measure(layer: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        del output
        maps = inputs[0][0].float()
        var, mean = torch.var_mean(maps.reshape(layer.num_groups, -1), 1, correction=0)
        repeats = layer.num_channels // layer.num_groups
        found[layer] = mean.repeat_interleave(repeats), var.repeat_interleave(repeats)

    with _hooked(network, measure):
        network(image)
    return found


@contextmanager
def fixed_statistics(network: nn.Module, statistics: Statistics) -> Iterator[None]:
    """For the length of a block, the network's layers normalize by these."""

    def normalize(layer: Any, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        mean, var = statistics[layer]
        return F.batch_norm(inputs[0], mean, var, layer.weight, layer.bias, eps=layer.eps).to(output.dtype)

    with _hooked(network, normalize):
        yield


@contextmanager
def _hooked(network: nn.Module, hook: Any) -> Iterator[None]:
    layers = [layer for layer in network.modules() if isinstance(layer, nn.GroupNorm)]
    handles = [layer.register_forward_hook(hook) for layer in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
