"""ResNet for CIFAR-10, and its plain counterparts.

He, Zhang, Ren, Sun 2015, "Deep residual learning for image recognition", section 4.2, Table 6 and figure 6.

resnet20_cifar at 3x32x32: stage1 16x32x32, stage2 32x16x16, stage3 64x8x8
plain56_cifar at 3x33x40: stage1 16x33x40, stage2 32x17x20, stage3 64x9x10

A network of depth 6n + 2: conv1, then three stages of n blocks of two 3x3 convolutions; shortcuts are of option A "in
all cases". Test errors on CIFAR-10 (Table 6): 8.75, 7.51, 7.17, 6.97, 6.43 and 7.93 per cent for 20 to 1202 layers;
that of 110 layers is the best of five runs, whose mean is 6.61.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import partial

from torch import nn

from convolve.layers.initializers import he_normal
from convolve.models.network import Card, Network, Stage, Variant
from convolve.models.resnet import Block, pooling_head
from convolve.models.resnet_options import basic_a, plain

WIDTHS = (16, 32, 64)


def _build(block: Block, count: int, card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    del size
    layers = OrderedDict[str, nn.Module](
        conv1=nn.Conv2d(channels, 16, 3, padding=1, bias=False), norm1=nn.BatchNorm2d(16), relu1=nn.ReLU(inplace=True)
    )
    stages: dict[str, Stage] = {}
    channels = 16
    for number, width in enumerate(WIDTHS, 1):
        for index in range(1, count + 1):
            layers[f"block{number}_{index}"] = block(channels, width, 2 if index == 1 and number > 1 else 1)
            channels = width
        stages[f"stage{number}"] = Stage(nn.Sequential(layers), width, 2 ** (number - 1))
        layers = OrderedDict()
    return Network(card, stages, pooling_head(channels, classes)).apply(he_normal)


def _variant(name: str, block: Block, depth: int, counts: tuple[int, int]) -> Variant:
    card = Card(
        name=name,
        title="Deep residual learning for image recognition",
        authors="He, Zhang, Ren, Sun",
        year=2015,
        venue="CVPR 2016",
        address="https://arxiv.org/abs/1512.03385",
        input=(3, 32, 32),
        classes=10,
        minimum=1,
        parameters=counts[0],
        macs=counts[1],
    )
    return Variant(card, partial(_build, block, (depth - 2) // 6))


VARIANTS = (
    _variant("resnet20_cifar", basic_a, 20, (269_722, 40_551_040)),
    _variant("resnet32_cifar", basic_a, 32, (464_154, 68_862_592)),
    _variant("resnet44_cifar", basic_a, 44, (658_586, 97_174_144)),
    _variant("resnet56_cifar", basic_a, 56, (853_018, 125_485_696)),
    _variant("resnet110_cifar", basic_a, 110, (1_727_962, 252_887_680)),
    _variant("resnet1202_cifar", basic_a, 1202, (19_421_274, 2_829_238_912)),
    _variant("plain20_cifar", plain, 20, (269_722, 40_551_040)),
    _variant("plain32_cifar", plain, 32, (464_154, 68_862_592)),
    _variant("plain44_cifar", plain, 44, (658_586, 97_174_144)),
    _variant("plain56_cifar", plain, 56, (853_018, 125_485_696)),
)
