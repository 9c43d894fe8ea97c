"""VDSR: super resolution by a very deep network that learns the residual.

Kim, Lee, Lee 2016, "Accurate image super-resolution using very deep convolutional networks", section 3 and figure 2.

vdsr at 1x41x41: stage1 64x41x41, stage2 64x41x41

The network takes an image that bicubic interpolation has enlarged, of luminance alone. Twenty padded convolutions of
3x3 give the difference to the sharp image (`Card.residual`). One network serves every scale.

Training: momentum of 0.9 with a learning rate of 0.1, a tenth of it after every 20 of 80 epochs, gradients clipped,
weight decay of 1e-4, batches of 64 (section 4.2).

Deviations: weights of the last layer start with a standard deviation of 0.001, so that training begins at the enlarged
image itself.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from convolve.layers.initializers import gaussian, he_normal
from convolve.models.network import Card, Network, Stage, Variant

DEPTH, WIDTH = 20, 64
"""Number of convolutions, and channels between them."""
_DEVIATION = 0.001  # of the last layer's weights at first


def _build(card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    del size  # any
    first = OrderedDict(conv1=nn.Conv2d(channels, WIDTH, 3, padding=1), relu1=nn.ReLU(inplace=True))
    layers = OrderedDict[str, nn.Module]()
    for number in range(2, DEPTH):
        layers[f"conv{number}"] = nn.Conv2d(WIDTH, WIDTH, 3, padding=1)
        layers[f"relu{number}"] = nn.ReLU(inplace=True)
    stages = {
        "stage1": Stage(nn.Sequential(first), WIDTH, 1),
        "stage2": Stage(nn.Sequential(layers), WIDTH, 1),
    }
    head = nn.Conv2d(WIDTH, classes, 3, padding=1)
    network = Network(card, stages, head).apply(he_normal)
    gaussian(head, _DEVIATION)
    return network


_CARD = Card(
    name="vdsr",
    title="Accurate image super-resolution using very deep convolutional networks",
    authors="Kim, Lee, Lee",
    year=2016,
    venue="CVPR 2016",
    address="https://arxiv.org/abs/1511.04587",
    input=(1, 41, 41),
    classes=1,
    minimum=1,
    output="restored",
    own_channels=True,
    any_size=True,
    residual=True,
    parameters=665_921,
    macs=1_117_367_424,
)
VARIANTS = (Variant(_CARD, _build),)
