"""PReLU-net, model A.

He, Zhang, Ren, Sun 2015, "Delving deep into rectifiers: surpassing human-level performance on ImageNet classification",
Table 3, model A, with PReLU; the pyramid is of He et al. 2014, "Spatial pyramid pooling in deep convolutional networks
for visual recognition", section 2.2.

prelu_net_a at 3x224x224: stage1 96x112x112, stage2 256x56x56, stage3 512x28x28, stage4 512x14x14

Below 0 every rectifier has a slope of its own for each channel, which is learned and starts at 0.25 (section 2.1). The
pyramid takes the maxima of 7x7, 3x3, 2x2 and 1x1 bins, so that the dense layers read 63 x 512 values of an image of any
size.

Deviations: models B and C, the same with more and wider layers, are left out. Slopes are subject to the recipe's weight
decay; in the paper they are not.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import partial
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from convolve.layers.initializers import he_normal
from convolve.models.network import Card, Network, Stage, Variant

NEGATIVE_SLOPE = 0.25
LEVELS = (7, 3, 2, 1)
TABLE_3 = ((256, 5), (512, 5), (512, 5))  # model A: width and count of the 3x3 convolutions after each pooling


@final
class Pyramid(nn.Module):
    """The maxima of n x n bins for each n of `LEVELS`, bins rounded outwards, concatenated."""

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, H, W) maps of any size to (N, 63 * C)."""
        return torch.cat([F.adaptive_max_pool2d(maps, bins).flatten(1) for bins in LEVELS], 1)


def _build(card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    del size
    first = OrderedDict[str, nn.Module](
        conv1=nn.Conv2d(channels, 96, 7, 2, padding=3), prelu1=nn.PReLU(96, NEGATIVE_SLOPE)
    )
    stages = {"stage1": Stage(nn.Sequential(first), 96, 2)}
    channels = 96
    for number, (width, count) in enumerate(TABLE_3, 2):
        layers = OrderedDict[str, nn.Module]({f"pool{number - 1}": nn.MaxPool2d(2)})
        for index in range(1, count + 1):
            layers[f"conv{number}_{index}"] = nn.Conv2d(channels, width, 3, padding=1)
            layers[f"prelu{number}_{index}"] = nn.PReLU(width, NEGATIVE_SLOPE)
            channels = width
        stages[f"stage{number}"] = Stage(nn.Sequential(layers), width, 2**number)
    bins = sum(level**2 for level in LEVELS)
    network = Network(card, stages, _head(bins * channels, classes))
    return network.apply(partial(he_normal, negative_slope=NEGATIVE_SLOPE))


def _head(inputs: int, classes: int) -> nn.Module:
    layers = OrderedDict[str, nn.Module](pyramid=Pyramid())
    for number in (5, 6):
        layers |= {f"fc{number}": nn.Linear(inputs, 4096), f"prelu{number}": nn.PReLU(4096, NEGATIVE_SLOPE)}
        layers[f"dropout{number}"] = nn.Dropout(0.5)
        inputs = 4096
    layers["fc7"] = nn.Linear(inputs, classes)
    return nn.Sequential(layers)


_A = Card(
    name="prelu_net_a",
    title="Delving deep into rectifiers: surpassing human-level performance on ImageNet classification",
    authors="He, Zhang, Ren, Sun",
    year=2015,
    venue="ICCV 2015",
    address="https://arxiv.org/abs/1502.01852",
    input=(3, 224, 224),
    classes=1000,
    minimum=15,
    parameters=178_032_072,
    macs=19_058_106_368,
    top1_error=22.97,
    top5_error=6.28,
    evaluation="dense at several scales (Table 6)",
)
VARIANTS = (Variant(_A, _build),)
