"""Segmentation networks with scores to explain, and regions of them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from convolve.explainers.score_targets import RegionScore
from convolve.models import Network, card
from convolve.models.network import Stage
from tests.explainers.small import CLASSES, network

NAMES = ("fcn1s_resnet20_cifar", "fcn2s_resnet20_cifar", "unet_same", "segnet_basic")


@torch.no_grad()
def segmentation_network(name: str, seed: int = 0) -> Network:
    """In evaluation mode; scores that start at 0 are drawn."""
    of = network(name, seed)
    random = torch.Generator().manual_seed(seed)
    for weight in of.head.parameters():
        if not weight.any():
            weight.normal_(0, 0.3, generator=random)
    return of


def region_score(images: Tensor, seed: int = 0) -> RegionScore:
    """A class of each image at half of its pixels; of the last one at a single one."""
    random = torch.Generator().manual_seed(seed)
    regions = torch.rand(len(images), *images.shape[2:], generator=random) < 0.5
    regions[-1] = False
    regions[-1, 5, 9] = True
    return RegionScore(torch.arange(len(images)) % CLASSES, regions)


class _Linear(nn.Module):
    """The scores of each pixel are a matrix times its values in the one map that is taken in."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, maps: list[Tensor], size: tuple[int, int]) -> Tensor:
        assert tuple(maps[0].shape[2:]) == size
        return torch.einsum("kc,nchw->nkhw", self.weight, maps[0])


def linear(weight: Tensor) -> Network:
    """A network whose map is the image itself, and whose scores (classes, channels) weigh each pixel's channels."""
    stages = {"stage1": Stage(nn.Identity(), weight.shape[1], 1)}
    return Network(card("fcn1s_resnet20_cifar"), stages, _Linear(weight), head_inputs=("stage1",)).eval()
