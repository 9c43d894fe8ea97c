"""SENet: squeeze-and-excitation in ResNet, ResNeXt and Inception, and SENet-154.

Hu, Shen, Sun 2017, "Squeeze-and-excitation networks", Table 1, figures 2 and 3, Tables 2 and 8, and the appendix on
SENet-154, numbered as in the last version on arXiv.

se_resnet50 at 3x224x224: stage1 64x112x112, stage2 256x56x56, stage3 512x28x28, stage4 1024x14x14, stage5 2048x7x7
se_inception at 3x64x96: stage1 64x32x48, stage2 192x16x24, stage3 320x8x12, stage4 608x4x6, stage5 1024x2x3
senet154 at 3x64x96: stage1 128x32x48, stage2 256x16x24, stage3 512x8x12, stage4 1024x4x6, stage5 2048x2x3

The gate is at the end of a block, before the addition or after the concatenation. As in the authors' Caffe files,
SE-ResNet strides the first 1x1 convolution, SE-ResNeXt and SENet-154 the 3x3; the first pooling rounds up without
padding. SE-Inception is BN-Inception with a dense first convolution (`bn_inception_caffe`). SENet-154: SE-ResNeXt-152
(64 x 4d) with three 3x3 convolutions as its stem, half the width in the first 1x1 of each block, 3x3 projections from
stage 3 on and dropout of 0.2.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import partial

from torch import nn

from convolve.layers.inception import Step
from convolve.layers.initializers import he_normal
from convolve.layers.residual import Residual, projection
from convolve.layers.squeeze_excitation import SqueezeExcitation
from convolve.models import bn_inception
from convolve.models.network import Card, Network, Stage, Variant
from convolve.models.resnet import Block, pooling_head, residual_stages, stem

REPEATS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}  # blocks in conv2_x to conv5_x


def _se_block(convolutions: list[nn.Conv2d], shortcut: nn.Module) -> Residual:
    """Convolutions with normalization, ReLU between them and the gate after them."""
    layers = OrderedDict[str, nn.Module]()
    for index, convolution in enumerate(convolutions, 1):
        layers[f"conv{index}"] = convolution
        layers[f"norm{index}"] = nn.BatchNorm2d(convolution.out_channels)
        layers[f"relu{index}"] = nn.ReLU(inplace=True)
    del layers[f"relu{len(convolutions)}"]
    outputs = convolutions[-1].out_channels
    layers["gate"] = SqueezeExcitation(outputs)
    return Residual(nn.Sequential(layers), shortcut, outputs)


def se_resnet(channels: int, width: int, stride: int) -> nn.Module:
    """Table 1, SE-ResNet-50 (figure 3).

    Shape: (N, channels, H, W) -> (N, 4 * width, H / stride, W / stride)
    """
    convolutions = [
        nn.Conv2d(channels, width, 1, stride, bias=False),
        nn.Conv2d(width, width, 3, padding=1, bias=False),
        nn.Conv2d(width, 4 * width, 1, bias=False),
    ]
    return _se_block(convolutions, projection(channels, 4 * width, stride))


def se_resnext(channels: int, width: int, stride: int) -> nn.Module:
    """Table 1, SE-ResNeXt-50 (32 x 4d); ``width`` is a multiple of 16.

    (N, channels, H, W) becomes (N, 4 * width, H / stride, W / stride).
    """
    convolutions = [
        nn.Conv2d(channels, 2 * width, 1, bias=False),
        nn.Conv2d(2 * width, 2 * width, 3, stride, padding=1, groups=32, bias=False),
        nn.Conv2d(2 * width, 4 * width, 1, bias=False),
    ]
    return _se_block(convolutions, projection(channels, 4 * width, stride))


def se_154(channels: int, width: int, stride: int) -> nn.Module:
    """The block of SENet-154; ``width`` is a multiple of 32.

    (N, channels, H, W) becomes (N, 4 * width, H / stride, W / stride).
    """
    convolutions = [
        nn.Conv2d(channels, 2 * width, 1, bias=False),
        nn.Conv2d(2 * width, 4 * width, 3, stride, padding=1, groups=64, bias=False),
        nn.Conv2d(4 * width, 4 * width, 1, bias=False),
    ]
    if stride == 1:
        return _se_block(convolutions, projection(channels, 4 * width, 1))
    conv = nn.Conv2d(channels, 4 * width, 3, stride, padding=1, bias=False)
    return _se_block(convolutions, nn.Sequential(OrderedDict(conv=conv, norm=nn.BatchNorm2d(4 * width))))


def se_inception(module: Step) -> Step:
    """Figure 2: an inception module followed by the gate."""

    def build(channels: int) -> tuple[nn.Module, int]:
        layer, outputs = module(channels)
        return nn.Sequential(OrderedDict(branches=layer, gate=SqueezeExcitation(outputs))), outputs

    return build


def _stem_154(channels: int) -> Stage:
    layers = OrderedDict[str, nn.Module]()
    for index, (width, stride) in enumerate(((64, 2), (64, 1), (128, 1)), 1):
        layers[f"conv{index}"] = nn.Conv2d(channels, width, 3, stride, padding=1, bias=False)
        layers[f"norm{index}"] = nn.BatchNorm2d(width)
        layers[f"relu{index}"] = nn.ReLU(inplace=True)
        channels = width
    return Stage(nn.Sequential(layers), 128, 2)


def _residual(
    block: Block, repeats: tuple[int, ...], card: Card, classes: int, channels: int, size: tuple[int, int]
) -> Network:
    del size
    stages = residual_stages(stem(channels), nn.MaxPool2d(3, 2, ceil_mode=True), block, repeats, expansion=4)
    return Network(card, stages, pooling_head(2048, classes)).apply(he_normal)


def _senet154(card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    del size
    pool = nn.MaxPool2d(3, 2, ceil_mode=True)
    stages = residual_stages(_stem_154(channels), pool, se_154, REPEATS[152], expansion=4)
    return Network(card, stages, pooling_head(2048, classes, dropout=0.2)).apply(he_normal)


def _inception(card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    del size
    rows = {
        stage: {name: se_inception(module) for name, module in modules.items()}
        for stage, modules in bn_inception.FIGURE_5.items()
    }
    return Network(card, bn_inception.stages(bn_inception.dense, rows, channels), pooling_head(1024, classes)).apply(
        he_normal
    )


def _card(
    name: str, minimum: int, counts: tuple[int, int], errors: tuple[float, float], table: str = "Table 2"
) -> Card:
    return Card(
        name=name,
        title="Squeeze-and-excitation networks",
        authors="Hu, Shen, Sun",
        year=2017,
        venue="CVPR 2018",
        address="https://arxiv.org/abs/1709.01507",
        input=(3, 224, 224),
        classes=1000,
        minimum=minimum,
        parameters=counts[0],
        macs=counts[1],
        top1_error=errors[0],
        top5_error=errors[1],
        evaluation=f"one crop ({table})",
    )


def _variant(name: str, block: Block, depth: int, counts: tuple[int, int], errors: tuple[float, float]) -> Variant:
    return Variant(_card(name, 3, counts, errors), partial(_residual, block, REPEATS[depth]))


VARIANTS = (
    _variant("se_resnet50", se_resnet, 50, (28_088_024, 3_860_488_192), (23.29, 6.62)),
    _variant("se_resnet101", se_resnet, 101, (49_326_872, 7_574_937_600), (22.38, 6.07)),
    _variant("se_resnet152", se_resnet, 152, (66_821_848, 11_288_993_792), (21.57, 5.73)),
    _variant("se_resnext50", se_resnext, 50, (27_559_896, 4_232_994_816), (21.10, 5.49)),
    Variant(_card("se_inception", 7, (11_931_622, 2_033_239_424), (24.23, 7.14)), _inception),
    Variant(_card("senet154", 3, (115_088_984, 20_688_363_520), (18.68, 4.47), "Table 8"), _senet154),
)
