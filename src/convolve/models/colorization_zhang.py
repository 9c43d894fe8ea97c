"""Colorization as classification of each pixel's color.

Zhang, Isola, Efros 2016, "Colorful image colorization", section 2.2 and the table of its appendix on the network's
architecture.

colorization_zhang at 3x256x256: stage1 64x128x128, stage2 128x64x64, stage3 256x32x32, stage4 512x32x32, stage5 \
512x32x32, stage6 512x32x32, stage7 512x32x32

Lightness enters. Seven blocks of 3x3 convolutions with ReLU end in batch normalization; the first three halve the map
at their last convolution, and the fifth and sixth are dilated by 2, in place of pooling. The head doubles the map by a
transposed convolution, and gives a score for each of 313 bins of ab at every fourth pixel: `convolve train` asks for as
many as its own rule finds (`tasks.restore.colorization.bins`).

Training: Adam with learning rates from 3e-5 to 3e-6 on 1.3 million images of ImageNet, weight decay of 1e-3, 450,000
batches of 40.

Deviations: the first convolution reads the lightness in three equal channels, not in one.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from convolve.layers.initializers import he_normal
from convolve.models.network import Card, Network, Stage, Variant

BLOCKS = ((64, 2, 2, 1), (128, 2, 2, 1), (256, 3, 2, 1), (512, 3, 1, 1), (512, 3, 1, 2), (512, 3, 1, 2), (512, 3, 1, 1))
"""Width, number of convolutions, stride of the last one, and dilation of all."""
HEAD = 256
"""Width of the head's convolutions, the transposed one of 4x4 among them."""


def _build(card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    del size  # any
    stages: dict[str, Stage] = {}
    before, total = channels, 1
    for number, (width, count, stride, dilation) in enumerate(BLOCKS, 1):
        layers = OrderedDict[str, nn.Module]()
        for position in range(1, count + 1):
            name, step = f"{number}_{position}", stride if position == count else 1
            layers[f"conv{name}"] = nn.Conv2d(before, width, 3, step, dilation, dilation)
            layers[f"relu{name}"] = nn.ReLU(inplace=True)
            before = width
        layers[f"norm{number}"] = nn.BatchNorm2d(width)
        total *= stride
        stages[f"stage{number}"] = Stage(nn.Sequential(layers), width, total)
    head = OrderedDict[str, nn.Module](conv8_1=nn.ConvTranspose2d(before, HEAD, 4, 2, 1), relu8_1=nn.ReLU(inplace=True))
    for position in (2, 3):
        head[f"conv8_{position}"] = nn.Conv2d(HEAD, HEAD, 3, padding=1)
        head[f"relu8_{position}"] = nn.ReLU(inplace=True)
    head["scores"] = nn.Conv2d(HEAD, classes, 1)
    return Network(card, stages, nn.Sequential(head)).apply(he_normal)


VARIANTS = (
    Variant(
        Card(
            name="colorization_zhang",
            title="Colorful image colorization",
            authors="Zhang, Isola, Efros",
            year=2016,
            venue="ECCV 2016",
            address="https://arxiv.org/abs/1603.08511",
            input=(3, 256, 256),
            classes=313,
            minimum=1,
            output="restored",
            own_channels=True,
            any_size=True,
            restores="colors",
            parameters=32_236_537,
            macs=41_847_619_584,
        ),
        _build,
    ),
)
