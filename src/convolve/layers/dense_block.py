"""Dense connectivity.

Huang, Liu, van der Maaten, Weinberger 2016, "Densely connected convolutional networks", section 3. Memory: Pleiss et
al. 2017, "Memory-efficient implementation of DenseNets".
"""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Callable, Iterator
from functools import partial
from typing import cast, final

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from convolve.layers.description import Growing

Growth = Callable[[int, int], nn.Sequential]
"""Builds the layer H_l for the channels that enter it and the number of maps that it adds."""


@final
class DenseBlock(nn.Module):
    """Every layer reads the maps of all before it and adds ``growth`` maps: x_l = H_l([x_0, …, x_(l-1)]), equation 2.

    (N, channels, H, W) maps become (N, channels + count * growth, H, W); ``channels`` is what leaves the block.

    With ``recompute`` a training step stores none of the concatenations and normalized copies, whose memory grows with
    the square of ``count``: the backward pass computes them again from the layers' maps. Results are the same, running
    statistics included.
    """

    def __init__(self, count: int, channels: int, growth: int, layer: Growth) -> None:
        super().__init__()
        self.recompute = False
        self.growth = growth
        self.channels = channels + count * growth
        self.layers = nn.ModuleList(layer(channels + index * growth, growth) for index in range(count))

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, H, W) maps to (N, C + count * growth, H, W), those that entered first."""
        outputs = [maps]
        for layer in self.layers:
            outputs.append(self._added_maps(cast(nn.Sequential, layer), outputs))
        return torch.cat(outputs, 1)

    def describe(self) -> Growing:
        """Equal layers."""
        return Growing("layers.0", len(self.layers), self.growth)

    def _added_maps(self, layer: nn.Sequential, outputs: list[Tensor]) -> Tensor:
        cheap, later = layer[:3], layer[3:]  # normalization, ReLU and the convolution that reads the copy
        if self.recompute and torch.is_grad_enabled():
            second_pass = partial(_without_statistics, cheap)
            narrow: Tensor = checkpoint(
                partial(_concatenate_into, cheap),
                *outputs,
                use_reentrant=False,
                context_fn=lambda: (contextlib.nullcontext(), second_pass()),
            )
        else:
            narrow = _concatenate_into(cheap, *outputs)
        maps: Tensor = later(narrow)
        return maps


def composite(channels: int, width: int) -> nn.Sequential:
    """BN, ReLU, 3x3 convolution: H_l of the basic DenseNet ("Composite function").

    Shape: (N, channels, H, W) -> (N, width, H, W)
    """
    return nn.Sequential(
        OrderedDict(
            norm1=nn.BatchNorm2d(channels),
            relu1=nn.ReLU(inplace=True),
            conv1=nn.Conv2d(channels, width, 3, padding=1, bias=False),
        )
    )


def bottleneck(channels: int, width: int) -> nn.Sequential:
    """BN, ReLU, 1x1 convolution to 4 * width maps, then the composite function: H_l of DenseNet-B.

    Shape: (N, channels, H, W) -> (N, width, H, W)
    """
    return nn.Sequential(
        OrderedDict(
            norm1=nn.BatchNorm2d(channels),
            relu1=nn.ReLU(inplace=True),
            conv1=nn.Conv2d(channels, 4 * width, 1, bias=False),
            norm2=nn.BatchNorm2d(4 * width),
            relu2=nn.ReLU(inplace=True),
            conv2=nn.Conv2d(4 * width, width, 3, padding=1, bias=False),
        )
    )


def transition(channels: int, outputs: int) -> nn.Sequential:
    """BN, ReLU, 1x1 convolution and 2x2 average pooling between two blocks.

    Shape: (N, channels, H, W) -> (N, outputs, H / 2, W / 2)
    """
    return nn.Sequential(
        OrderedDict(
            norm=nn.BatchNorm2d(channels),
            relu=nn.ReLU(inplace=True),
            conv=nn.Conv2d(channels, outputs, 1, bias=False),
            pool=nn.AvgPool2d(2),
        )
    )


def _concatenate_into(layers: nn.Sequential, *maps: Tensor) -> Tensor:
    output: Tensor = layers(torch.cat(maps, 1))
    return output


@contextlib.contextmanager
def _without_statistics(layers: nn.Sequential) -> Iterator[None]:
    """Normalize by the batch's statistics without adding them to the running ones a second time."""
    norms = [layer for layer in layers if isinstance(layer, nn.BatchNorm2d)]
    saved = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for norm, (momentum, batches) in zip(norms, saved, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, batches
