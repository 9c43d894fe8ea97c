"""Small networks of many kinds, and images for them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from convolve.models import Network, card, create

CLASSES = 6


@torch.no_grad()
def network(name: str, seed: int = 0) -> Network:
    """In evaluation mode; scales of normalization below 1, as training makes them, keep deep signals in bounds."""
    side = max(card(name).minimum, 32)
    made = create(name, CLASSES, size=(side, side), seed=seed)
    for layer in made.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.weight.fill_(0.5)
            layer.bias.uniform_(-0.1, 0.2, generator=torch.Generator().manual_seed(seed))
    return made.eval()


def images(of: Network, count: int = 2, larger: int = 1, seed: int = 0) -> Tensor:
    """(count, C, H, W) noise of the network's smallest size, or so many times as large."""
    side = max(of.card.minimum, 32) * larger
    random = torch.Generator().manual_seed(seed)
    return torch.randn(count, of.card.input[0], side, side, generator=random)
