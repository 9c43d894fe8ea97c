"""Inception-v4 and Inception-ResNet-v2.

Szegedy, Ioffe, Vanhoucke, Alemi 2016, "Inception-v4, Inception-ResNet and the impact of residual connections on
learning", figures 3 to 9, 15 to 19 and Table 1.

inception_v4 at 3x299x299: stage1 64x147x147, stage2 192x71x71, stage3 384x35x35, stage4 1024x17x17, stage5 1536x8x8
inception_resnet_v2 at 3x107x139: stage1 64x51x67, stage2 192x23x31, stage3 384x11x15, stage4 1152x5x7, stage5 2144x2x3
inception_resnet_v2_slim at 3x75x91: stage1 64x35x43, stage2 192x15x19, stage3 320x7x9, stage4 1088x3x4, stage5 1536x1x1

Stage 3 begins with the stem's last pooling, stages 4 and 5 with the reductions A and B. Convolutions marked V in the
figures are unpadded here too.

`inception_resnet_v2_slim` is the network that the authors released in TF-slim, timm carries and most people mean:
another stem and Mixed_5b before 10, 20 and 10 residual modules (figure 15 has 5, 10 and 5), the last of them unscaled
and without ReLU, and a 1x1 convolution of 1536 after them.

Deviations: figures 17 and 19 end their modules in 1154 and 2048 channels, which cannot be added to the 1152 and 2144
that enter; they end in these here. Residuals are scaled by TF-slim's 0.17, 0.10 and 0.20 (section 3.3: "between 0.1 and
0.3"). The order of branches and of 1x7 and 7x1 convolutions is TF-slim's, and so is epsilon, 0.001. Initial weights, of
which the paper says nothing, are He's. Published errors are on the validation images that are not blacklisted for their
boxes, all but about 1,700: by the paper's estimate 0.3 and 0.15 points better than on all (section 5).
"""

from __future__ import annotations

from collections import OrderedDict
from functools import partial

from torch import nn

from convolve.layers.inception import ScaledResidual, Step, chain, concatenate, conv_norm, pooling
from convolve.layers.initializers import he_normal
from convolve.models.network import Card, Network, Stage, Variant

conv = partial(conv_norm, eps=1e-3)
valid = partial(conv_norm, eps=1e-3, padded=False)  # marked V
average = pooling(partial(nn.AvgPool2d, 3, 1, padding=1, count_include_pad=False))
halved = pooling(partial(nn.MaxPool2d, 3, 2))


def residual(branches: Step, scale: float, activation: type[nn.Module] = nn.ReLU) -> Step:
    """Figures 16, 17 and 19: branches, a 1x1 convolution back to the width that entered, scaled and added."""

    def build(channels: int) -> tuple[nn.Module, int]:
        layer, width = branches(channels)
        expansion = nn.Conv2d(width, channels, 1)
        branch = nn.Sequential(OrderedDict(branches=layer, linear=expansion))
        return ScaledResidual(branch, scale, activation()), channels

    return build


STEM_1 = (valid(32, 3, 2), valid(32, 3), conv(64, 3))  # figure 3, up to its first filter concatenation
STEM_2 = (
    concatenate(halved, valid(96, 3, 2)),
    concatenate(chain(conv(64), valid(96, 3)), chain(conv(64), conv(64, (1, 7)), conv(64, (7, 1)), valid(96, 3))),
)
STEM_3 = (concatenate(valid(192, 3, 2), halved),)
INCEPTION_A = concatenate(  # figure 4
    conv(96), chain(conv(64), conv(96, 3)), chain(conv(64), conv(96, 3), conv(96, 3)), chain(average, conv(96))
)
INCEPTION_B = concatenate(  # figure 5
    conv(384),
    chain(conv(192), conv(224, (1, 7)), conv(256, (7, 1))),
    chain(conv(192), conv(192, (7, 1)), conv(224, (1, 7)), conv(224, (7, 1)), conv(256, (1, 7))),
    chain(average, conv(128)),
)
INCEPTION_C = concatenate(  # figure 6
    conv(256),
    chain(conv(384), concatenate(conv(256, (1, 3)), conv(256, (3, 1)))),
    chain(conv(384), conv(448, (3, 1)), conv(512, (1, 3)), concatenate(conv(256, (1, 3)), conv(256, (3, 1)))),
    chain(average, conv(256)),
)


