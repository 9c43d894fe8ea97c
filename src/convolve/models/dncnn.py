"""DnCNN: denoising by a deep network that learns the noise.

Zhang, Zuo, Chen, Meng, Zhang 2017, "Beyond a Gaussian denoiser: residual learning of deep CNN for image denoising",
section III and figure 1; DnCNN-S with its 17 layers.

dncnn at 1x40x40: stage1 64x40x40, stage2 64x40x40

Padded convolutions of 3x3: one with ReLU, fifteen with batch normalization and ReLU, and one that gives the difference
to the clean image (`Card.residual`), here to be added, where the paper subtracts the noise. `dncnn` is for gray images,
`cdncnn` for color (CDnCNN, here of the same depth).

Training: stochastic gradient descent with momentum of 0.9, learning rates from 1e-1 to 1e-4, weight decay of 1e-4, 50
epochs of batches of 128 parts of 40x40 pixels.

Deviations: the last layer's weights start with a standard deviation of 0.001, so that training begins at the noisy
image itself.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from convolve.layers.initializers import gaussian, he_normal
from convolve.models.network import Card, Network, Stage, Variant

DEPTH, WIDTH = 17, 64
"""Number of convolutions, and channels between them."""
_DEVIATION = 0.001  # of the last layer's weights at first


def _build(card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    del size  # any
    first = OrderedDict(conv1=nn.Conv2d(channels, WIDTH, 3, padding=1), relu1=nn.ReLU(inplace=True))
    layers = OrderedDict[str, nn.Module]()
    for number in range(2, DEPTH):
        layers[f"conv{number}"] = nn.Conv2d(WIDTH, WIDTH, 3, padding=1, bias=False)
        layers[f"norm{number}"] = nn.BatchNorm2d(WIDTH)
        layers[f"relu{number}"] = nn.ReLU(inplace=True)
    stages = {
        "stage1": Stage(nn.Sequential(first), WIDTH, 1),
        "stage2": Stage(nn.Sequential(layers), WIDTH, 1),
    }
    head = nn.Conv2d(WIDTH, classes, 3, padding=1)
    network = Network(card, stages, head).apply(he_normal)
    gaussian(head, _DEVIATION)
    return network


def _variant(name: str, channels: int, parameters: int, macs: int) -> Variant:
    card = Card(
        name=name,
        title="Beyond a Gaussian denoiser: residual learning of deep CNN for image denoising",
        authors="Zhang, Zuo, Chen, Meng, Zhang",
        year=2017,
        venue="IEEE Transactions on Image Processing 26",
        address="https://arxiv.org/abs/1608.03981",
        input=(channels, 40, 40),
        classes=channels,
        minimum=1,
        output="restored",
        own_channels=True,
        any_size=True,
        residual=True,
        parameters=parameters,
        macs=macs,
    )
    return Variant(card, _build)


VARIANTS = (_variant("dncnn", 1, 556_097, 886_579_200), _variant("cdncnn", 3, 558_403, 890_265_600))
