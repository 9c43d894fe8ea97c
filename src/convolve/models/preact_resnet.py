"""ResNet with pre-activation.

He, Zhang, Ren, Sun 2016, "Identity mappings in deep residual networks", figure 4(e), Tables 3 and 4, and appendix.

preact_resnet110_cifar at 3x32x32: stage1 16x32x32, stage2 32x16x16, stage3 64x8x8
preact_resnet164_cifar at 3x33x40: stage1 64x33x40, stage2 128x17x20, stage3 256x9x10

Normalization and ReLU come before each convolution, so that nothing is on the path of the shortcuts. The first unit is
activated before it splits into two paths, and the last stage ends in one more activation (appendix). 110 layers are
units of two 3x3 convolutions, whose shortcuts have no parameters (option A); 164 and 1001 layers are bottlenecks, and
where their width changes the shortcut is a 1x1 convolution of the activated maps, as in the authors' Torch file. Test
errors on CIFAR-10, medians of five runs (Table 3): 6.37, 5.46 and 4.92 per cent. The 10.2 million parameters of 1001
layers (Table 4) are those of the convolutions and the scores, 10,178,490; normalization has 149,216 more.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import final

from torch import Tensor, nn

from convolve.layers.description import Skip
from convolve.layers.initializers import he_normal
from convolve.layers.residual import zero_padding
from convolve.models.network import Card, Network, Stage, Variant
from convolve.models.resnet import pooling_head

Unit = Callable[[int, int, int], nn.Module]
"""Builds a unit for the channels that enter it, the width of its stage, and its stride."""
Join = Callable[[nn.Sequential, nn.Module], nn.Module]
"""Joins a branch and its shortcut."""


@final
class Sum(nn.Module):
    """branch(x) + shortcut(x), with nothing after it.

    The sum is written into the branch's result, so the branch has to end in a layer that does not need its own output
    for its gradient (convolution and `SqueezeExcitation` do not).
    """

    def __init__(self, branch: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.branch = branch
        self.shortcut = shortcut

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, H, W) maps to (N, channels of the branch, H / stride, W / stride)."""
        merged: Tensor = self.branch(maps).add_(self.shortcut(maps))
        return merged

    def describe(self) -> Skip:
        """A branch with a skip."""
        return Skip("branch")


def basic(channels: int, width: int, stride: int, join: Join = Sum) -> nn.Module:
    """Two 3x3 convolutions, each after its activation.

    Shape: (N, channels, H, W) -> (N, width, H / stride, W / stride)
    """
    branch = [*_activation(channels), *_convolutions(channels, width, stride)]
    return join(nn.Sequential(*branch), zero_padding(channels, width, stride))


def first_basic(channels: int, width: int, stride: int, join: Join = Sum) -> nn.Module:
    """The network's first unit: one activation for both paths.

    Shape: (N, channels, H, W) -> (N, width, H / stride, W / stride)
    """
    branch = nn.Sequential(*_convolutions(channels, width, stride))
    return nn.Sequential(*_activation(channels), join(branch, zero_padding(channels, width, stride)))


def bottleneck(channels: int, width: int, stride: int, join: Join = Sum) -> nn.Module:
    """1x1, 3x3 and 1x1 convolutions; one activation for both paths where the shortcut is a convolution.

    Shape: (N, channels, H, W) -> (N, 4 * width, H / stride, W / stride)
    """
    branch = [
        nn.Conv2d(channels, width, 1, stride, bias=False),
        *_activation(width),
        nn.Conv2d(width, width, 3, padding=1, bias=False),
        *_activation(width),
        nn.Conv2d(width, 4 * width, 1, bias=False),
    ]
    if channels == 4 * width:
        return join(nn.Sequential(*_activation(channels), *branch), nn.Identity())
    shortcut = nn.Conv2d(channels, 4 * width, 1, stride, bias=False)
    return nn.Sequential(*_activation(channels), join(nn.Sequential(*branch), shortcut))


def _convolutions(channels: int, width: int, stride: int) -> list[nn.Module]:
    first = nn.Conv2d(channels, width, 3, stride, padding=1, bias=False)
    return [first, *_activation(width), nn.Conv2d(width, width, 3, padding=1, bias=False)]


def _activation(channels: int) -> list[nn.Module]:
    return [nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]


WIDTHS = (16, 32, 64)
Units = tuple[Unit, Unit, int, int]  # first unit, later units, how many in each stage, expansion
TABLE_4: dict[int, Units] = {
    110: (first_basic, basic, 18, 1),
    164: (bottleneck, bottleneck, 18, 4),
    1001: (bottleneck, bottleneck, 111, 4),
}


def build(units: Units, card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    """Conv1, three stages of units, the last activation and the scores."""
    del size
    unit, later, count, expansion = units
    layers = OrderedDict[str, nn.Module](conv1=nn.Conv2d(channels, 16, 3, padding=1, bias=False))
    stages: dict[str, Stage] = {}
    channels = 16
    for number, width in enumerate(WIDTHS, 1):
        for index in range(1, count + 1):
            layers[f"unit{number}_{index}"] = unit(channels, width, 2 if index == 1 and number > 1 else 1)
            channels, unit = expansion * width, later
        stages[f"stage{number}"] = Stage(nn.Sequential(layers), channels, 2 ** (number - 1))
        layers = OrderedDict()
    for layer, name in zip(_activation(channels), ("norm", "relu"), strict=True):
        stages["stage3"].layers.add_module(name, layer)
    return Network(card, stages, pooling_head(channels, classes)).apply(he_normal)


def _variant(depth: int, counts: tuple[int, int]) -> Variant:
    card = Card(
        name=f"preact_resnet{depth}_cifar",
        title="Identity mappings in deep residual networks",
        authors="He, Zhang, Ren, Sun",
        year=2016,
        venue="ECCV 2016",
        address="https://arxiv.org/abs/1603.05027",
        input=(3, 32, 32),
        classes=10,
        minimum=1,
        parameters=counts[0],
        macs=counts[1],
    )
    return Variant(card, partial(build, TABLE_4[depth]))


VARIANTS = (
    _variant(110, (1_727_962, 252_887_680)),
    _variant(164, (1_703_258, 244_500_992)),
    _variant(1001, (10_327_706, 1_487_849_984)),
)
