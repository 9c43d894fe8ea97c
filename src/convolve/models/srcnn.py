"""SRCNN: super resolution by three convolutions.

Dong, Loy, He, Tang 2014, "Image super-resolution using deep convolutional networks", sections 3.1 and 4.1; the 9-1-5
network, whose 8,032 weights the paper counts without biases.

srcnn at 1x33x33: stage1 64x33x33, stage2 32x33x33

The network takes an image that bicubic interpolation has enlarged, of luminance alone, and gives a sharper one of the
same size: patches are extracted (9x9), mapped (1x1), and put together (5x5).

Training: stochastic gradient descent with momentum, learning rates of 1e-4 and, in the last layer, 1e-5, mean squared
error.

Deviations: convolutions are padded by zeros, so that no border is lost; weights start as He's, where the paper's, with
a standard deviation of 0.001, need some 10^8 steps.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from convolve.layers.initializers import he_normal
from convolve.models.network import Card, Network, Stage, Variant

LAYERS = ((9, 64), (1, 32))
"""Kernel and width of the layers before the last."""
LAST = 5
"""Kernel of the last layer."""


def _build(card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    del size  # any
    stages: dict[str, Stage] = {}
    for number, (kernel, width) in enumerate(LAYERS, 1):
        convolution = nn.Conv2d(channels, width, kernel, padding=kernel // 2)
        layers = OrderedDict({f"conv{number}": convolution, f"relu{number}": nn.ReLU(inplace=True)})
        stages[f"stage{number}"] = Stage(nn.Sequential(layers), width, 1)
        channels = width
    head = nn.Conv2d(channels, classes, LAST, padding=LAST // 2)
    return Network(card, stages, head).apply(he_normal)


_CARD = Card(
    name="srcnn",
    title="Image super-resolution using deep convolutional networks",
    authors="Dong, Loy, He, Tang",
    year=2014,
    venue="ECCV 2014",
    address="https://arxiv.org/abs/1501.00092",
    input=(1, 33, 33),
    classes=1,
    minimum=1,
    output="restored",
    own_channels=True,
    any_size=True,
    parameters=8_129,
    macs=8_746_848,
)
VARIANTS = (Variant(_CARD, _build),)
