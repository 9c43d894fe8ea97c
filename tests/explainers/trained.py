"""A small network of convolutions and rectifiers that has learned scikit-learn's digits, in a few seconds."""

from __future__ import annotations

import functools

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

from convolve.models.network import Card, Network, Stage

SIDE = 16
_CARD = Card("tiny", "Tiny", "-", 2026, "-", "-", (1, SIDE, SIDE), 10, SIDE)


def digits() -> tuple[Tensor, Tensor]:
    """(N, 1, 16, 16) normalized images and (N,) classes."""
    found = load_digits()
    images = torch.from_numpy((found.images / 16).astype(np.float32))[:, None]
    images = F.interpolate(images, (SIDE, SIDE), mode="bilinear", align_corners=False)
    return (images - images.mean()) / images.std(), torch.from_numpy(found.target.astype(np.int64))


@functools.cache
def trained() -> Network:
    """The network, in evaluation mode; it ends in global average pooling. Nobody may change it."""
    network = initialized(0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network.train()
        images, classes = digits()
        optimizer = torch.optim.Adam(network.parameters(), 0.01)
        order = torch.arange(len(images))
        for _ in range(6):
            order = order[torch.randperm(len(order))]
            for some in torch.split(order, 64):
                optimizer.zero_grad()
                torch.autograd.backward(F.cross_entropy(network(images[some]), classes[some]))
                optimizer.step()
    return network.eval()


def initialized(seed: int) -> Network:
    """The same network before it learns, in evaluation mode, with weights drawn from a seed."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        stages = {
            "stage1": Stage(_layers(1, 12), 12, 1),
            "stage2": Stage(nn.Sequential(nn.MaxPool2d(2), _layers(12, 24)), 24, 2),
            "stage3": Stage(_layers(24, 24), 24, 2),
        }
        head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(24, 10))
        return Network(_CARD, stages, head).eval()


def _layers(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU())
