"""Occlusion.

Zeiler, Fergus 2013, "Visualizing and understanding convolutional networks", section 4.2: cover the image with a gray
square, position after position, and measure how far the class's score falls.

The square is a seventh of the shorter side wide and moves by half its width; gray is 0, the mean of normalized images.
The value of a pixel is the mean fall over the squares that cover it.

Deviations: the fall is that of the score before the softmax; the paper's probability hardly changes once it is near 1.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from convolve.explainers.feature_maps import batch_size
from convolve.explainers.preservation import Layer, preserves_network
from convolve.explainers.score_targets import ScoreTarget

SQUARES = 7
"""How many squares fit next to each other along the shorter side."""
BATCH = 32
"""Covered images of 256x256 pixels that run together."""
Square = tuple[slice, slice]


@preserves_network
@torch.no_grad()
def occlusion(network: nn.Module, images: Tensor, target: ScoreTarget, layer: Layer) -> Tensor:
    """(N, C, H, W) images to (N, H, W), below 0 where covering a pixel raises the score."""
    del layer
    falls = torch.zeros(len(images), *images.shape[2:], device=images.device)
    covers = torch.zeros_like(falls[0])
    positions = list(squares(images.shape[2], images.shape[3]))
    together = max(1, batch_size(BATCH, images.shape[2:]) // len(images))
    uncovered = target(network(images))
    rows = torch.arange(len(images), device=images.device)
    for start in range(0, len(positions), together):
        some = positions[start : start + together]
        copies = [images.clone() for _ in some]
        for copy, square in zip(copies, some, strict=True):
            copy[:, :, *square] = 0
        scores = target.take(rows.repeat(len(some)))(network(torch.cat(copies)))
        for square, score in zip(some, torch.split(scores, len(images)), strict=True):
            falls[:, *square] += (uncovered - score)[:, None, None]
            covers[square] += 1
    return falls / covers


def squares(height: int, width: int) -> Iterator[Square]:
    """(rows, columns) of each square, which together cover the image; the last ones end at its border."""
    side = max(1, round(min(height, width) / SQUARES))
    step = (side + 1) // 2
    for top in (*range(0, height - side, step), height - side):
        for left in (*range(0, width - side, step), width - side):
            yield slice(top, top + side), slice(left, left + side)
