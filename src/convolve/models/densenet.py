"""DenseNet.

Huang, Liu, van der Maaten, Weinberger 2016, "Densely connected convolutional networks", Table 1 and section 3.

densenet121 at 3x224x224: stage1 64x112x112, stage2 256x56x56, stage3 512x28x28, stage4 1024x14x14, stage5 1024x7x7
densenet161 at 3x64x96: stage1 96x32x48, stage2 384x16x24, stage3 768x8x12, stage4 2112x4x6, stage5 2208x2x3
densenet40_cifar at 3x32x32: stage1 160x32x32, stage2 304x16x16, stage3 448x8x8
densenet100_bc_cifar at 3x32x40: stage1 216x32x40, stage2 300x16x20, stage3 342x8x10

Stages end with a dense block and begin with the pooling or transition before it; the last one ends in the batch
normalization and ReLU before the global pooling. CIFAR networks have three blocks of (L - 4) / 3 layers, half as many
with bottlenecks (BC); 100-layer ones reach errors of 4.10 (4.51 with BC) and 40-layer ones 5.24 per cent on CIFAR-10
with augmentation (Table 2). `models.save_memory` trades time for memory.

Deviations: dropout of 0.2, which the paper adds where data is not augmented, is left out. The first pooling pads by 1
and rounds down as in the authors' Torch files; their Caffe conversion rounds up. DenseNet-161 (k = 48), released with
the paper's code, is not in the paper's last version; its error is that of the release's notes.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import partial

from torch import nn

from convolve.layers.dense_block import DenseBlock, Growth, bottleneck, composite, transition
from convolve.layers.initializers import he_normal
from convolve.models.network import Card, Network, Stage, Variant

TABLE_1 = {  # growth rate k and layers of the four dense blocks
    121: (32, (6, 12, 24, 16)),
    169: (32, (6, 12, 32, 32)),
    201: (32, (6, 12, 48, 32)),
    161: (48, (6, 12, 36, 24)),
}
Row = tuple[int, int, Growth, int]
SECTION_3: dict[str, Row] = {  # "Implementation details", k = 12: layers of a block, first maps, layer, 1 / theta
    "densenet40_cifar": (12, 16, composite, 1),
    "densenet100_cifar": (32, 16, composite, 1),
    "densenet100_bc_cifar": (16, 24, bottleneck, 2),
}


def _imagenet(
    growth: int, blocks: tuple[int, ...], card: Card, classes: int, channels: int, size: tuple[int, int]
) -> Network:
    del size
    width = 2 * growth
    first = OrderedDict(
        conv1=nn.Conv2d(channels, width, 7, 2, padding=3, bias=False),
        norm1=nn.BatchNorm2d(width),
        relu1=nn.ReLU(inplace=True),
    )
    stages = {"stage1": Stage(nn.Sequential(first), width, 2)}
    layers = OrderedDict[str, nn.Module](pool1=nn.MaxPool2d(3, 2, padding=1))
    for number, count in enumerate(blocks, 2):
        layers[f"block{number}"] = block = DenseBlock(count, width, growth, bottleneck)
        stages[f"stage{number}"] = Stage(nn.Sequential(layers), block.channels, 2**number)
        width = block.channels // 2
        layers = OrderedDict({f"transition{number}": transition(block.channels, width)})
    return _network(card, stages, classes)


def _cifar(row: Row, card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    del size
    count, width, layer, compression = row
    stages: dict[str, Stage] = {}
    layers = OrderedDict[str, nn.Module](conv1=nn.Conv2d(channels, width, 3, padding=1, bias=False))
    for number in (1, 2, 3):
        layers[f"block{number}"] = block = DenseBlock(count, width, 12, layer)
        stages[f"stage{number}"] = Stage(nn.Sequential(layers), block.channels, 2 ** (number - 1))
        width = block.channels // compression
        layers = OrderedDict({f"transition{number}": transition(block.channels, width)})
    return _network(card, stages, classes)


def _network(card: Card, stages: dict[str, Stage], classes: int) -> Network:
    last = list(stages)[-1]
    layers, width = stages[last].layers, stages[last].channels
    layers.add_module("norm", nn.BatchNorm2d(width))
    layers.add_module("relu", nn.ReLU(inplace=True))
    head = OrderedDict(pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), fc=nn.Linear(width, classes))
    return Network(card, stages, nn.Sequential(head)).apply(he_normal)


def _card(
    name: str, counts: tuple[int, int], errors: tuple[float | None, float | None] = (None, None), evaluation: str = ""
) -> Card:
    cifar = name in SECTION_3
    return Card(
        name=name,
        title="Densely connected convolutional networks",
        authors="Huang, Liu, van der Maaten, Weinberger",
        year=2016,
        venue="CVPR 2017",
        address="https://arxiv.org/abs/1608.06993",
        input=(3, 32, 32) if cifar else (3, 224, 224),
        classes=10 if cifar else 1000,
        minimum=4 if cifar else 29,
        parameters=counts[0],
        macs=counts[1],
        top1_error=errors[0],
        top5_error=errors[1],
        evaluation=evaluation,
    )


def _variant(
    depth: int, counts: tuple[int, int], errors: tuple[float, float | None], source: str = "Table 3"
) -> Variant:
    card = _card(f"densenet{depth}", counts, errors, f"one crop ({source})")
    return Variant(card, partial(_imagenet, *TABLE_1[depth]))


def _cifar_variant(name: str, counts: tuple[int, int]) -> Variant:
    return Variant(_card(name, counts), partial(_cifar, SECTION_3[name]))


VARIANTS = (
    _variant(121, (7_978_856, 2_834_161_664), (25.02, 7.71)),
    _variant(169, (14_149_480, 3_359_843_328), (23.80, 6.85)),
    _variant(201, (20_013_928, 4_291_365_888), (22.58, 6.34)),
    _variant(161, (28_681_000, 7_727_907_072), (22.2, None), "notes of the authors' release"),
    _cifar_variant("densenet40_cifar", (1_019_722, 264_812_928)),
    _cifar_variant("densenet100_cifar", (6_979_642, 1_769_516_448)),
    _cifar_variant("densenet100_bc_cifar", (769_162, 287_929_692)),
)
