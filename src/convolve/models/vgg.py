"""VGG.

Simonyan, Zisserman 2014, "Very deep convolutional networks for large-scale image recognition", Table 1.

vgg16 at 3x224x224: stage1 64x112x112, stage2 128x56x56, stage3 256x28x28, stage4 512x14x14, stage5 512x7x7
vgg11_lrn at 3x32x64: stage1 64x16x32, stage2 128x8x16, stage3 256x4x8, stage4 512x2x4, stage5 512x1x2

Stages end in their max pooling. At 224x224 the first dense layer, fc6, reads 512x7x7; it is built for the image's size.

The paper grew the deeper columns from the trained A: they took its first four convolutions and its dense layers, and
all else was randomly initialized (section 3.1). So is a training of B, C, D or E that starts from weights of `vgg11`.

Deviations: random initialization is He's here, with zero biases. The paper drew A from normal weights of variance 0.01;
after submission it found that with Glorot's weights no growing is needed. That holds for ImageNet's hundreds of
thousands of steps: on a thousand small images the deeper columns stay at chance with them, since every ReLU halves the
signal's variance. Published errors are dense, at one scale: networks trained at S = 256, or at S in [256; 512] for C, D
and E.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import partial

from torch import nn

from convolve.layers.initializers import he_normal
from convolve.layers.lrn import LocalResponseNorm
from convolve.models.network import Card, Network, Stage, Variant

Block = Callable[[str, int, int], dict[str, nn.Module]]
Column = tuple[tuple[Block, ...], ...]


def conv3(index: str, channels: int, width: int) -> dict[str, nn.Module]:
    """`conv3-WIDTH` of Table 1 with its ReLU; keeps the map's size.

    Shape: (N, channels, H, W) -> (N, width, H, W)
    """
    return {f"conv{index}": nn.Conv2d(channels, width, 3, padding=1), f"relu{index}": nn.ReLU(inplace=True)}


def conv1(index: str, channels: int, width: int) -> dict[str, nn.Module]:
    """`conv1-WIDTH` of Table 1 with its ReLU.

    Shape: (N, channels, H, W) -> (N, width, H, W)
    """
    return {f"conv{index}": nn.Conv2d(channels, width, 1), f"relu{index}": nn.ReLU(inplace=True)}


def lrn(index: str, channels: int, width: int) -> dict[str, nn.Module]:
    """`LRN` of Table 1, with Krizhevsky's constants (section 2.1).

    Shape: (N, width, H, W) -> (N, width, H, W)
    """
    del channels
    return {f"lrn{index}": LocalResponseNorm(width)}


WIDTHS = (64, 128, 256, 512, 512)
TABLE_1: dict[str, Column] = {  # the layers before each of the five max poolings
    "A": ((conv3,), (conv3,), (conv3,) * 2, (conv3,) * 2, (conv3,) * 2),
    "A-LRN": ((conv3, lrn), (conv3,), (conv3,) * 2, (conv3,) * 2, (conv3,) * 2),
    "B": ((conv3,) * 2, (conv3,) * 2, (conv3,) * 2, (conv3,) * 2, (conv3,) * 2),
    "C": ((conv3,) * 2, (conv3,) * 2, (conv3, conv3, conv1), (conv3, conv3, conv1), (conv3, conv3, conv1)),
    "D": ((conv3,) * 2, (conv3,) * 2, (conv3,) * 3, (conv3,) * 3, (conv3,) * 3),
    "E": ((conv3,) * 2, (conv3,) * 2, (conv3,) * 4, (conv3,) * 4, (conv3,) * 4),
}

_A = tuple(
    f"stages.stage{number}.conv{number}_{index}"
    for number, blocks in enumerate(TABLE_1["A"], 1)
    for index in range(1, len(blocks) + 1)
)
GROWN = dict.fromkeys(("vgg13", "vgg16_c", "vgg16", "vgg19"), (_A, _A[:4]))
"""Section 3.1: the networks that are grown from A; of each, A's convolutions, and those of them that it takes over."""


def _build(column: Column, card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    stages: dict[str, Stage] = {}
    for number, (blocks, width) in enumerate(zip(column, WIDTHS, strict=True), 1):
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for index, block in enumerate(blocks, 1):
            layers |= block(f"{number}_{index}", channels, width)
            channels = width
        layers[f"pool{number}"] = nn.MaxPool2d(2)
        stages[f"stage{number}"] = Stage(nn.Sequential(layers), width, 2**number)
    return Network(card, stages, _head(channels * (size[0] // 32) * (size[1] // 32), classes)).apply(he_normal)


def _head(inputs: int, classes: int) -> nn.Module:
    return nn.Sequential(
        OrderedDict(
            flatten=nn.Flatten(),
            fc6=nn.Linear(inputs, 4096),
            relu6=nn.ReLU(inplace=True),
            dropout6=nn.Dropout(0.5),
            fc7=nn.Linear(4096, 4096),
            relu7=nn.ReLU(inplace=True),
            dropout7=nn.Dropout(0.5),
            fc8=nn.Linear(4096, classes),
        )
    )


def _variant(name: str, column: str, counts: tuple[int, int], errors: tuple[float, float]) -> Variant:
    card = Card(
        name=name,
        title="Very deep convolutional networks for large-scale image recognition",
        authors="Simonyan, Zisserman",
        year=2014,
        venue="ICLR 2015",
        address="https://arxiv.org/abs/1409.1556",
        input=(3, 224, 224),
        classes=1000,
        minimum=32,
        parameters=counts[0],
        macs=counts[1],
        top1_error=errors[0],
        top5_error=errors[1],
        evaluation=f"dense at one scale (Table 3, column {column})",
    )
    return Variant(card, partial(_build, TABLE_1[column]))


VARIANTS = (
    _variant("vgg11", "A", (132_863_336, 7_609_090_048), (29.6, 10.4)),
    _variant("vgg11_lrn", "A-LRN", (132_863_336, 7_609_090_048), (29.7, 10.5)),
    _variant("vgg13", "B", (133_047_848, 11_308_466_176), (28.7, 9.9)),
    _variant("vgg16_c", "C", (133_638_952, 11_770_888_192), (27.3, 8.8)),
    _variant("vgg16", "D", (138_357_544, 15_470_264_320), (25.6, 8.1)),
    _variant("vgg19", "E", (143_667_240, 19_632_062_464), (25.5, 8.0)),
)
