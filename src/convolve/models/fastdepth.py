"""FastDepth: depth from one image on small computers.

Wofk, Ma, Yang, Karaman, Sze 2019, "FastDepth: Fast monocular depth estimation on embedded systems", section III and
figure 2; the encoder is MobileNet (Howard et al. 2017, "MobileNets: Efficient convolutional neural networks for mobile
vision applications", table 1) without its classifier.

fastdepth at 3x224x224: stage1 64x112x112, stage2 128x56x56, stage3 256x28x28, stage4 512x14x14, stage5 1024x7x7

Every convolution but the first is separable: one window for each channel, then 1x1 over the channels, each with
normalization and ReLU. The decoder's layers (NNConv5) have windows of 5x5 and half the channels, and each is followed
by twofold enlargement to the nearest neighbor; the maps of the first three stages are added on the way.

Training: stochastic gradient descent with momentum 0.9, L1 loss of depth, encoder pretrained on ImageNet (section IV).

Deviations: nothing follows the last 1x1 convolution, whose output may be negative, as a logarithm of depth is; in the
paper, normalization and ReLU do. Maps are enlarged to the size of the map that is added, which is twofold where sides
are multiples of 32. The network is the one before pruning.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, final

from torch import Tensor, nn
from torch.nn import functional as F

from convolve.layers.initializers import he_normal
from convolve.models.network import Card, Network, Stage, Variant

FIRST: Final = 32
ENCODER: Final = (
    ((64, 1),),
    ((128, 2), (128, 1)),
    ((256, 2), (256, 1)),
    ((512, 2), (512, 1), (512, 1), (512, 1), (512, 1), (512, 1)),
    ((1024, 2), (1024, 1)),
)
"""Channels and stride of the separable convolutions of each stage (Howard et al. 2017, table 1)."""
DECODER: Final = (512, 256, 128, 64, 32)
ADDED: Final = ("stage3", "stage2", "stage1")
"""The stages whose maps are added after the decoder's second, third and fourth layer."""


def separable(channels: int, width: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """(N, channels, H, W) to (N, width, H / stride, W / stride), by a window for each channel and 1x1 over all."""
    windows = nn.Conv2d(channels, channels, kernel, stride, kernel // 2, groups=channels, bias=False)
    return nn.Sequential(
        OrderedDict(
            depthwise=windows,
            norm1=nn.BatchNorm2d(channels),
            relu1=nn.ReLU(inplace=True),
            pointwise=nn.Conv2d(channels, width, 1, bias=False),
            norm2=nn.BatchNorm2d(width),
            relu2=nn.ReLU(inplace=True),
        )
    )


@final
class Decoder(nn.Module):
    """The maps of stages 1, 2, 3 and 5, (N, 64, H / 2, W / 2) and so on, and (H, W) to scores (N, classes, H, W)."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        widths = (ENCODER[-1][-1][0], *DECODER)
        self.layers = nn.ModuleList(
            separable(channels, width, 5) for channels, width in zip(widths, DECODER, strict=False)
        )
        self.scores = nn.Conv2d(DECODER[-1], classes, 1)

    def forward(self, maps: list[Tensor], size: tuple[int, int]) -> Tensor:
        """The stages' maps to the scores of all pixels."""
        *earlier, current = maps
        first, *others = self.layers
        current = first(current)
        current = F.interpolate(current, size=_half(_half(_half(_half(size)))), mode="nearest")
        for layer, skip in zip(others, reversed(earlier), strict=False):
            current = F.interpolate(layer(current), size=skip.shape[2:], mode="nearest") + skip
        scores: Tensor = self.scores(F.interpolate(others[-1](current), size=size, mode="nearest"))
        return scores


def _half(size: tuple[int, int]) -> tuple[int, int]:
    """Of a map whose padded convolution has a stride of 2."""
    return (size[0] + 1) // 2, (size[1] + 1) // 2


def _build(card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    del size  # any
    stages: dict[str, Stage] = {}
    for number, blocks in enumerate(ENCODER, 1):
        layers = OrderedDict[str, nn.Module]()
        if number == 1:
            layers["conv"] = nn.Conv2d(channels, FIRST, 3, 2, 1, bias=False)
            layers["norm"] = nn.BatchNorm2d(FIRST)
            layers["relu"] = nn.ReLU(inplace=True)
            channels = FIRST
        for index, (width, stride) in enumerate(blocks, 1):
            layers[f"separable{index}"] = separable(channels, width, 3, stride)
            channels = width
        stages[f"stage{number}"] = Stage(nn.Sequential(layers), channels, 2**number)
    inputs = (*reversed(ADDED), "stage5")
    return Network(card, stages, Decoder(classes), head_inputs=inputs).apply(he_normal)


VARIANTS = (
    Variant(
        Card(
            name="fastdepth",
            title="FastDepth: Fast monocular depth estimation on embedded systems",
            authors="Wofk, Ma, Yang, Karaman, Sze",
            year=2019,
            venue="ICRA 2019",
            address="https://arxiv.org/abs/1903.03273",
            input=(3, 224, 224),
            classes=1,
            minimum=1,
            output="pixels",
            parameters=3_960_929,
            macs=736_658_944,
        ),
        _build,
    ),
)
