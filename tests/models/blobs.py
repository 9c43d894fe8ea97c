"""Images whose bright blobs are one class and their surroundings another, and a short training on them."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from convolve.models import Network


def blobs(channels: int, side: int, count: int = 4) -> tuple[Tensor, Tensor]:
    """(count, channels, side, side) images and (count, side, side) classes."""
    random = torch.Generator().manual_seed(13)
    coarse = torch.randn(count, 1, 4, 4, generator=random)
    smooth = F.interpolate(coarse, (side, side), mode="bilinear", align_corners=False)
    images = (smooth > 0) * 2.0 - 1 + 0.3 * torch.randn(count, channels, side, side, generator=random)
    return images, (smooth[:, 0] > 0).long()


def ten_steps(network: Network, side: int, rate: float) -> tuple[float, float]:
    """The loss before and after ten steps with dropout off."""
    images, targets = blobs(network.card.input[0], side)
    for layer in network.train().modules():
        if isinstance(layer, nn.Dropout):
            layer.eval()
    optimizer = torch.optim.SGD((value for value in network.parameters() if value.requires_grad), rate, 0.9)
    losses = []
    for _ in range(11):
        loss = F.cross_entropy(network(images), targets)
        losses.append(float(loss.detach()))
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
    return losses[0], losses[-1]
