"""DeconvNet.

Noh, Hong, Han 2015, "Learning deconvolution network for semantic segmentation", figure 2 and Table 4.

deconvnet at 3x224x224: stage1 64x224x224, stage2 128x112x112, stage3 256x56x56, stage4 512x28x28, stage5 512x14x14, stage6 4096x1x1

VGG-16 with batch normalization, its dense layers as convolutions, and the same backwards: a transposed convolution
from one unit to 7x7, then per stage unpooling to where the maxima were and transposed convolutions, up to 224x224. As
in SegNet a stage ends before its pooling, and its map tells the places. Images of other sizes give as many more units
in the middle; none may be smaller than 7x7 units, that is 193 pixels.

Training: in two stages, first images cut to one object, then proposals; SGD with rate 0.01 and momentum 0.9 (4.1).

Deviations: scores of an image come from the image as a whole, not from 50 proposals and a conditional random field.
"""  # noqa: E501

from __future__ import annotations

from collections import OrderedDict
from typing import final

from torch import Tensor, nn

from convolve.layers.initializers import he_normal
from convolve.layers.unpooling import Unpooling
from convolve.models.network import Card, Network, Stage, Variant

ENCODER = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))  # Table 4, conv1_1 to conv5_3
DECODER = ((512, 512, 512), (512, 512, 256), (256, 256, 128), (128, 64), (64, 64))  # deconv5_1 to deconv1_2
DENSE = 4096
SIDE = 7


def rectified(name: str, layer: nn.Conv2d | nn.ConvTranspose2d) -> dict[str, nn.Module]:
    """A layer with batch normalization and ReLU."""
    return {name: layer, f"{name}_norm": nn.BatchNorm2d(layer.out_channels), f"{name}_relu": nn.ReLU(inplace=True)}


@final
class Deconvolution(nn.Module):
    """The way back: [(N, 64, H, W), …, (N, 512, H / 16, W / 16), (N, 4096, …)] and (H, W) to (N, classes, H, W)."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        channels = ENCODER[-1][-1]
        self.dense = nn.Sequential(OrderedDict(rectified("deconv6", nn.ConvTranspose2d(DENSE, channels, SIDE))))
        self.unpool = Unpooling()
        self.stages = nn.ModuleDict()
        for number, widths in zip(range(len(DECODER), 0, -1), DECODER, strict=True):
            layers = OrderedDict[str, nn.Module]()
            for place, width in enumerate(widths, 1):
                layers |= rectified(f"deconv{number}_{place}", nn.ConvTranspose2d(channels, width, 3, padding=1))
                channels = width
            self.stages[f"stage{number}"] = nn.Sequential(layers)
        self.scores = nn.Conv2d(channels, classes, 1)

    def forward(self, maps: list[Tensor], size: tuple[int, int]) -> Tensor:
        """The stages' maps to every pixel's scores."""
        del size  # the first map's
        *pooled, last = maps
        found = self.dense(last)
        for layers, places in zip(self.stages.values(), reversed(pooled), strict=True):
            found = layers(self.unpool(found, places))
        scores: Tensor = self.scores(found)
        return scores


def _build(card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    del size  # any from the smallest on
    stages: dict[str, Stage] = {}
    layers = OrderedDict[str, nn.Module]()
    for number, widths in enumerate(ENCODER, 1):
        for place, width in enumerate(widths, 1):
            layers |= rectified(f"conv{number}_{place}", nn.Conv2d(channels, width, 3, padding=1))
            channels = width
        stages[f"stage{number}"] = Stage(nn.Sequential(layers), channels, 2 ** (number - 1))
        layers = OrderedDict[str, nn.Module]({f"pool{number}": nn.MaxPool2d(2, ceil_mode=True)})
    layers |= rectified("conv6", nn.Conv2d(channels, DENSE, SIDE)) | rectified("conv7", nn.Conv2d(DENSE, DENSE, 1))
    stages["stage6"] = Stage(nn.Sequential(layers), DENSE, 2 ** len(ENCODER))
    return Network(card, stages, Deconvolution(classes), head_inputs=tuple(stages)).apply(he_normal)


_CARD = Card(
    name="deconvnet",
    title="Learning deconvolution network for semantic segmentation",
    authors="Noh, Hong, Han",
    year=2015,
    venue="ICCV 2015",
    address="https://arxiv.org/abs/1505.04366",
    input=(3, 224, 224),
    classes=21,
    minimum=193,
    output="pixels",
    parameters=251_805_653,
    macs=32_745_979_904,
)
VARIANTS = (Variant(_CARD, _build),)