def reduction_a(k: int, l: int, m: int, n: int) -> Step:  # noqa: E741 - the figure's names
    """Figure 7, with the widths of Table 1: (N, C, H, W) to (N, n + m + C, H / 2, W / 2)."""
    return concatenate(valid(n, 3, 2), chain(conv(k), conv(l, 3), valid(m, 3, 2)), halved)


REDUCTION_B = concatenate(  # figure 8
    chain(conv(192), valid(192, 3, 2)),
    chain(conv(256), conv(256, (1, 7)), conv(320, (7, 1)), valid(320, 3, 2)),
    halved,
)
RESIDUAL_A = concatenate(conv(32), chain(conv(32), conv(32, 3)), chain(conv(32), conv(48, 3), conv(64, 3)))  # figure 16
RESIDUAL_B = concatenate(conv(192), chain(conv(128), conv(160, (1, 7)), conv(192, (7, 1))))  # figure 17
RESIDUAL_C = concatenate(conv(192), chain(conv(192), conv(224, (1, 3)), conv(256, (3, 1))))  # figure 19
RESIDUAL_REDUCTION_B = concatenate(  # figure 18
    chain(conv(256), valid(384, 3, 2)),
    chain(conv(256), valid(288, 3, 2)),
    chain(conv(256), conv(288, 3), valid(320, 3, 2)),
    halved,
)
MIXED_5B = concatenate(  # TF-slim
    conv(96), chain(conv(48), conv(64, 5)), chain(conv(64), conv(96, 3), conv(96, 3)), chain(average, conv(64))
)

FIGURE_9 = (
    STEM_1,
    STEM_2,
    (*STEM_3, *(INCEPTION_A,) * 4),
    (reduction_a(192, 224, 256, 384), *(INCEPTION_B,) * 7),
    (REDUCTION_B, *(INCEPTION_C,) * 3),
)
FIGURE_15 = (
    STEM_1,
    STEM_2,
    (*STEM_3, *(residual(RESIDUAL_A, 0.17),) * 5),
    (reduction_a(256, 256, 384, 384), *(residual(RESIDUAL_B, 0.10),) * 10),
    (RESIDUAL_REDUCTION_B, *(residual(RESIDUAL_C, 0.20),) * 5),
)
SLIM = (
    STEM_1,
    (halved, valid(80), valid(192, 3)),
    (halved, MIXED_5B, *(residual(RESIDUAL_A, 0.17),) * 10),
    (reduction_a(256, 256, 384, 384), *(residual(RESIDUAL_B, 0.10),) * 20),
    (RESIDUAL_REDUCTION_B, *(residual(RESIDUAL_C, 0.20),) * 9, residual(RESIDUAL_C, 1.0, nn.Identity), conv(1536)),
)


def _build(
    figure: tuple[tuple[Step, ...], ...], card: Card, classes: int, channels: int, size: tuple[int, int]
) -> Network:
    del size
    stages: dict[str, Stage] = {}
    for number, steps in enumerate(figure, 1):
        layers, channels = chain(*steps)(channels)
        stages[f"stage{number}"] = Stage(layers, channels, 2**number)
    head = OrderedDict(
        pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), dropout=nn.Dropout(0.2), fc=nn.Linear(channels, classes)
    )
    return Network(card, stages, nn.Sequential(head)).apply(he_normal)


def _variant(
    name: str,
    figure: tuple[tuple[Step, ...], ...],
    counts: tuple[int, int],
    errors: tuple[float, float] | None = None,
) -> Variant:
    card = Card(
        name=name,
        title="Inception-v4, Inception-ResNet and the impact of residual connections on learning",
        authors="Szegedy, Ioffe, Vanhoucke, Alemi",
        year=2016,
        venue="AAAI 2017",
        address="https://arxiv.org/abs/1602.07261",
        input=(3, 299, 299),
        classes=1000,
        minimum=75,
        parameters=counts[0],
        macs=counts[1],
        top1_error=errors[0] if errors else None,
        top5_error=errors[1] if errors else None,
        evaluation="one network, one crop, blacklisted images left out (Table 2)" if errors else "",
    )
    return Variant(card, partial(_build, figure))


VARIANTS = (
    _variant("inception_v4", FIGURE_9, (42_679_816, 12_253_974_624), (20.0, 5.0)),
    _variant("inception_resnet_v2", FIGURE_15, (32_433_928, 9_257_953_632), (19.9, 4.9)),
    _variant("inception_resnet_v2_slim", SLIM, (55_843_464, 13_155_794_016)),
)
