"""SqueezeNet.

Iandola, Han, Moskewicz, Ashraf, Dally, Keutzer 2016, "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and
<0.5MB model size", Table 1 and figures 1 and 2; the authors' definitions of versions 1.0 and 1.1.

squeezenet at 3x227x227: stage1 96x111x111, stage2 256x55x55, stage3 512x27x27, stage4 512x13x13
squeezenet_caffe at 3x227x227: stage1 96x111x111, stage2 256x55x55, stage3 512x27x27, stage4 512x13x13
squeezenet_1_1 at 3x227x227: stage1 64x113x113, stage2 128x56x56, stage3 256x28x28, stage4 512x14x14

Stages begin with a max pooling, the first one with the convolution, which pads nothing. Poolings round up, as in Caffe.
Version 1.1 has a smaller first convolution and earlier poolings, for less than half of the multiply-adds.

`squeezenet` is Table 1, whose last convolution gives 13x13 scores of each class. The authors' definition for Caffe of
version 1.0, of which their weights are, pads this 1x1 convolution by 1: 15x15 scores, of which the border is biases
alone. `squeezenet_caffe` is that network.

Deviations: the paper gives images of 224x224, but the sizes of its Table 1 are those of the definitions' 227x227.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import partial

from torch import nn

from convolve.layers.inception import Step, chain, concatenate
from convolve.layers.initializers import gaussian, lecun_uniform
from convolve.models.googlenet import conv
from convolve.models.network import Card, Network, Stage, Variant

Row = tuple[int, int]  # 1x1 squeeze, and each of 1x1 and 3x3 expand
Table = tuple[tuple[int, int], dict[str, dict[str, Row]]]  # the first convolution's width and kernel; the stages

TABLE_1: Table = (
    (96, 7),
    {
        "stage2": {"fire2": (16, 64), "fire3": (16, 64), "fire4": (32, 128)},
        "stage3": {"fire5": (32, 128), "fire6": (48, 192), "fire7": (48, 192), "fire8": (64, 256)},
        "stage4": {"fire9": (64, 256)},
    },
)
VERSION_1_1: Table = (
    (64, 3),
    {
        "stage2": {"fire2": (16, 64), "fire3": (16, 64)},
        "stage3": {"fire4": (32, 128), "fire5": (32, 128)},
        "stage4": {"fire6": (48, 192), "fire7": (48, 192), "fire8": (64, 256), "fire9": (64, 256)},
    },
)


def fire(row: Row) -> Step:
    """Figure 1: a squeeze convolution, then 1x1 and 3x3 expand convolutions next to each other, all with ReLU."""
    squeeze, expand = row
    return chain(conv(squeeze), concatenate(conv(expand), conv(expand, 3)))


def _build(table: Table, border: int, card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    del size  # any
    (width, kernel), rows = table
    first = OrderedDict(conv1=nn.Conv2d(channels, width, kernel, 2), relu1=nn.ReLU(inplace=True))
    stages, channels = {"stage1": Stage(nn.Sequential(first), width, 2)}, width
    for number, (stage, modules) in enumerate(rows.items(), 2):
        layers = OrderedDict[str, nn.Module](pool=nn.MaxPool2d(3, 2, ceil_mode=True))
        for name, row in modules.items():
            layers[name], channels = fire(row)(channels)
        stages[stage] = Stage(nn.Sequential(layers), channels, 2**number)
    scores = nn.Conv2d(channels, classes, 1, padding=border)
    head = OrderedDict(
        dropout=nn.Dropout(0.5),
        conv10=scores,
        relu10=nn.ReLU(inplace=True),
        pool10=nn.AdaptiveAvgPool2d(1),
        flatten=nn.Flatten(),
    )
    network = Network(card, stages, nn.Sequential(head)).apply(lecun_uniform)
    gaussian(scores, 0.01)
    return network


def _variant(
    name: str, table: Table, minimum: int, counts: tuple[int, int], errors: tuple[float, float] | None, border: int = 0
) -> Variant:
    card = Card(
        name=name,
        title="SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB model size",
        authors="Iandola, Han, Moskewicz, Ashraf, Dally, Keutzer",
        year=2016,
        venue="arXiv",
        address="https://arxiv.org/abs/1602.07360",
        input=(3, 227, 227),
        classes=1000,
        minimum=minimum,
        parameters=counts[0],
        macs=counts[1],
        top1_error=errors[0] if errors else None,
        top5_error=errors[1] if errors else None,
        evaluation="one crop (Table 2)" if errors else "",
    )
    return Variant(card, partial(_build, table, border))


VARIANTS = (
    _variant("squeezenet", TABLE_1, 21, (1_248_424, 832_667_936), (42.5, 19.7)),
    _variant("squeezenet_caffe", TABLE_1, 21, (1_248_424, 832_667_936 + 56 * 512_000), (42.5, 19.7), border=1),
    _variant("squeezenet_1_1", VERSION_1_1, 17, (1_235_496, 387_747_520), None),
)
