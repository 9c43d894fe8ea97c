"""ResNet with other shortcuts, and without.

He, Zhang, Ren, Sun 2015, "Deep residual learning for image recognition", section 4.1, figure 3, Tables 2 and 3.

resnet34_a at 3x224x224: stage1 64x112x112, stage2 64x56x56, stage3 128x28x28, stage4 256x14x14, stage5 512x7x7
plain18 at 3x64x96: stage1 64x32x48, stage2 64x16x24, stage3 128x8x12, stage4 256x4x6, stage5 512x2x3

The networks of `convolve.models.resnet` have option B; option A pads with zeros, C projects everywhere. The plain
networks have the same layers without shortcuts: they show the degradation that residual learning removes.

Deviations: the max pooling pads by 1 and rounds down, as in Torch. Published errors are means of ten crops.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import partial

from torch import nn

from convolve.layers.initializers import he_normal
from convolve.layers.residual import Residual, projection_always, zero_padding
from convolve.models.network import Card, Network, Variant
from convolve.models.resnet import Block, imagenet_card, pooling_head, residual_stages, stem

TABLE_1 = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}  # blocks in conv2_x, conv3_x, conv4_x, conv5_x


def _convolutions(channels: int, width: int, stride: int) -> OrderedDict[str, nn.Module]:
    return OrderedDict(
        conv1=nn.Conv2d(channels, width, 3, stride, padding=1, bias=False),
        norm1=nn.BatchNorm2d(width),
        relu1=nn.ReLU(inplace=True),
        conv2=nn.Conv2d(width, width, 3, padding=1, bias=False),
        norm2=nn.BatchNorm2d(width),
    )


def basic_a(channels: int, width: int, stride: int) -> nn.Module:
    """Two 3x3 convolutions with shortcut option A.

    Shape: (N, channels, H, W) -> (N, width, H / stride, W / stride)
    """
    branch = nn.Sequential(_convolutions(channels, width, stride))
    return Residual(branch, zero_padding(channels, width, stride), width)


def basic_c(channels: int, width: int, stride: int) -> nn.Module:
    """Two 3x3 convolutions with shortcut option C.

    Shape: (N, channels, H, W) -> (N, width, H / stride, W / stride)
    """
    branch = nn.Sequential(_convolutions(channels, width, stride))
    return Residual(branch, projection_always(channels, width, stride), width)


def plain(channels: int, width: int, stride: int) -> nn.Module:
    """Two 3x3 convolutions without a shortcut (figure 3, middle).

    Shape: (N, channels, H, W) -> (N, width, H / stride, W / stride)
    """
    return nn.Sequential(_convolutions(channels, width, stride) | {"relu2": nn.ReLU(inplace=True)})


def _build(
    block: Block, repeats: tuple[int, ...], card: Card, classes: int, channels: int, size: tuple[int, int]
) -> Network:
    del size
    stages = residual_stages(stem(channels), nn.MaxPool2d(3, 2, padding=1), block, repeats, expansion=1)
    return Network(card, stages, pooling_head(512, classes)).apply(he_normal)


def _variant(
    name: str, block: Block, depth: int, counts: tuple[int, int], errors: tuple[float, float | None] | None = None
) -> Variant:
    card = imagenet_card(name, counts, errors, "Tables 2 and 3")
    return Variant(card, partial(_build, block, TABLE_1[depth]))


VARIANTS = (
    _variant("plain18", plain, 18, (11_515_688, 1_794_805_760), (27.94, None)),
    _variant("plain34", plain, 34, (21_623_848, 3_644_493_824), (28.54, 10.02)),
    _variant("resnet18_a", basic_a, 18, (11_515_688, 1_794_805_760), (27.88, None)),
    _variant("resnet34_a", basic_a, 34, (21_623_848, 3_644_493_824), (25.03, 7.76)),
    _variant("resnet18_c", basic_c, 18, (12_043_816, 1_878_298_624)),
    _variant("resnet34_c", basic_c, 34, (22_716_840, 3_830_747_136), (24.19, 7.40)),
)
