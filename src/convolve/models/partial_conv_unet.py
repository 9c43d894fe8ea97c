"""A U-Net of partial convolutions, which fills holes in images.

Liu, Reda, Shih, Wang, Tao, Catanzaro 2018, "Image inpainting for irregular holes using partial convolutions", section
3.2 and table 1 of its appendix.

partial_conv_unet at 3x512x512: stage1 3x512x512, stage2 64x256x256, stage3 128x128x128, stage4 256x64x64, stage5 \
512x32x32, stage6 512x16x16, stage7 512x8x8, stage8 512x4x4, stage9 512x2x2

A pixel of the hole is nan in all channels (`layers.partial_convolution`). Eight partial convolutions of stride 2 with
batch normalization (not after the first) and ReLU make maps of stage2 to stage9; eight more read the map before them,
enlarged to the nearest pixel, and the encoder's map of that size, of which the last one is the image itself (stage1).
They have batch normalization and leaky ReLU of slope 0.2, except the last, which gives the image. Maps whose sides are
odd are halved upwards, so that images of any size are taken. A network that is built for smaller images has only as
many stages as leave one unit of them: 6 convolutions of stride 2 at 64x64, not 8.

Training: Adam with a learning rate of 0.0002 on parts of 512x512 pixels, batches of 6. The loss weighs pixels of the
hole 6 times as much as known ones, and adds perceptual and style terms of VGG-16 and the total variation.

Deviations: weights start as He's, those of the last convolution with a standard deviation of 0.01, so that training
begins near a gray image.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import final

import torch.nn.functional as F
from torch import Tensor, nn

from convolve.layers.initializers import he_normal
from convolve.layers.partial_convolution import OfKnown, PartialConvolution
from convolve.models.network import Card, Network, Stage, Variant

ENCODER = ((7, 64), (5, 128), (5, 256), (3, 512), (3, 512), (3, 512), (3, 512), (3, 512))
"""Kernel and width of the convolutions of stride 2."""
DECODER = (512, 512, 512, 512, 256, 128, 64)
"""Width of the decoder's convolutions of 3x3 before the last."""
LEAK = 0.2
LEARNING_RATE = 4e-3  # of AdamW
_DEVIATION = 0.01  # of the last convolution's weights at first


@final
class Filling(nn.Module):
    """The decoder: [(N, 3, H, W), (N, 64, H/2, W/2), …] and (H, W) give (N, classes, H, W). ``widths`` are the
    channels of the encoder's maps, the image first.

    Its result is nan where the network has found nothing known at all: only for an image that is one hole.
    """

    def __init__(self, widths: list[int], classes: int) -> None:
        super().__init__()
        self.convolutions, self.norms = nn.ModuleDict(), nn.ModuleDict()
        before, depth = widths[-1], len(widths) - 1
        for number, (skip, width) in enumerate(zip(widths[-2:0:-1], DECODER[-depth + 1 :], strict=True), depth + 1):
            self.convolutions[f"conv{number}"] = PartialConvolution((before, skip), width, 3)
            self.norms[f"norm{number}"] = OfKnown(nn.BatchNorm2d(width), nn.LeakyReLU(LEAK, inplace=True))
            before = width
        self.last = PartialConvolution((before, widths[0]), classes, 3)

    def forward(self, maps: list[Tensor], size: tuple[int, int]) -> Tensor:
        """The image with its stages' maps, and its (height, width), to the filled image."""
        del size  # the first map's
        current, *skips, image = reversed(maps)
        for convolution, norm, skip in zip(self.convolutions.values(), self.norms.values(), skips, strict=True):
            current = norm(convolution(_enlarge(current, skip), skip))
        filled: Tensor = self.last(_enlarge(current, image), image)
        return filled


def _enlarge(values: Tensor, skip: Tensor) -> Tensor:
    """A map at twice its size, to the nearest pixel, without a last row or column that the skip has not."""
    height, width = skip.shape[2:]
    return F.interpolate(values, scale_factor=2.0, mode="nearest")[:, :, :height, :width]


def _build(card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    stages, widths = {"stage1": Stage(nn.Identity(), channels, 1)}, [channels]
    depth = max(2, min(len(ENCODER), int(math.log2(min(size)))))
    for number, (kernel, width) in enumerate(ENCODER[:depth], 1):
        layers = OrderedDict[str, nn.Module]({f"conv{number}": PartialConvolution((widths[-1],), width, kernel, 2)})
        norm = () if number == 1 else (nn.BatchNorm2d(width),)
        layers[f"norm{number}"] = OfKnown(*norm, nn.ReLU(inplace=True))
        stages[f"stage{number + 1}"] = Stage(nn.Sequential(layers), width, 2**number)
        widths.append(width)
    head = Filling(widths, classes)
    network = Network(card, stages, head, head_inputs=tuple(stages)).apply(he_normal)
    for part in head.last.convolutions():
        nn.init.normal_(part.weight, std=_DEVIATION)
    return network


VARIANTS = (
    Variant(
        Card(
            name="partial_conv_unet",
            title="Image inpainting for irregular holes using partial convolutions",
            authors="Liu, Reda, Shih, Wang, Tao, Catanzaro",
            year=2018,
            venue="ECCV 2018",
            address="https://arxiv.org/abs/1804.07723",
            input=(3, 512, 512),
            classes=3,
            minimum=1,
            output="restored",
            own_channels=True,
            any_size=True,
            restores="holes",
            learning_rate=LEARNING_RATE,
            parameters=32_865_236,
            macs=37_972_344_832,
        ),
        _build,
    ),
)
