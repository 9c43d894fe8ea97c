"""From two images to a third: levels from coarse to fine, color, and the image as it becomes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from convolve.style_transfer.gatys import LossWeights, Objective, optimize, style_of
from convolve.style_transfer.images import (
    enlarge,
    finish,
    luminance,
    match_luminance,
    resize,
    sizes,
    to_pixels,
)
from convolve.style_transfer.layers import StyleLayers
from convolve.style_transfer.tiles import TiledMaps
from convolve.values import Pixels


@dataclass(frozen=True)
class TransferOptions:
    """``longer`` is the longer side of the image that is made, whose sides are multiples of ``step``; ``iterations``
    are those of the coarsest level, and each level has half as many as the one before. With ``keep_color`` only the
    luminance takes the style on; with ``noise`` the image begins as noise, drawn from the ``seed``, and else as the
    content.
    """

    layers: StyleLayers
    weights: LossWeights
    longer: int
    iterations: int
    step: int = 1
    keep_color: bool = False
    noise: bool = False
    seed: int = 0


@dataclass(frozen=True)
class State:
    """The image as it is after ``done`` of ``total`` iterations: ``pixels`` (H, W, C) uint8 and the ``loss``."""

    done: int
    total: int
    loss: float
    pixels: Pixels


def transfer(
    maps: TiledMaps, content: Pixels, style: Pixels, mask: Pixels | None, options: TransferOptions
) -> Iterator[State]:
    """The content image (H, W, C) in the style of the other one, as it becomes; the last state is the result.

    The content stays where a ``mask`` (H, W, 1) is black.
    Raises `TrainingError` where the loss becomes non-finite.
    """
    levels = sizes(content.shape, options.longer, options.step)
    iterations = [max(options.iterations >> number, 1) for number in range(len(levels))]
    image: Tensor | None = None
    for number, (height, width) in enumerate(levels):
        original = resize(content, height, width).to(maps.device)
        target = resize(style, *sizes(style.shape, max(height, width))[-1]).to(maps.device)
        learned = original
        if options.keep_color:
            learned = luminance(original)
            target = match_luminance(luminance(target), learned)
        if image is not None:
            image = enlarge(image, height, width)
        elif options.noise:
            random = torch.Generator().manual_seed(options.seed)
            image = torch.rand(learned.shape, generator=random).to(learned.device)
        else:
            image = learned
        objective = Objective(maps, options.layers, learned, style_of(target, maps, options.layers), options.weights)
        for done, loss, current in optimize(objective, image, iterations[number]):
            image = current
            whole = finish(current, original, mask, keep_color=options.keep_color)
            yield State(sum(iterations[:number]) + done, sum(iterations), loss, to_pixels(whole))
