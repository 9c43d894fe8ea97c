"""MTCNN: three networks in a cascade, which find faces and five points of each.

Zhang, Zhang, Li, Qiao 2016, "Joint face detection and alignment using multitask cascaded convolutional networks",
figure 2; the authors' definitions `det1.prototxt`, `det2.prototxt` and `det3.prototxt`.

mtcnn_pnet at 3x12x12: stage1 10x10x10, stage2 32x1x1
mtcnn_rnet at 3x24x24: stage1 28x22x22, stage2 48x9x9, stage3 64x3x3
mtcnn_onet at 3x48x48: stage1 32x46x46, stage2 64x21x21, stage3 64x8x8, stage4 128x3x3

Stages begin with a max pooling that rounds up, the first one with the convolution; nothing is padded. A window's
numbers are two scores (no face, face), four offsets of the edges left, top, right and bottom in fractions of its sides,
and in O-Net the x of five points, then their y: left eye, right eye, nose, left and right corner of the mouth. They are
rows of one last layer, so that any number of classes can be learned in their place.

`mtcnn` is the cascade: P-Net's stages, on images of any size, with a head that has the two other networks. It gives
P-Net's numbers of all windows of 12x12; `tasks.faces.cascade` finds faces with it.

Deviations: P- and R-Net of the paper give points too, which its published definitions leave out.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import final

from torch import Tensor, nn

from convolve.errors import NetworkError
from convolve.layers.description import Series
from convolve.layers.initializers import lecun_uniform
from convolve.models.network import Card, Network, Stage, Variant

Row = tuple[int, tuple[tuple[int, int], ...]]  # window of the pooling, of stride 2 (0: none); width and kernel of each
Table = tuple[Row, ...]

WINDOW_NUMBERS, FACE_NUMBERS = 6, 16
"""What the first two networks, and the last one, give for a window."""
P_NET: Table = ((0, ((10, 3),)), (2, ((16, 3), (32, 3))))
R_NET: Table = ((0, ((28, 3),)), (3, ((48, 3),)), (3, ((64, 2),)))
O_NET: Table = ((0, ((32, 3),)), (3, ((64, 3),)), (3, ((64, 3),)), (2, ((128, 2),)))


@final
class Cascade(nn.Module):
    """The head of the cascade: P-Net's last layer, and the networks that look at its proposals again."""

    def __init__(self, proposals: nn.Module, refinement: Network, output: Network) -> None:
        super().__init__()
        self.proposals = proposals
        self.refinement = refinement
        self.output = output

    def forward(self, maps: Tensor) -> Tensor:
        """(N, 32, H, W) to the (N, 6, H, W) numbers of windows of 12x12."""
        numbers: Tensor = self.proposals(maps)
        return numbers

    def describe(self) -> Series:
        """What images go through."""
        return Series(("proposals",))


def family(name: str, find: Callable[[str], Variant]) -> Variant | None:
    """`mtcnn`, made of the three networks; None for other names."""
    return Variant(_CASCADE, partial(_cascade, find)) if name == _CASCADE.name else None


def _cascade(find: Callable[[str], Variant], card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    if (classes, channels) != (1, 3):
        raise NetworkError(f"{card.name} finds faces alone, in images of 3 channels; train a network for detection.")
    first, second, third = (find(name) for name in ("mtcnn_pnet", "mtcnn_rnet", "mtcnn_onet"))
    proposals = first.build(card, WINDOW_NUMBERS, channels, size)
    refinement = second.build(second.card, WINDOW_NUMBERS, channels, second.card.input[1:])
    output = third.build(third.card, FACE_NUMBERS, channels, third.card.input[1:])
    stages = {
        name: Stage(layers, proposals.channels[name], proposals.strides[name])
        for name, layers in proposals.stages.items()
    }
    return Network(card, stages, Cascade(proposals.head.get_submodule("conv4"), refinement, output))


def _p_net(card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    del size  # any
    stages, width = _stages(P_NET, channels)
    head = OrderedDict(conv4=nn.Conv2d(width, classes, 1), pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten())
    return Network(card, stages, nn.Sequential(head)).apply(lecun_uniform)


def _r_net(card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    stages, width = _stages(R_NET, channels)
    head = OrderedDict(
        flatten=nn.Flatten(),
        dense4=nn.Linear(width * math.prod(_side(side, R_NET) for side in size), 128),
        prelu4=nn.PReLU(128),
        dense5=nn.Linear(128, classes),
    )
    return Network(card, stages, nn.Sequential(head)).apply(lecun_uniform)


def _o_net(card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    stages, width = _stages(O_NET, channels)
    head = OrderedDict(
        flatten=nn.Flatten(),
        dense5=nn.Linear(width * math.prod(_side(side, O_NET) for side in size), 256),
        dropout5=nn.Dropout(0.25),
        prelu5=nn.PReLU(256),
        dense6=nn.Linear(256, classes),
    )
    return Network(card, stages, nn.Sequential(head)).apply(lecun_uniform)


def _stages(table: Table, channels: int) -> tuple[dict[str, Stage], int]:
    """The stages of a table, and the channels of the last one."""
    stages, index = {}, 0
    for number, (window, convolutions) in enumerate(table, 1):
        layers = OrderedDict[str, nn.Module]()
        if window:
            layers[f"pool{number - 1}"] = nn.MaxPool2d(window, 2, ceil_mode=True)
        for width, kernel in convolutions:
            index += 1
            layers |= {f"conv{index}": nn.Conv2d(channels, width, kernel), f"prelu{index}": nn.PReLU(width)}
            channels = width
        stages[f"stage{number}"] = Stage(nn.Sequential(layers), channels, 2 ** (number - 1))
    return stages, channels


def _side(side: int, table: Table) -> int:
    """Of the last map."""
    for window, convolutions in table:
        side = math.ceil((side - window) / 2) + 1 if window else side
        side -= sum(kernel - 1 for _, kernel in convolutions)
    return side


def _card(name: str, side: int, classes: int, minimum: int, counts: tuple[int, int]) -> Card:
    return Card(
        name=name,
        title="Joint face detection and alignment using multitask cascaded convolutional networks",
        authors="Zhang, Zhang, Li, Qiao",
        year=2016,
        venue="IEEE Signal Processing Letters 23 (10)",
        address="https://arxiv.org/abs/1604.02878",
        input=(3, side, side),
        classes=classes,
        minimum=minimum,
        parameters=counts[0],
        macs=counts[1],
    )


VARIANTS = (
    Variant(_card("mtcnn_pnet", 12, WINDOW_NUMBERS, 11, (6_632, 44_760)), _p_net),
    Variant(_card("mtcnn_rnet", 24, WINDOW_NUMBERS, 14, (100_178, 1_530_768)), _r_net),
    Variant(_card("mtcnn_onet", 48, FACE_NUMBERS, 26, (389_040, 12_909_952)), _o_net),
)
_CASCADE = replace(_card("mtcnn", 480, 1, 12, (495_850, 545_846_040)), input=(3, 480, 640), output="faces")
