"""SegNet and SegNet-Basic.

Badrinarayanan, Kendall, Cipolla 2015, "SegNet: A deep convolutional encoder-decoder architecture for image
segmentation", figure 2, section 3 and Table 1; the authors' definitions.

segnet at 3x360x480: stage1 64x360x480, stage2 128x180x240, stage3 256x90x120, stage4 512x45x60, stage5 512x23x30
segnet_basic at 3x360x480: stage1 64x360x480, stage2 64x180x240, stage3 64x90x120, stage4 64x45x60

The encoder is VGG-16's, with batch normalization. A stage ends before its pooling, and the next begins with it, so that
the decoder reads the maps that were pooled: from them it knows the positions at which to put its own values. Pooling
rounds odd sides up (45 to 23), and unpooling restores them. The decoder is the encoder in reverse; its last convolution
gives the scores. SegNet-Basic normalizes the image (local response normalization), has kernels of 7x7 and four stages
of 64, and its decoder has no ReLU and a 1x1 convolution for the scores.

Training: SGD with learning rate 0.1 and momentum 0.9, batches of 12; classes weighted by median frequency (section
3.1).

Deviations: Caffe's batch normalization starts its shifts at 0.001, here 0.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import final

from torch import Tensor, nn

from convolve.layers.initializers import he_normal
from convolve.layers.lrn import caffe_lrn
from convolve.layers.pooling import Unpooling
from convolve.models.network import Card, Network, Stage, Variant

VGG16 = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
BASIC = ((64,), (64,), (64,), (64,))
Encoder = tuple[tuple[int, ...], ...]
"""Widths of the convolutions between poolings."""


def convolution(channels: int, width: int, kernel: int, *, relu: bool = True) -> OrderedDict[str, nn.Module]:
    """Convolution that keeps the map's size, batch normalization and ReLU: (N, channels, H, W) to (N, width, H, W)."""
    layers = OrderedDict[str, nn.Module](
        conv=nn.Conv2d(channels, width, kernel, padding=kernel // 2), norm=nn.BatchNorm2d(width)
    )
    return layers | {"relu": nn.ReLU(inplace=True)} if relu else layers


@final
class Decoder(nn.Module):
    """Pools the last map, then for each stage, last to first: unpooling to where its maxima were, and convolutions.

    [(N, channels, H, W), (N, channels, H / 2, W / 2), …] and (H, W) give (N, classes, H, W).
    """

    def __init__(self, stages: dict[str, nn.Module], scores: nn.Module) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(2, ceil_mode=True)
        self.unpool = Unpooling()
        self.stages = nn.ModuleDict(stages)
        self.scores = scores

    def forward(self, maps: list[Tensor], size: tuple[int, int]) -> Tensor:
        """The stages' maps to the scores of all pixels."""
        del size  # that of the first map
        current = self.pool(maps[-1])
        for layers, pooled in zip(self.stages.values(), reversed(maps), strict=True):
            current = layers(self.unpool(current, pooled))
        scores: Tensor = self.scores(current)
        return scores


def _encoder(table: Encoder, channels: int, kernel: int) -> dict[str, Stage]:
    stages: dict[str, Stage] = {}
    for number, widths in enumerate(table, 1):
        layers = OrderedDict[str, nn.Module]()
        if number > 1:
            layers[f"pool{number - 1}"] = nn.MaxPool2d(2, ceil_mode=True)
        for index, width in enumerate(widths, 1):
            layers |= _add_suffix(convolution(channels, width, kernel), f"{number}_{index}")
            channels = width
        stages[f"stage{number}"] = Stage(nn.Sequential(layers), channels, 2 ** (number - 1))
    return stages


def _add_suffix(layers: OrderedDict[str, nn.Module], suffix: str) -> dict[str, nn.Module]:
    return {f"{name}{suffix}": layer for name, layer in layers.items()}


def _segnet(card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    del size  # any
    encoder = _encoder(VGG16, channels, 3)
    decoder: dict[str, nn.Module] = {}
    for number, widths in reversed(list(enumerate(VGG16, 1))):
        below = VGG16[number - 2][-1] if number > 1 else None  # the width of the stage before; the scores come after
        layers = OrderedDict[str, nn.Module]()
        for index, width in reversed(list(enumerate([below, *widths[:-1]], 1))):
            layers |= _add_suffix(convolution(widths[index - 1], width, 3), f"{number}_{index}") if width else {}
        decoder[f"stage{number}"] = nn.Sequential(layers)
    head = Decoder(decoder, nn.Conv2d(VGG16[0][0], classes, 3, padding=1))
    return Network(card, encoder, head, head_inputs=tuple(encoder)).apply(he_normal)


def _basic(card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    del size  # any
    encoder = _encoder(BASIC, channels, 7)
    first = encoder["stage1"]
    layers = OrderedDict[str, nn.Module](norm0=caffe_lrn(channels, 5, 1e-4, 0.75))
    encoder["stage1"] = Stage(nn.Sequential(layers | dict(first.layers.named_children())), first.channels, 1)
    decoder: dict[str, nn.Module] = {
        f"stage{number}": nn.Sequential(convolution(64, 64, 7, relu=False)) for number in (4, 3, 2, 1)
    }
    head = Decoder(decoder, nn.Conv2d(64, classes, 1))
    return Network(card, encoder, head, head_inputs=tuple(encoder)).apply(he_normal)


def _card(name: str, parameters: int, macs: int) -> Card:
    return Card(
        name=name,
        title="SegNet: A deep convolutional encoder-decoder architecture for image segmentation",
        authors="Badrinarayanan, Kendall, Cipolla",
        year=2015,
        venue="PAMI 2017",
        address="https://arxiv.org/abs/1511.00561",
        input=(3, 360, 480),
        classes=11,
        minimum=1,
        output="pixels",
        parameters=parameters,
        macs=macs,
    )


VARIANTS = (
    Variant(_card("segnet", 29_449_355, 106_712_432_640), _segnet),
    Variant(_card("segnet_basic", 1_416_587, 59_188_838_400), _basic),
)
