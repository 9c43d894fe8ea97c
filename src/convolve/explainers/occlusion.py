"""Occlusion.

Zeiler, Fergus 2013, "Visualizing and understanding convolutional networks", section 4.2: cover the image with a gray
square, place after place, and see how far the class's score falls.

The square is a seventh of the shorter side wide and moves by half its width; gray is 0, the mean of normalized images.
The value of a pixel is the mean fall over the squares that cover it.

Deviations: the fall is that of the score before the softmax; the paper's probability hardly moves once it is near 1.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from convolve.explainers.slopes import scores_of
from convolve.explainers.together import at_once
from convolve.explainers.untouched import leaves_untouched
from convolve.models import Network

SHARE = 7
"""How many squares stand side by side on the shorter side."""
BATCH = 32
"""Covered images of 256x256 pixels that run at once."""
Square = tuple[slice, slice]


@leaves_untouched
@torch.no_grad()
def occlusion(network: Network, images: Tensor, classes: Tensor, stage: str | None) -> Tensor:
    """(N, C, H, W) images to (N, H, W), below 0 where covering a pixel raises the score."""
    del stage
    falls = torch.zeros(len(images), *images.shape[2:], device=images.device)
    covered = torch.zeros_like(falls[0])
    found = list(squares(images.shape[2], images.shape[3]))
    together = max(1, at_once(BATCH, images.shape[2:]) // len(images))
    whole = scores_of(network(images), classes)
    for start in range(0, len(found), together):
        some = found[start : start + together]
        scores = scores_of(network(_covered(images, some)), classes.repeat(len(some)))
        for square, score in zip(some, torch.split(scores, len(images)), strict=True):
            falls[:, *square] += (whole - score)[:, None, None]
            covered[square] += 1
    return falls / covered


def squares(height: int, width: int) -> Iterator[Square]:
    """(rows, columns) of every square, which together cover the image; the last ones end at its border."""
    side = max(1, round(min(height, width) / SHARE))
    step = (side + 1) // 2
    for top in (*range(0, height - side, step), height - side):
        for left in (*range(0, width - side, step), width - side):
            yield slice(top, top + side), slice(left, left + side)


def _covered(images: Tensor, some: list[Square]) -> Tensor:
    """(N, C, H, W) images to (squares * N, C, H, W): all images behind the first square, then behind the next."""
    copies = [images.clone() for _ in some]
    for copy, square in zip(copies, some, strict=True):
        copy[:, :, *square] = 0
    return torch.cat(copies)
