"""SENet for CIFAR-10: squeeze-and-excitation in pre-activation ResNets.

Hu, Shen, Sun 2017, "Squeeze-and-excitation networks", last version on arXiv, section 5.1 and Table 4.

se_resnet20_cifar at 3x32x32: stage1 16x32x32, stage2 32x16x16, stage3 64x8x8
se_resnet164_cifar at 3x33x40: stage1 64x33x40, stage2 128x17x20, stage3 256x9x10

Networks of `convolve.models.preact_resnet` (6.37 and 5.46 per cent of error, the table's entries for ResNet-110 and
ResNet-164, is theirs) with the gate at the end of each branch, before the addition. Test errors: 5.21 per cent for 110
and 4.39 for 164 layers. The paper has no network of 20 layers; it follows the rule of those of 110.

Deviations: the paper does not say how far gates squeeze so few channels. A sixteenth of 16 is one rectifier, which in
half of the gates would be zero for every image from the start and pass no gradient; here there are eight.
"""

from __future__ import annotations

from functools import partial
from typing import cast

from torch import nn

from convolve.layers.squeeze_excitation import SqueezeExcitation
from convolve.models.network import Card, Variant
from convolve.models.preact_resnet import Sum, Units, basic, bottleneck, build, first_basic

LEAST = 8  # rectifiers in a gate


def se_sum(branch: nn.Sequential, shortcut: nn.Module) -> Sum:
    """The sum of a shortcut and a branch that ends in a gate on its last convolution's channels."""
    last = cast(nn.Conv2d, branch[-1])
    return Sum(nn.Sequential(*branch, SqueezeExcitation(last.out_channels, LEAST)), shortcut)


BASIC = partial(first_basic, join=se_sum), partial(basic, join=se_sum)
BOTTLENECK = partial(bottleneck, join=se_sum)
DEPTHS: dict[int, Units] = {  # first unit, later units, how many in each stage, expansion
    20: (*BASIC, 3, 1),
    110: (*BASIC, 18, 1),
    164: (BOTTLENECK, BOTTLENECK, 18, 4),
}


def _variant(depth: int, counts: tuple[int, int]) -> Variant:
    card = Card(
        name=f"se_resnet{depth}_cifar",
        title="Squeeze-and-excitation networks",
        authors="Hu, Shen, Sun",
        year=2017,
        venue="CVPR 2018",
        address="https://arxiv.org/abs/1709.01507",
        input=(3, 32, 32),
        classes=10,
        minimum=1,
        parameters=counts[0],
        macs=counts[1],
    )
    return Variant(card, partial(build, DEPTHS[depth]))


VARIANTS = (
    _variant(20, (275_506, 40_556_416)),
    _variant(110, (1_762_666, 252_919_936)),
    _variant(164, (1_914_650, 244_703_744)),
)
