"""U-Net.

Ronneberger, Fischer, Brox 2015, "U-Net: Convolutional networks for biomedical image segmentation", figure 1.

unet at 1x388x388: stage1 64x568x568, stage2 128x280x280, stage3 256x136x136, stage4 512x64x64, stage5 1024x28x28
unet_same at 1x50x70: stage1 64x50x70, stage2 128x25x35, stage3 256x13x18, stage4 512x7x9, stage5 1024x4x5
unet_inpaint at 3x50x70: stage1 64x50x70, stage2 128x25x35, stage3 256x13x18, stage4 512x7x9, stage5 1024x4x5
unet_color at 3x50x70: stage1 64x50x70, stage2 128x25x35, stage3 256x13x18, stage4 512x7x9, stage5 1024x4x5

Convolutions are unpadded, so that a tile of 572x572 gives scores for its inner 388x388. As in the paper's strategy of
overlapping tiles (figure 2), every pixel of the image gets scores, and the image is padded by reflection: 388x388
pixels become 572x572, others the next tile whose maps halve without a remainder. The contracting path's maps lose their
borders where they meet the expanding path: 4, 16, 40 and 88 units. `unet_same` pads every convolution by 1 instead,
rounds up when pooling, and crops the up-convolutions' surplus; it needs no border and has the same weights.

`unet_inpaint` and `unet_color` are `unet_same` for restoration, which the paper does not have, without dropout: one
gives the channels of an image and reads a mask as one channel more, the other gives a and b of CIE Lab.

Training: stochastic gradient descent with momentum 0.99, one large tile a batch; the loss weights each pixel by its
class and by how narrow the gap between cells is there (equation 2).

Deviations: weights of the up-convolutions are normal with variance 2 / N too, N the channels that enter, since each of
their outputs has one 1x1 window. Dropout of 0.5 ends the fourth and fifth stage, as in the authors' definition.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import replace
from functools import partial
from typing import final

import torch
from torch import Tensor, nn

from convolve.layers.description import Leaf
from convolve.layers.geometry import Window
from convolve.layers.initializers import he_normal
from convolve.layers.partial_convolution import MaskChannel
from convolve.models.network import Card, Network, Stage, Variant

WIDTHS = (64, 128, 256, 512, 1024)
DROPPED = (512, 1024)
LOST = 92
"""Pixels that unpadded convolutions remove from every side of the image."""
STEP = 16
SMALLEST = 124
"""Side of a tile whose last map would have no unit; STEP more is the smallest."""


def convolutions(channels: int, width: int, padding: int) -> OrderedDict[str, nn.Module]:
    """Two 3x3 convolutions with their ReLUs: (N, channels, H, W) to (N, width, H - 4, W - 4), or padded (…, H, W)."""
    return OrderedDict(
        conv1=nn.Conv2d(channels, width, 3, padding=padding),
        relu1=nn.ReLU(inplace=True),
        conv2=nn.Conv2d(width, width, 3, padding=padding),
        relu2=nn.ReLU(inplace=True),
    )


@final
class ReflectionPadding(nn.Module):
    """``border`` pixels on every side, and more after the last ones until each side is ``base`` + n ``step`` long.

    (N, channels, H, W) give (N, channels, H + 2 border + …, W + 2 border + …). The outermost pixels are not repeated;
    an image that is smaller than its border is reflected back and forth. Figure 2: "missing input data is extrapolated
    by mirroring".
    """

    def __init__(self, border: int, step: int, base: int) -> None:
        super().__init__()
        self.border, self.step, self.base = border, step, base

    def forward(self, images: Tensor) -> Tensor:
        """(N, channels, H, W) to the padded images."""
        rows, columns = (self._indices(side, images.device) for side in images.shape[2:])
        return images.index_select(2, rows).index_select(3, columns)

    def describe(self) -> Leaf:
        """Windows of one unit, the first of which lies in the border."""
        window = Window(1, 1, self.border, 1)
        return Leaf(name="reflection", windows=(window, window))

    def length(self, side: int) -> int:
        """The padded length of a side."""
        steps = -(-(side + 2 * self.border - self.base) // self.step)
        return self.base + max(1, steps) * self.step

    def _indices(self, side: int, device: torch.device) -> Tensor:
        """The row or column of the image at each position of the padded one."""
        period = max(1, 2 * (side - 1))
        indices = torch.arange(-self.border, self.length(side) - self.border, device=device) % period
        return torch.minimum(indices, period - indices)


@final
class Expanding(nn.Module):
    """The expanding path: up-convolution, concatenation with the contracting path's map, two convolutions; at last the
    scores.

    [(N, 64, …), …, (N, 1024, …)] and (H, W) give (N, classes, H, W), the first pixels of the last map.
    """

    def __init__(self, classes: int, padding: int) -> None:
        super().__init__()
        self.up, self.convolutions = nn.ModuleDict(), nn.ModuleDict()
        for number, width in reversed(list(enumerate(WIDTHS[:-1], 1))):
            self.up[f"up{number}"] = nn.ConvTranspose2d(2 * width, width, 2, 2)
            self.convolutions[f"stage{number}"] = nn.Sequential(convolutions(2 * width, width, padding))
        self.scores = nn.Conv2d(WIDTHS[0], classes, 1)

    def forward(self, maps: list[Tensor], size: tuple[int, int]) -> Tensor:
        """The stages' maps and the image's (height, width) to the scores of all pixels."""
        current, *skips = reversed(maps)
        for up, layers, skip in zip(self.up.values(), self.convolutions.values(), skips, strict=True):
            current = layers(torch.cat(_crop_to_match(skip, up(current)), 1))
        scores: Tensor = self.scores(current[:, :, : size[0], : size[1]])
        return scores


def _crop_to_match(skip: Tensor, up: Tensor) -> list[Tensor]:
    """Both cropped to their common size: the middle of the skip, the beginning of a map that pooling had rounded up."""
    rows, columns = map(min, skip.shape[2:], up.shape[2:])
    top, left = ((length - common) // 2 for length, common in zip(skip.shape[2:], (rows, columns), strict=True))
    return [skip[:, :, top : top + rows, left : left + columns], up[:, :, :rows, :columns]]


def _build(padding: int, card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    del size  # any
    stages: dict[str, Stage] = {}
    for number, width in enumerate(WIDTHS, 1):
        layers = OrderedDict[str, nn.Module]()
        if number > 1:
            layers[f"pool{number - 1}"] = nn.MaxPool2d(2, ceil_mode=True)
        elif not padding:
            layers["reflection"] = ReflectionPadding(LOST, STEP, SMALLEST)
        elif card.restores == "holes":
            layers["mask"] = MaskChannel()
            channels += 1
        layers |= convolutions(channels, width, padding)
        if width in DROPPED and card.output == "pixels":
            layers["dropout"] = nn.Dropout(0.5)
        stages[f"stage{number}"] = Stage(nn.Sequential(layers), width, 2 ** (number - 1))
        channels = width
    return Network(card, stages, Expanding(classes, padding), head_inputs=tuple(stages)).apply(_initialize)


def _initialize(layer: nn.Module) -> None:
    """He's weights (section 3), also for up-convolutions."""
    he_normal(layer)
    if isinstance(layer, nn.ConvTranspose2d):
        nn.init.normal_(layer.weight, std=math.sqrt(2 / layer.in_channels))
        nn.init.zeros_(layer.bias)  # type: ignore[arg-type]


CARD = Card(
    name="unet",
    title="U-Net: Convolutional networks for biomedical image segmentation",
    authors="Ronneberger, Fischer, Brox",
    year=2015,
    venue="MICCAI 2015",
    address="https://arxiv.org/abs/1505.04597",
    input=(1, 388, 388),
    classes=2,
    minimum=1,
    output="pixels",
    parameters=31_030_658,
    macs=150_428_424_448,
)
SAME = replace(CARD, name="unet_same", macs=111_625_907_200)
RESTORING = replace(SAME, output="restored", own_channels=True, any_size=True, classes=3, input=(3, 388, 388))
COLOR = replace(RESTORING, name="unet_color", restores="colors", classes=2, parameters=31_031_810, macs=111_799_333_888)
INPAINT = replace(RESTORING, name="unet_inpaint", restores="holes", parameters=31_032_451, macs=111_895_682_048)

VARIANTS = (
    Variant(CARD, partial(_build, 0)),
    Variant(SAME, partial(_build, 1)),
    Variant(INPAINT, partial(_build, 1)),
    Variant(COLOR, partial(_build, 1)),
)
