"""DeconvNet.

Noh, Hong, Han 2015, "Learning deconvolution network for semantic segmentation", figure 2 and Table 4.

deconvnet at 3x224x224: stage1 64x224x224, stage2 128x112x112, stage3 256x56x56, stage4 512x28x28, stage5 512x14x14, stage6 4096x1x1

VGG-16 with batch normalization, its dense layers as convolutions, and the same in reverse: a transposed convolution
from one unit to 7x7, then for each stage unpooling to where the maxima were and transposed convolutions, up to 224x224.
As in SegNet a stage ends before its pooling, and its map gives the positions. Larger images give more than one unit in
the middle; none may be smaller than 7x7 units, that is 193 pixels.

Training: in two stages, first images cropped to one object, then proposals; SGD with learning rate 0.01 and momentum
0.9 (4.1).

Deviations: scores of an image come from the whole image, not from 50 proposals and a conditional random field.
"""  # noqa: E501

from __future__ import annotations

from collections import OrderedDict
from typing import final

from torch import Tensor, nn

from convolve.layers.initializers import he_normal
from convolve.layers.pooling import Unpooling
from convolve.models.network import Card, Network, Stage, Variant

ENCODER = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))  # Table 4, conv1_1 to conv5_3
DECODER = ((512, 512, 512), (512, 512, 256), (256, 256, 128), (128, 64), (64, 64))  # deconv5_1 to deconv1_2
DENSE = 4096
SIDE = 7


def normalize(name: str, layer: nn.Conv2d | nn.ConvTranspose2d) -> dict[str, nn.Module]:
    """A layer, its batch normalization and ReLU, by name."""
    return {name: layer, f"{name}_norm": nn.BatchNorm2d(layer.out_channels), f"{name}_relu": nn.ReLU(inplace=True)}


@final
class Deconvolution(nn.Module):
    """The network in reverse.

    [(N, 64, H, W), …, (N, 512, H / 16, W / 16), (N, 4096, …)] and (H, W) give (N, classes, H, W).
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        channels = ENCODER[-1][-1]
        self.dense = nn.Sequential(OrderedDict(normalize("deconv6", nn.ConvTranspose2d(DENSE, channels, SIDE))))
        self.unpool = Unpooling()
        self.stages = nn.ModuleDict()
        for number, widths in zip(range(len(DECODER), 0, -1), DECODER, strict=True):
            layers = OrderedDict[str, nn.Module]()
            for index, width in enumerate(widths, 1):
                layers |= normalize(f"deconv{number}_{index}", nn.ConvTranspose2d(channels, width, 3, padding=1))
                channels = width
            self.stages[f"stage{number}"] = nn.Sequential(layers)
        self.scores = nn.Conv2d(channels, classes, 1)

    def forward(self, maps: list[Tensor], size: tuple[int, int]) -> Tensor:
        """The stages' maps to the scores of all pixels."""
        del size  # that of the first map
        *pooled, last = maps
        current = self.dense(last)
        for layers, map_ in zip(self.stages.values(), reversed(pooled), strict=True):
            current = layers(self.unpool(current, map_))
        scores: Tensor = self.scores(current)
        return scores


def _build(card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    del size  # any from the smallest on
    stages: dict[str, Stage] = {}
    layers = OrderedDict[str, nn.Module]()
    for number, widths in enumerate(ENCODER, 1):
        for index, width in enumerate(widths, 1):
            layers |= normalize(f"conv{number}_{index}", nn.Conv2d(channels, width, 3, padding=1))
            channels = width
        stages[f"stage{number}"] = Stage(nn.Sequential(layers), channels, 2 ** (number - 1))
        layers = OrderedDict[str, nn.Module]({f"pool{number}": nn.MaxPool2d(2, ceil_mode=True)})
    layers |= normalize("conv6", nn.Conv2d(channels, DENSE, SIDE)) | normalize("conv7", nn.Conv2d(DENSE, DENSE, 1))
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
