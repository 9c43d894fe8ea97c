"""Network in network.

Lin, Chen, Yan 2013, "Network in network", figure 2 and section 4; the widths are those of the authors' files.

nin at 3x224x224: stage1 96x27x27, stage2 256x13x13, stage3 384x6x6, stage4 1024x6x6
nin_cifar at 3x32x32: stage1 96x16x16, stage2 192x8x8, stage3 192x8x8

A stage is an mlpconv layer (a convolution and two of 1x1) with its pooling; the last 1x1 convolution, one map per
class, is the head, together with the global average that goes straight into the softmax. Every convolution is followed
by a rectifier, the last one too. Poolings overlap and round up. On CIFAR-10, contrast normalized and whitened, the
paper reaches 10.41 % test error, and 8.81 % with augmentation (Table 1).

Deviations: the network for ImageNet is not in the paper, but in the authors' Caffe files; so are the deviations of the
Gaussians from which the weights of both are drawn.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import partial

from torch import nn

from convolve.layers.initializers import gaussian
from convolve.models.network import Card, Network, Stage, Variant

Convolution = tuple[int, int, int, float]
Row = tuple[Convolution, tuple[int, ...], tuple[Callable[[], nn.Module], ...]]


def mlpconv(number: int, channels: int, first: Convolution, widths: tuple[int, ...]) -> OrderedDict[str, nn.Module]:
    """The ``first`` convolution (kernel, stride, padding, deviation), then 1x1 convolutions, each with a rectifier.

    (N, channels, H, W) to (N, widths[-1], H / stride, W / stride)
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for index, width in enumerate(widths, 1):
        kernel, stride, padding, deviation = first if index == 1 else (1, 1, 0, 0.05)
        layers[f"conv{number}_{index}"] = gaussian(nn.Conv2d(channels, width, kernel, stride, padding), deviation)
        layers[f"relu{number}_{index}"] = nn.ReLU(inplace=True)
        channels = width
    return layers


def pool() -> nn.Module:
    """(N, C, H, W) to (N, C, H / 2, W / 2), rounded up as Caffe and cuda-convnet do."""
    return nn.MaxPool2d(3, 2, ceil_mode=True)


def dropout() -> nn.Module:
    """Dropout of half of the values, anywhere in the maps."""
    return nn.Dropout(0.5)


NIN: tuple[Row, ...] = (  # kernel, stride, padding, deviation; widths; what follows
    ((11, 4, 0, 0.01), (96, 96, 96), (pool,)),
    ((5, 1, 2, 0.05), (256, 256, 256), (pool,)),
    ((3, 1, 1, 0.01), (384, 384, 384), (pool, dropout)),
    ((3, 1, 1, 0.05), (1024, 1024), ()),
)
NIN_CIFAR: tuple[Row, ...] = (
    ((5, 1, 2, 0.05), (192, 160, 96), (pool, dropout)),
    ((5, 1, 2, 0.05), (192, 192, 192), (pool, dropout)),
    ((3, 1, 1, 0.05), (192, 192), ()),
)


def _build(
    table: tuple[Row, ...], deviation: float, card: Card, classes: int, channels: int, size: tuple[int, int]
) -> Network:
    del size
    stages: dict[str, Stage] = {}
    step = 1
    for number, (first, widths, followers) in enumerate(table, 1):
        layers = mlpconv(number, channels, first, widths)
        layers |= {f"{follower.__name__}{number}": follower() for follower in followers}
        channels, step = widths[-1], step * first[1] * 2 ** followers.count(pool)
        stages[f"stage{number}"] = Stage(nn.Sequential(layers), channels, step)
    last = gaussian(nn.Conv2d(channels, classes, 1), deviation)
    head = OrderedDict(conv=last, relu=nn.ReLU(inplace=True), average=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten())
    return Network(card, stages, nn.Sequential(head))


def _card(name: str, input: tuple[int, int, int], classes: int, minimum: int, counts: tuple[int, int]) -> Card:  # noqa: A002
    return Card(
        name=name,
        title="Network in network",
        authors="Lin, Chen, Yan",
        year=2013,
        venue="ICLR 2014",
        address="https://arxiv.org/abs/1312.4400",
        input=input,
        classes=classes,
        minimum=minimum,
        parameters=counts[0],
        macs=counts[1],
    )


VARIANTS = (
    Variant(_card("nin", (3, 224, 224), 1000, 39, (7_595_176, 1_100_188_800)), partial(_build, NIN, 0.01)),
    Variant(_card("nin_cifar", (3, 32, 32), 10, 4, (966_986, 222_486_528)), partial(_build, NIN_CIFAR, 0.05)),
)
