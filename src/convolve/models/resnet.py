"""ResNet for ImageNet.

He, Zhang, Ren, Sun 2015, "Deep residual learning for image recognition", Table 1 and figure 5.

resnet18 at 3x224x224: stage1 64x112x112, stage2 64x56x56, stage3 128x28x28, stage4 256x14x14, stage5 512x7x7
resnet50 at 3x224x224: stage1 64x112x112, stage2 256x56x56, stage3 512x28x28, stage4 1024x14x14, stage5 2048x7x7
resnet50_caffe at 3x64x96: stage1 64x32x48, stage2 256x16x24, stage3 512x8x12, stage4 1024x4x6, stage5 2048x2x3
resnet50_v1_5 at 3x64x96: stage1 64x32x48, stage2 256x16x24, stage3 512x8x12, stage4 1024x4x6, stage5 2048x2x3

Stage 1 is conv1; stage 2 is the max pooling and conv2_x; stages 3 to 5 are conv3_x to conv5_x, which halve the map in
their first block. The networks named `_v1_5` halve it in that block's 3x3 convolution, as fb.resnet.torch does and most
pretrained weights expect; the paper's own in its first 1x1. Their parameters are the same, their multiply-adds are not.

ResNeXt and SENet have the same stem, stages and head (`stem`, `residual_stages`, `pooling_head`) with other blocks.

Deviations: shortcuts are of option B (projection where the shape changes) in all depths, as in the pretrained networks;
Table 2 of the paper has the 18- and 34-layer networks with option A. The max pooling pads by 1 and rounds down, as in
Torch. Only that of the networks named `_caffe` is the authors' own, which pads nothing and rounds up: the windows of
the same 56x56 units begin one pixel later, and with the weights of the authors' files only these give their outputs.
Published errors are means of ten crops (Table 3), of `_caffe` of the central crop.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from torch import nn

from convolve.layers.initializers import he_normal
from convolve.layers.residual import Residual, projection
from convolve.models.network import Card, Network, Stage, Variant

WIDTHS = (64, 128, 256, 512)
Block = Callable[[int, int, int], nn.Module]
"""Builds a block for the channels that enter it, the width of its stage, and its stride."""
Design = tuple[Block, int]
"""A block, and its expansion: the channels that leave it, as a multiple of its width."""


def stem(channels: int) -> Stage:
    """conv1: 7x7, 64, stride 2, with normalization and ReLU."""
    layers = OrderedDict(
        conv1=nn.Conv2d(channels, 64, 7, 2, padding=3, bias=False),
        norm1=nn.BatchNorm2d(64),
        relu1=nn.ReLU(inplace=True),
    )
    return Stage(nn.Sequential(layers), 64, 2)


def residual_stages(
    first: Stage, pool: nn.Module, block: Block, repeats: Sequence[int], expansion: int
) -> dict[str, Stage]:
    """Stage 1 as given, then conv2_x to conv5_x, each of whose blocks has ``expansion`` times its width as channels.

    The pooling comes before conv2_x; the first block of each later stage halves the map.
    """
    stages = {"stage1": first}
    layers = OrderedDict[str, nn.Module](pool1=pool)
    channels = first.channels
    for number, (width, count) in enumerate(zip(WIDTHS, repeats, strict=True), 2):
        for index in range(1, count + 1):
            layers[f"conv{number}_{index}"] = block(channels, width, 2 if index == 1 and number > 2 else 1)
            channels = expansion * width
        stages[f"stage{number}"] = Stage(nn.Sequential(layers), channels, 2**number)
        layers = OrderedDict()
    return stages


def pooling_head(channels: int, classes: int, dropout: float = 0.0) -> nn.Module:
    """Global average pooling and the scores, with dropout between them if it is not 0."""
    layers = OrderedDict[str, nn.Module](pool5=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten())
    if dropout:
        layers["dropout"] = nn.Dropout(dropout)
    layers["fc"] = nn.Linear(channels, classes)
    return nn.Sequential(layers)


def basic(channels: int, width: int, stride: int) -> Residual:
    """Two 3x3 convolutions (figure 5, left).

    Shape: (N, channels, H, W) -> (N, width, H / stride, W / stride)
    """
    branch = OrderedDict(
        conv1=nn.Conv2d(channels, width, 3, stride, padding=1, bias=False),
        norm1=nn.BatchNorm2d(width),
        relu1=nn.ReLU(inplace=True),
        conv2=nn.Conv2d(width, width, 3, padding=1, bias=False),
        norm2=nn.BatchNorm2d(width),
    )
    return Residual(nn.Sequential(branch), projection(channels, width, stride), width)


def bottleneck(channels: int, width: int, stride: int) -> Residual:
    """1x1, 3x3 and 1x1 convolutions (figure 5, right), the first one strided.

    Shape: (N, channels, H, W) -> (N, 4 * width, H / stride, W / stride)
    """
    return _bottleneck(channels, width, stride, 1)


def bottleneck_v1_5(channels: int, width: int, stride: int) -> Residual:
    """1x1, 3x3 and 1x1 convolutions, the 3x3 strided.

    Shape: (N, channels, H, W) -> (N, 4 * width, H / stride, W / stride)
    """
    return _bottleneck(channels, width, 1, stride)


def _bottleneck(channels: int, width: int, first: int, second: int) -> Residual:
    branch = OrderedDict(
        conv1=nn.Conv2d(channels, width, 1, first, bias=False),
        norm1=nn.BatchNorm2d(width),
        relu1=nn.ReLU(inplace=True),
        conv2=nn.Conv2d(width, width, 3, second, padding=1, bias=False),
        norm2=nn.BatchNorm2d(width),
        relu2=nn.ReLU(inplace=True),
        conv3=nn.Conv2d(width, 4 * width, 1, bias=False),
        norm3=nn.BatchNorm2d(4 * width),
    )
    return Residual(nn.Sequential(branch), projection(channels, 4 * width, first * second), 4 * width)


TABLE_1 = {  # blocks in conv2_x, conv3_x, conv4_x, conv5_x
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}


def _build(
    design: Design, repeats: tuple[int, ...], card: Card, classes: int, channels: int, size: tuple[int, int]
) -> Network:
    del size
    block, expansion = design
    stages = residual_stages(stem(channels), nn.MaxPool2d(3, 2, padding=1), block, repeats, expansion)
    return Network(card, stages, pooling_head(512 * expansion, classes)).apply(he_normal)


def _build_caffe(repeats: tuple[int, ...], card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    del size
    stages = residual_stages(stem(channels), nn.MaxPool2d(3, 2, ceil_mode=True), bottleneck, repeats, 4)
    return Network(card, stages, pooling_head(2048, classes)).apply(he_normal)


def imagenet_card(name: str, counts: tuple[int, int], errors: tuple[float, float | None] | None, tables: str) -> Card:
    """The card of one of the paper's networks for ImageNet: (parameters, multiply-adds), and (top-1, top-5) errors of
    ``tables`` where the paper gives them.
    """
    return Card(
        name=name,
        title="Deep residual learning for image recognition",
        authors="He, Zhang, Ren, Sun",
        year=2015,
        venue="CVPR 2016",
        address="https://arxiv.org/abs/1512.03385",
        input=(3, 224, 224),
        classes=1000,
        minimum=1,
        parameters=counts[0],
        macs=counts[1],
        top1_error=errors[0] if errors else None,
        top5_error=errors[1] if errors else None,
        evaluation=f"mean of ten crops ({tables})" if errors else "",
    )


def _variant(
    name: str, design: Design, depth: int, counts: tuple[int, int], errors: tuple[float, float] | None = None
) -> Variant:
    return Variant(imagenet_card(name, counts, errors, "Table 3"), partial(_build, design, TABLE_1[depth]))


def _caffe_variant(published: Variant, depth: int, top1: float, top5: float) -> Variant:
    notes = "central crop (notes of the authors' release)"
    card = replace(published.card, minimum=3, top1_error=top1, top5_error=top5, evaluation=notes)
    return Variant(replace(card, name=f"{card.name}_caffe"), partial(_build_caffe, TABLE_1[depth]))


_RESNET50 = _variant("resnet50", (bottleneck, 4), 50, (25_557_032, 3_857_973_248), (22.85, 6.71))
_RESNET101 = _variant("resnet101", (bottleneck, 4), 101, (44_549_160, 7_570_194_432), (21.75, 6.05))
_RESNET152 = _variant("resnet152", (bottleneck, 4), 152, (60_192_808, 11_282_415_616), (21.43, 5.71))
VARIANTS = (
    _variant("resnet18", (basic, 1), 18, (11_689_512, 1_814_073_344)),
    _variant("resnet34", (basic, 1), 34, (21_797_672, 3_663_761_408), (24.52, 7.46)),
    *(_RESNET50, _RESNET101, _RESNET152),
    _caffe_variant(_RESNET50, 50, 24.7, 7.8),
    _caffe_variant(_RESNET101, 101, 23.6, 7.1),
    _caffe_variant(_RESNET152, 152, 23.0, 6.7),
    _variant("resnet50_v1_5", (bottleneck_v1_5, 4), 50, (25_557_032, 4_089_184_256)),
    _variant("resnet101_v1_5", (bottleneck_v1_5, 4), 101, (44_549_160, 7_801_405_440)),
    _variant("resnet152_v1_5", (bottleneck_v1_5, 4), 152, (60_192_808, 11_513_626_624)),
)
