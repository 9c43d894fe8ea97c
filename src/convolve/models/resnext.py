"""ResNeXt.

Xie, Girshick, Dollár, Tu, He 2016, "Aggregated residual transformations for deep neural networks", Table 1, figure 3(c)
and Table 4.

resnext50 at 3x224x224: stage1 64x112x112, stage2 256x56x56, stage3 512x28x28, stage4 1024x14x14, stage5 2048x7x7
resnext101_64x4d at 3x64x96: stage1 64x32x48, stage2 256x16x24, stage3 512x8x12, stage4 1024x4x6, stage5 2048x2x3

ResNet with bottlenecks that are split into C paths of width d, C x d = 32 x 4 unless named, here in the form (c) of
figure 3: a 3x3 convolution in C groups. It is strided where the map is halved, as the paper says of its ResNets.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import partial

from torch import nn

from convolve.layers.initializers import he_normal
from convolve.layers.residual import Residual, projection
from convolve.models.network import Card, Network, Variant
from convolve.models.resnet import pooling_head, residual_stages, stem

TABLE_1 = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}  # blocks in conv2_x, conv3_x, conv4_x, conv5_x


def aggregated(paths: int, depth: int, channels: int, width: int, stride: int) -> Residual:
    """Figure 3(c): ``paths`` groups of ``depth`` channels each in conv2_x, twice as many in every later stage.

    (N, channels, H, W) becomes (N, 4 * width, H / stride, W / stride).
    """
    inner = paths * (depth * width // 64)
    branch = OrderedDict(
        conv1=nn.Conv2d(channels, inner, 1, bias=False),
        norm1=nn.BatchNorm2d(inner),
        relu1=nn.ReLU(inplace=True),
        conv2=nn.Conv2d(inner, inner, 3, stride, padding=1, groups=paths, bias=False),
        norm2=nn.BatchNorm2d(inner),
        relu2=nn.ReLU(inplace=True),
        conv3=nn.Conv2d(inner, 4 * width, 1, bias=False),
        norm3=nn.BatchNorm2d(4 * width),
    )
    return Residual(nn.Sequential(branch), projection(channels, 4 * width, stride), 4 * width)


def _build(
    split: tuple[int, int], repeats: tuple[int, ...], card: Card, classes: int, channels: int, size: tuple[int, int]
) -> Network:
    del size
    pool = nn.MaxPool2d(3, 2, padding=1)
    stages = residual_stages(stem(channels), pool, partial(aggregated, *split), repeats, expansion=4)
    return Network(card, stages, pooling_head(2048, classes)).apply(he_normal)


def _variant(
    name: str, depth: int, split: tuple[int, int], counts: tuple[int, int], errors: tuple[float, float | None]
) -> Variant:
    card = Card(
        name=name,
        title="Aggregated residual transformations for deep neural networks",
        authors="Xie, Girshick, Dollár, Tu, He",
        year=2016,
        venue="CVPR 2017",
        address="https://arxiv.org/abs/1611.05431",
        input=(3, 224, 224),
        classes=1000,
        minimum=1,
        parameters=counts[0],
        macs=counts[1],
        top1_error=errors[0],
        top5_error=errors[1],
        evaluation="one crop (Tables 3 and 4)",
    )
    return Variant(card, partial(_build, split, TABLE_1[depth]))


VARIANTS = (
    _variant("resnext50", 50, (32, 4), (25_028_904, 4_230_479_872), (22.2, None)),
    _variant("resnext101", 101, (32, 4), (44_177_704, 7_969_996_800), (21.2, 5.6)),
    _variant("resnext101_64x4d", 101, (64, 4), (83_455_272, 15_460_270_080), (20.4, 5.3)),
)
