"""Style transfer by optimization: the image's pixels are what is learned.

Gatys, Ecker, Bethge 2016, "Image style transfer using convolutional neural networks" (CVPR): the loss of the content
(equation 1) is how far the maps F of a layer are from those P of the content image, that of the style (equations 3 to
5) how far their Gram matrices G are from those A of the style image, and L-BFGS lowers their weighted sum. Large images
are made from coarse to fine (Gatys, Ecker, Bethge, Hertzmann, Shechtman 2017, "Controlling perceptual factors in neural
style transfer", section 6). The penalty on the differences of neighboring pixels is that of Mahendran, Vedaldi 2015,
"Understanding deep image representations by inverting them" (equation 4 with beta 2).

Deviations: Gram matrices are means over positions, so that the images need not have the same size, and each layer's
loss is divided by the square of what it is compared with: ||F - P||² / ||P||² and ||G - A||² / ||A||². So the losses'
weights mean the same for any network; the paper scales VGG's weights instead, to maps whose mean over ImageNet is 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, optim

from convolve.errors import TrainingError
from convolve.style_transfer.layers import StyleLayers
from convolve.style_transfer.tiles import TiledMaps

_HISTORY = 10
"""Of L-BFGS: each entry takes twice the memory of the image."""
_CHUNK = 5
"""Iterations between two reports."""
_TINY = torch.finfo(torch.float32).tiny


@dataclass(frozen=True)
class LossWeights:
    """Of the style's loss and of `tv_loss`, where the content's loss has the weight 1."""

    style: float
    tv: float


def gram_matrix(maps: Tensor) -> Tensor:
    """Maps (C, h, w) to the products of all pairs of channels, summed over positions: (C, C)."""
    flat = maps.flatten(1)
    return flat @ flat.T


def tv_loss(image: Tensor) -> Tensor:
    """Of an image (C, H, W) the mean square of the differences of neighboring pixels, down and across."""
    down, across = image[:, 1:] - image[:, :-1], image[:, :, 1:] - image[:, :, :-1]
    return down.square().mean() + across.square().mean()


def style_of(image: Tensor, maps: TiledMaps, layers: StyleLayers) -> dict[str, Tensor]:
    """The Gram matrix (C, C) of each style layer, a mean over all positions of an image (C, H, W)."""
    sums: dict[str, Tensor] = {}
    positions = dict.fromkeys(layers.style, 0)
    with torch.no_grad():
        for tile in maps.tiles(*image.shape[1:]):
            found = maps(image, tile)
            for name in layers.style:
                sums[name] = gram_matrix(found[name]) + sums.get(name, 0)
                positions[name] += found[name][0].numel()
    return {name: total / positions[name] for name, total in sums.items()}


class Objective:
    """The loss of an image (C, H, W) and its gradient, computed tile by tile."""

    def __init__(
        self,
        maps: TiledMaps,
        layers: StyleLayers,
        content: Tensor,
        style: Mapping[str, Tensor],
        weights: LossWeights,
    ) -> None:
        """``content`` is the image (C, H, W), ``style`` what `style_of` gives of the other one."""
        self._maps, self._layers, self._style, self._weights = maps, layers, style, weights
        self._tiles = maps.tiles(*content.shape[1:])
        self._contents: list[dict[str, Tensor]] = []
        self._positions = dict.fromkeys(layers.style, 0)
        for tile in self._tiles:
            with torch.no_grad():
                found = maps(content, tile)
            self._contents.append({name: found[name].clone() for name in layers.content})
            for name in layers.style:
                self._positions[name] += found[name][0].numel()
        self._squares = {
            name: max(sum(float(each[name].square().sum()) for each in self._contents), _TINY)
            for name in layers.content
        }
        self._style_squares = {name: max(float(gram.square().sum()), _TINY) for name, gram in style.items()}

    def __call__(self, image: Tensor) -> tuple[float, Tensor]:
        """The loss, and its gradient (C, H, W)."""
        leaf = image.detach().clone().requires_grad_()
        smoothness = self._weights.tv * tv_loss(leaf)
        (gradient,) = torch.autograd.grad(smoothness, leaf)
        loss = float(smoothness.detach())
        # Each tile's gradient depends on the Gram matrices of the whole image, which a single tile has by itself.
        whole = style_of(image, self._maps, self._layers) if len(self._tiles) > 1 else {}
        for tile, content in zip(self._tiles, self._contents, strict=True):
            maps = self._maps(leaf, tile)
            grams = {name: gram_matrix(maps[name]) / self._positions[name] for name in self._layers.style}
            whole = whole or {name: gram.detach() for name, gram in grams.items()}
            part = self._content_loss(maps, content)
            (own,) = torch.autograd.grad(part + self._weights.style * self._linear_style_loss(whole, grams), leaf)
            gradient += own
            loss += float(part.detach())
        return loss + self._weights.style * self._style_loss(whole), gradient

    def _content_loss(self, maps: Mapping[str, Tensor], content: Mapping[str, Tensor]) -> Tensor:
        """A tile's part of equation 1, the mean over the content layers."""
        parts = [(maps[name] - content[name]).square().sum() / self._squares[name] for name in self._layers.content]
        return torch.stack(parts).mean()

    def _style_loss(self, grams: Mapping[str, Tensor]) -> float:
        """Equation 5: the mean over the style layers of equation 4."""
        parts = [
            (grams[name] - self._style[name]).square().sum() / square for name, square in self._style_squares.items()
        ]
        return float(torch.stack(parts).mean())

    def _linear_style_loss(self, whole: Mapping[str, Tensor], grams: Mapping[str, Tensor]) -> Tensor:
        """What has the gradient of the style's loss, as a function of a tile's part of the Gram matrices."""
        parts = [
            2 * ((whole[name] - self._style[name]) * grams[name]).sum() / square
            for name, square in self._style_squares.items()
        ]
        return torch.stack(parts).mean()


def optimize(objective: Objective, image: Tensor, iterations: int) -> Iterator[tuple[int, float, Tensor]]:
    """Lower the loss by L-BFGS, beginning with an image (C, H, W) with pixels from 0 to 1: every few iterations their
    number, the loss and the image.

    Raises `TrainingError` where the loss becomes non-finite.
    """
    pixels = image.detach().clone()
    optimizer = optim.LBFGS(
        [pixels], history_size=_HISTORY, line_search_fn="strong_wolfe", tolerance_grad=0, tolerance_change=0
    )
    loss = math.nan

    def evaluate() -> float:
        nonlocal loss
        loss, pixels.grad = objective(pixels)
        if not math.isfinite(loss):
            raise TrainingError("The loss of the image became non-finite; choose a smaller --style-weight.")
        return loss

    for done in range(0, iterations, _CHUNK):
        optimizer.param_groups[0]["max_iter"] = min(_CHUNK, iterations - done)
        optimizer.step(evaluate)  # type: ignore[no-untyped-call]
        yield min(done + _CHUNK, iterations), loss, pixels.clamp(0, 1)
