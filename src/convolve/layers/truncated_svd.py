"""Dense layers as products of two smaller ones.

Girshick 2015, "Fast R-CNN", section 3.1: W, of which a singular value decomposition is cut off, is U times the singular
values times V transposed; one layer without biases multiplies by the latter two, and a second one by U.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

RANKS = (1024, 256)
"""Of fc6 and fc7, as in the paper."""


@torch.no_grad()
def truncate_layer(layer: nn.Linear, rank: int) -> nn.Sequential:
    """The two layers whose product is the nearest of that rank."""
    left, values, right = torch.linalg.svd(layer.weight.float(), full_matrices=False)
    first = nn.Linear(layer.in_features, rank, bias=False, device=layer.weight.device)
    second = nn.Linear(rank, layer.out_features, bias=layer.bias is not None, device=layer.weight.device)
    first.weight.copy_(values[:rank, None] * right[:rank])
    second.weight.copy_(left[:, :rank])
    if layer.bias is not None:
        second.bias.copy_(layer.bias)
    return nn.Sequential(first, second)


def truncate_layers(module: nn.Module, ranks: Sequence[int] = RANKS) -> int:
    """Truncate, in place, as many of the dense layers in chains of a module as there are ranks, those first in order
    that become smaller by it. How many became so.
    """
    chains = [part for part in module.modules() if isinstance(part, nn.Sequential)]
    dense = [
        (chain, name, layer)
        for chain in chains
        for name, layer in chain.named_children()
        if isinstance(layer, nn.Linear)
    ]
    done = 0
    for (chain, name, layer), rank in zip(dense, ranks, strict=False):
        if rank * (layer.in_features + layer.out_features) < layer.weight.numel():
            setattr(chain, name, truncate_layer(layer, rank))
            done += 1
    return done
