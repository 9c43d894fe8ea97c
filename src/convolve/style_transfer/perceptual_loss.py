"""The loss of Gatys' style transfer for batches of images, by which a network learns one style.

Johnson, Alahi, Fei-Fei 2016, "Perceptual losses for real-time style transfer and super-resolution", section 3.2: what
`convolve.style_transfer.gatys` lowers for the pixels of one image is lowered here for a network's weights, over many
images. Equations 2 (content), 3 and 4 (style), and the total variation, normalized as it is there.

Deviations: layers are those of `convolve.style_transfer.layers` for any network, in place of VGG-16's relu3_3 for the
content and relu1_2, relu2_2, relu3_3 and relu4_3 for the style.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, final

import torch
from torch import Tensor

from convolve.models import Network
from convolve.style_transfer.gatys import LossWeights
from convolve.style_transfer.images import LUMINANCE, resize, sizes
from convolve.style_transfer.layer_maps import layer_maps
from convolve.style_transfer.layers import StyleLayers
from convolve.values import Pixels, Preprocessing

PARTS: Final = ("content_loss", "style_loss", "tv_loss")
"""Of the loss, before they are weighted."""
_TINY = torch.finfo(torch.float32).tiny


@final
class PerceptualLoss:
    """How far images are from the content of others and from the style of one image, as a trained ``network`` sees it.

    The network learns nothing and stays in evaluation mode; it follows the images to their device. A network for gray
    images sees their luminance.
    """

    def __init__(
        self, network: Network, preprocessing: Preprocessing, layers: StyleLayers, style: Pixels, weights: LossWeights
    ) -> None:
        """``style`` (H, W, 3) is in the size in which its style is meant: see `resize_style`."""
        self.network = network.eval().requires_grad_(requires_grad=False).to(memory_format=torch.channels_last)
        self.preprocessing, self.layers, self.weights = preprocessing, layers, weights
        image = resize(style, *style.shape[:2])
        maps = self._maps(image[None], layers.style)
        self.grams = {name: _gram_matrices(each)[0] for name, each in maps.items()}

    def __call__(self, images: Tensor, contents: Tensor) -> dict[str, Tensor]:
        """Images (N, 3, H, W) and those whose content they should have, with pixels from 0 to 1, to (N,) of each of
        `PARTS`, and of `loss`, their weighted sum.
        """
        with torch.no_grad():
            target = self._maps(contents, self.layers.content)
        maps = self._maps(images, self.layers.names)
        content = [_relative(maps[name], target[name]) for name in self.layers.content]
        style = [
            _relative(_gram_matrices(maps[name]), self.grams[name].to(images.device)[None])
            for name in self.layers.style
        ]
        parts = dict(zip(PARTS, (_mean(content), _mean(style), _tv_losses(images)), strict=True))
        weighted = parts["content_loss"] + self.weights.style * parts["style_loss"] + self.weights.tv * parts["tv_loss"]
        return {"loss": weighted, **parts}

    def visible(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) to the channels that the network sees, with pixels from 0 to 1."""
        if self.preprocessing.channels == images.shape[1]:
            return images
        return (images * images.new_tensor(LUMINANCE).reshape(3, 1, 1)).sum(1, keepdim=True)

    def _maps(self, images: Tensor, layers: tuple[str, ...]) -> Mapping[str, Tensor]:
        if next(self.network.parameters()).device != images.device:
            self.network.to(images.device)
        mean, std = (
            images.new_tensor(each).reshape(-1, 1, 1) for each in (self.preprocessing.mean, self.preprocessing.std)
        )
        seen = (self.visible(images) - mean) / std
        maps = layer_maps(self.network, seen.contiguous(memory_format=torch.channels_last), layers)
        return {name: each.float() for name, each in maps.items()}


def resize_style(style: Pixels, longer: int) -> Pixels:
    """The image (H, W, 3) with a longer side of so many pixels."""
    resized = resize(style, *sizes(style.shape, longer)[-1])
    return (resized.permute(1, 2, 0) * 255).round().byte().numpy()


def _gram_matrices(maps: Tensor) -> Tensor:
    """(N, C, h, w) to (N, C, C), means over the positions."""
    with torch.autocast(maps.device.type, enabled=False):
        flat = maps.flatten(2)
        return flat @ flat.transpose(1, 2) / flat.shape[2]


def _relative(found: Tensor, target: Tensor) -> Tensor:
    """(N,) the squares of differences, added up and divided by the squares of the target."""
    squares = target.square().flatten(1).sum(1).clamp_min(_TINY)
    return (found - target).square().flatten(1).sum(1) / squares


def _mean(parts: list[Tensor]) -> Tensor:
    return torch.stack(parts).mean(0)


def _tv_losses(images: Tensor) -> Tensor:
    """(N, C, H, W) to (N,): `gatys.tv_loss` of each."""
    down, across = images[:, :, 1:] - images[:, :, :-1], images[:, :, :, 1:] - images[:, :, :, :-1]
    return down.square().mean((1, 2, 3)) + across.square().mean((1, 2, 3))
