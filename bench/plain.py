"""Segmentation networks as people write them down in PyTorch: the peers where no library has the published ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torchvision
from torch import Tensor, nn

CLASSES = 21
_WIDTHS = (64, 128, 256, 512, 1024)


class FCN8s(nn.Module):
    """FCN-8s on VGG-16 as published (Long, Shelhamer, Darrell 2015): the first convolution pads by 100.

    (N, 3, H, W) to (N, 21, H, W).
    """

    def __init__(self) -> None:
        super().__init__()
        layers = torchvision.models.vgg16().features
        layers[0].padding = (100, 100)
        for layer in layers:
            if isinstance(layer, nn.MaxPool2d):
                layer.ceil_mode = True
        self.pool3, self.pool4, self.pool5 = layers[:17], layers[17:24], layers[24:]
        self.dense = nn.Sequential(
            nn.Conv2d(512, 4096, 7), nn.ReLU(inplace=True), nn.Dropout2d(),
            nn.Conv2d(4096, 4096, 1), nn.ReLU(inplace=True), nn.Dropout2d(),
        )  # fmt: skip
        self.score5, self.score4, self.score3 = (nn.Conv2d(width, CLASSES, 1) for width in (4096, 512, 256))
        self.up5 = nn.ConvTranspose2d(CLASSES, CLASSES, 4, 2, bias=False)
        self.up4 = nn.ConvTranspose2d(CLASSES, CLASSES, 4, 2, bias=False)
        self.up3 = nn.ConvTranspose2d(CLASSES, CLASSES, 16, 8, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        """Scores of every pixel."""
        pool3 = self.pool3(images)
        pool4 = self.pool4(pool3)
        coarse = self.up5(self.score5(self.dense(self.pool5(pool4))))
        middle = self.up4(coarse + _cut(self.score4(pool4), coarse, 5))
        fine = self.up3(middle + _cut(self.score3(pool3), middle, 9))
        return _cut(fine, images, 31)


class UNet(nn.Module):
    """U-Net with padded convolutions, as it is mostly written today: (N, 3, H, W) to (N, 21, H, W), sides of 16."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList(_twice(*pair) for pair in zip((3, *_WIDTHS), _WIDTHS, strict=False))
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * width, width, 2, 2) for width in reversed(_WIDTHS[:-1]))
        self.met = nn.ModuleList(_twice(2 * width, width) for width in reversed(_WIDTHS[:-1]))
        self.pool, self.scores = nn.MaxPool2d(2), nn.Conv2d(_WIDTHS[0], CLASSES, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Scores of every pixel."""
        skips = [self.down[0](images)]
        for layers in self.down[1:]:
            skips.append(layers(self.pool(skips[-1])))
        found = nn.functional.dropout(skips.pop(), training=self.training)
        for up, met in zip(self.up, self.met, strict=True):
            found = met(torch.cat([skips.pop(), up(found)], 1))
        scores: Tensor = self.scores(found)
        return scores


NETWORKS: Mapping[str, Callable[[], nn.Module]] = {"fcn8s_vgg16": FCN8s, "unet_same": UNet}


def _twice(channels: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True),
        nn.Conv2d(width, width, 3, padding=1), nn.ReLU(inplace=True),
    )  # fmt: skip


def _cut(scores: Tensor, like: Tensor, offset: int) -> Tensor:
    height, width = like.shape[2:]
    return scores[:, :, offset : offset + height, offset : offset + width]
