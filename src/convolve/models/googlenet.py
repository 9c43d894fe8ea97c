"""GoogLeNet.

Szegedy, Liu, Jia, Sermanet, Reed, Anguelov, Erhan, Vanhoucke, Rabinovich 2014, "Going deeper with convolutions",
Table 1, figures 2 and 3.

googlenet at 3x224x224: stage1 64x112x112, stage2 192x56x56, stage3 480x28x28, stage4 832x14x14, stage5 1024x7x7
googlenet_keras at 1x64x96: stage1 64x32x48, stage2 192x16x24, stage3 480x8x12, stage4 832x4x6, stage5 1024x2x3

Stages begin with a max pooling; poolings round up, as in Caffe. The auxiliary classifiers read 4a and 4d (section 5;
pooling 5x5/3, 1x1 convolution of 128, dense layer of 1024, dropout 0.7) and count with weight 0.3 in training. They
need maps of 3x3 there: networks for images of less than 47 pixels have none. The card counts the network without
them; with them it has 13,378,280 parameters.

`googlenet_keras` is the lectures' listing: batch normalization after the first pooling and conv2 in place of local
response normalization, a dense layer of 256 without activation before the scores, 10 classes.

Deviations: Table 1's 2.7K parameters and 34M operations for the first layer are those of a 7x7 convolution done
depthwise with multiplier 8 and then pointwise (as in BN-Inception); it is dense here, as in the row itself and in all
known implementations. The paper gives neither the constants of normalization, here BVLC's (window 5, alpha 1e-4 / 5),
nor the initial weights, here He's. The listing omits its inception and auxiliary functions, here those of the paper,
and gives all three losses the weight 1; it resizes images to 224 in its first layer, which is left to preprocessing.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import partial

from torch import nn

from convolve.layers.inception import Step, chain, concatenate, pooling
from convolve.layers.initializers import glorot_uniform, he_normal
from convolve.layers.lrn import caffe_lrn
from convolve.models.network import Card, Network, Stage, Variant

Row = tuple[int, int, int, int, int, int]  # 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool proj

TABLE_1: dict[str, dict[str, Row]] = {  # the modules after each of the max poolings 2 to 4
    "stage3": {
        "inception3a": (64, 96, 128, 16, 32, 32),
        "inception3b": (128, 128, 192, 32, 96, 64),
    },
    "stage4": {
        "inception4a": (192, 96, 208, 16, 48, 64),
        "inception4b": (160, 112, 224, 24, 64, 64),
        "inception4c": (128, 128, 256, 24, 64, 64),
        "inception4d": (112, 144, 288, 32, 64, 64),
        "inception4e": (256, 160, 320, 32, 128, 128),
    },
    "stage5": {
        "inception5a": (256, 160, 320, 32, 128, 128),
        "inception5b": (384, 192, 384, 48, 128, 128),
    },
}
AUXILIARY = {"inception4a": 512, "inception4d": 528}  # the maps that auxiliary classifiers read


def conv(width: int, kernel: int = 1) -> Step:
    """Convolution that keeps the map's size, and ReLU ("all the convolutions use rectified linear activation")."""

    def build(channels: int) -> tuple[nn.Module, int]:
        layer = nn.Conv2d(channels, width, kernel, padding=kernel // 2)
        return nn.Sequential(OrderedDict(conv=layer, relu=nn.ReLU(inplace=True))), width

    return build


def inception(channels: int, row: Row) -> tuple[nn.Module, int]:
    """Figure 2(b): (N, channels, H, W) to (N, 1x1 + 3x3 + 5x5 + pool proj, H, W)."""
    one, reduce3, three, reduce5, five, project = row
    pool = pooling(partial(nn.MaxPool2d, 3, 1, padding=1))
    return concatenate(
        conv(one), chain(conv(reduce3), conv(three, 3)), chain(conv(reduce5), conv(five, 5)), chain(pool, conv(project))
    )(channels)


def _modules() -> dict[str, Stage]:
    stages: dict[str, Stage] = {}
    channels = 192
    for number, (stage, rows) in enumerate(TABLE_1.items(), 3):
        layers = OrderedDict[str, nn.Module]({f"pool{number - 1}": nn.MaxPool2d(3, 2, ceil_mode=True)})
        for name, row in rows.items():
            layers[name], channels = inception(channels, row)
        stages[stage] = Stage(nn.Sequential(layers), channels, 2**number)
    return stages


def _auxiliary(classes: int, rows: int, columns: int) -> dict[str, nn.Module]:
    """Heads for maps of ``rows`` x ``columns``; none where the maps are too small for their pooling."""
    if min(rows, columns) < 3:
        return {}
    return {
        name: _auxiliary_head(channels, rows // 3 * (columns // 3), classes) for name, channels in AUXILIARY.items()
    }


def _auxiliary_head(channels: int, positions: int, classes: int) -> nn.Module:
    return _name_layers(
        pool=nn.AvgPool2d(5, 3, ceil_mode=True),
        conv=nn.Conv2d(channels, 128, 1),
        relu1=nn.ReLU(inplace=True),
        flatten=nn.Flatten(),
        fc1=nn.Linear(128 * positions, 1024),
        relu2=nn.ReLU(inplace=True),
        dropout=nn.Dropout(0.7),
        fc2=nn.Linear(1024, classes),
    )


def _googlenet(card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    conv1, conv2 = nn.Conv2d(channels, 64, 7, 2, padding=3), nn.Conv2d(64, 192, 3, padding=1)
    stages = {"stage1": Stage(_name_layers(conv1=conv1, relu1=nn.ReLU(inplace=True)), 64, 2)}
    second = _name_layers(
        pool1=nn.MaxPool2d(3, 2, ceil_mode=True),
        lrn1=caffe_lrn(64, 5, 1e-4, 0.75),
        conv2_reduce=nn.Conv2d(64, 64, 1),
        relu2_reduce=nn.ReLU(inplace=True),
        conv2=conv2,
        relu2=nn.ReLU(inplace=True),
        lrn2=caffe_lrn(192, 5, 1e-4, 0.75),
    )
    stages |= {"stage2": Stage(second, 192, 4)} | _modules()
    head = _name_layers(
        pool5=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), dropout=nn.Dropout(0.4), fc=nn.Linear(1024, classes)
    )
    rows, columns = ((side + 1) // 16 for side in size)
    return Network(card, stages, head, _auxiliary(classes, rows, columns)).apply(he_normal)


def _googlenet_keras(card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    """The lectures' listing (lecture 002, "GoogLeNet Architecture"); Keras pads even sides by one more at the end."""
    conv1, conv2 = nn.Conv2d(channels, 64, 7, 2), nn.Conv2d(64, 192, 3, padding=1)
    pad1 = nn.ZeroPad2d((2, 3, 2, 3))
    stages = {"stage1": Stage(_name_layers(pad1=pad1, conv1=conv1, relu1=nn.ReLU(inplace=True)), 64, 2)}
    second = _name_layers(
        pool1=nn.MaxPool2d(3, 2, ceil_mode=True),
        norm1=nn.BatchNorm2d(64, eps=1e-3, momentum=0.01),
        conv2_reduce=nn.Conv2d(64, 64, 1),
        relu2_reduce=nn.ReLU(inplace=True),
        conv2=conv2,
        relu2=nn.ReLU(inplace=True),
        norm2=nn.BatchNorm2d(192, eps=1e-3, momentum=0.01),
    )
    stages |= {"stage2": Stage(second, 192, 4)} | _modules()
    head = _name_layers(
        pool5=nn.AdaptiveAvgPool2d(1),
        flatten=nn.Flatten(),
        dropout=nn.Dropout(0.4),
        dense6=nn.Linear(1024, 256),
        dense7=nn.Linear(256, classes),
    )
    rows, columns = (side // 16 for side in size)
    return Network(card, stages, head, _auxiliary(classes, rows, columns)).apply(glorot_uniform)


def _name_layers(**layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(OrderedDict(layers))


_GOOGLENET = Card(
    name="googlenet",
    title="Going deeper with convolutions",
    authors="Szegedy, Liu, Jia, Sermanet, Reed, Anguelov, Erhan, Vanhoucke, Rabinovich",
    year=2014,
    venue="CVPR 2015",
    address="https://arxiv.org/abs/1409.4842",
    input=(3, 224, 224),
    classes=1000,
    minimum=31,
    parameters=6_998_552,
    macs=1_582_671_872,
    top5_error=10.07,
    evaluation="one network, one crop (Table 3)",
)
_KERAS = Card(
    name="googlenet_keras",
    title="GoogLeNet as the lectures list it in Keras",
    authors="after Szegedy et al.",
    year=2014,
    venue="lectures",
    address="https://arxiv.org/abs/1409.4842",
    input=(1, 224, 224),
    classes=10,
    minimum=32,
    parameters=6_232_762,
    macs=1_503_236_608,
)
VARIANTS = (Variant(_GOOGLENET, _googlenet), Variant(_KERAS, _googlenet_keras))
