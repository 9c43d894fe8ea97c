"""EDSR: residual blocks without normalization for super resolution, in its small form.

Lim, Son, Kim, Nah, Lee 2017, "Enhanced deep residual networks for single image super-resolution", section 3.2, table 1
and figures 2 and 3; the baseline model of 16 blocks with 64 channels.

edsr_x2 at 3x48x48: stage1 64x48x48, stage2 64x48x48

The network takes the small image itself, in color. A residual block is two convolutions of 3x3 with a ReLU between
them; a skip leads past all blocks and the convolution after them. The head enlarges by sub-pixel convolutions: one of
r² times the channels for 2 and 3, two of them for 4.

Training: Adam with a learning rate of 1e-4, halved every 200,000 steps, L1 loss, parts of 48x48 pixels, batches of 16.

Deviations: weights of residual blocks' second convolutions start at a tenth of He's, so that without normalization the
signal does not grow from block to block.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import partial

import torch
from torch import nn

from convolve.layers.initializers import he_normal
from convolve.layers.residual import LinearResidual
from convolve.models.network import Card, Network, Stage, Variant

BLOCKS, WIDTH = 16, 64
ENLARGING = {2: (2,), 3: (3,), 4: (2, 2)}
"""The factors of the sub-pixel convolutions, by the factor of the network."""
_FIRST = 0.1  # of He's deviation, in the last convolution of a block at first


def _convolution(channels: int, width: int) -> nn.Conv2d:
    return nn.Conv2d(channels, width, 3, padding=1)


def _block() -> LinearResidual:
    layers = OrderedDict(conv1=_convolution(WIDTH, WIDTH), relu=nn.ReLU(inplace=True), conv2=_convolution(WIDTH, WIDTH))
    return LinearResidual(nn.Sequential(layers))


def _build(factor: int, card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    del size  # any
    body = OrderedDict[str, nn.Module]({f"block{number}": _block() for number in range(1, BLOCKS + 1)})
    body["conv"] = _convolution(WIDTH, WIDTH)
    stages = {
        "stage1": Stage(nn.Sequential(OrderedDict(conv=_convolution(channels, WIDTH))), WIDTH, 1),
        "stage2": Stage(nn.Sequential(OrderedDict(body=LinearResidual(nn.Sequential(body)))), WIDTH, 1),
    }
    head = OrderedDict[str, nn.Module]()
    for number, each in enumerate(ENLARGING[factor], 1):
        head[f"enlarge{number}"] = _convolution(WIDTH, WIDTH * each**2)
        head[f"shuffle{number}"] = nn.PixelShuffle(each)
    head["conv"] = _convolution(WIDTH, classes)
    network = Network(card, stages, nn.Sequential(head)).apply(he_normal)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("conv2.weight"):
                parameter.mul_(_FIRST)
    return network


def _variant(factor: int, parameters: int, macs: int) -> Variant:
    card = Card(
        name=f"edsr_x{factor}",
        title="Enhanced deep residual networks for single image super-resolution",
        authors="Lim, Son, Kim, Nah, Lee",
        year=2017,
        venue="CVPR Workshops 2017",
        address="https://arxiv.org/abs/1707.02921",
        input=(3, 48, 48),
        classes=3,
        minimum=1,
        output="restored",
        own_channels=True,
        any_size=True,
        upscale=factor,
        parameters=parameters,
        macs=macs,
        note="the baseline model of 16 blocks with 64 channels",
    )
    return Variant(card, partial(_build, factor))


VARIANTS = (
    _variant(2, 1_369_859, 3_162_488_832),
    _variant(3, 1_554_499, 3_607_068_672),
    _variant(4, 1_517_571, 4_569_219_072),
)
