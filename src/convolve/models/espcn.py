"""ESPCN: super resolution by a sub-pixel convolution.

Shi, Caballero, Huszár, Totz, Aitken, Bishop, Rueckert, Wang 2016, "Real-time single image and video super-resolution
using an efficient sub-pixel convolutional neural network", sections 2 and 3.2 (5-3-3 with 64 and 32 channels).

espcn_x3 at 1x17x17: stage1 64x17x17, stage2 32x17x17

The network takes the small image itself, of luminance alone. Its last convolution gives r² values for each pixel, which
are laid out as r x r pixels (equation 4). `espcn_x2`, `espcn_x3` and `espcn_x4` enlarge by r = 2, 3 and 4.

Training: mean squared error on parts of 17r x 17r pixels, a learning rate from 0.01 to 0.0001.

Deviations: weights start as LeCun's for tanh, which the paper leaves open.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import partial

from torch import nn

from convolve.layers.initializers import lecun_uniform
from convolve.models.network import Card, Network, Stage, Variant

LAYERS = ((5, 64), (3, 32))
"""Kernel and width of the layers before the last."""
LAST = 3
"""Kernel of the last layer."""


def _build(factor: int, card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    del size  # any
    stages: dict[str, Stage] = {}
    for number, (kernel, width) in enumerate(LAYERS, 1):
        convolution = nn.Conv2d(channels, width, kernel, padding=kernel // 2)
        stages[f"stage{number}"] = Stage(
            nn.Sequential(OrderedDict({f"conv{number}": convolution, f"tanh{number}": nn.Tanh()})), width, 1
        )
        channels = width
    last = nn.Conv2d(channels, classes * factor**2, LAST, padding=LAST // 2)
    head = nn.Sequential(OrderedDict(conv3=last, shuffle=nn.PixelShuffle(factor)))
    return Network(card, stages, head).apply(lecun_uniform)


def _variant(factor: int, parameters: int, macs: int) -> Variant:
    card = Card(
        name=f"espcn_x{factor}",
        title="Real-time single image and video super-resolution using an efficient sub-pixel convolutional neural "
        "network",
        authors="Shi, Caballero, Huszár, Totz, Aitken, Bishop, Rueckert, Wang",
        year=2016,
        venue="CVPR 2016",
        address="https://arxiv.org/abs/1609.05158",
        input=(1, 17, 17),
        classes=1,
        minimum=1,
        output="restored",
        own_channels=True,
        any_size=True,
        upscale=factor,
        parameters=parameters,
        macs=macs,
    )
    return Variant(card, partial(_build, factor))


VARIANTS = (_variant(2, 21_284, 6_122_176), _variant(3, 22_729, 6_538_336), _variant(4, 24_752, 7_120_960))
