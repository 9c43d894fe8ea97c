"""Whether an attribution names the pixels that the network used: deletion and insertion curves.

Petsiuk, Das and Saenko 2018, "RISE: Randomized Input Sampling for Explanation of Black-box Models", section 4.2: remove
the pixels in the order of the map, the largest attribution first, and the class's score should fall at once; bring them
back into a blurred image in that order, and it should rise at once. The metric is the area under the curve: from 0 to
1, low is good for deletion, high for insertion.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from convolve.explainers.blur import blur
from convolve.values import Floats

STEPS = 24
"""How many parts the pixels are taken in."""
BLUR, RADIUS = 5.0, 5
"""The paper's blur, from which insertion starts: a Gaussian's standard deviation, cut off to 11x11 pixels."""


@dataclass(frozen=True)
class Curves:
    """(N, steps + 1) the score after each part of the pixels, from none to all of them."""

    deletion: Floats
    insertion: Floats


def faithfulness_curves(
    score: Callable[[Tensor], Tensor], images: Tensor, attributions: Floats, steps: int = STEPS
) -> Curves:
    """Both curves of (N, C, H, W) images by their (N, H, W) attributions.

    ``score`` gives (N,) numbers, between 0 and 1, of changed versions of the images. A deleted pixel is 0 in each
    channel: the mean of normalized images. Equal attributions are taken in reading order.
    """
    order = np.argsort(-attributions.reshape(len(attributions), -1), axis=1, kind="stable")
    rank = torch.from_numpy(np.argsort(order, axis=1).reshape(len(images), 1, *images.shape[2:])).to(images.device)
    zeros, blurred = torch.zeros_like(images), blur(images, BLUR, RADIUS)
    deletion, insertion = [], []
    with torch.inference_mode():
        for step in range(steps + 1):
            taken = rank < round(step * rank[0].numel() / steps)
            deletion.append(score(torch.where(taken, zeros, images)).float().cpu().numpy())
            insertion.append(score(torch.where(taken, images, blurred)).float().cpu().numpy())
    return Curves(np.stack(deletion, axis=1), np.stack(insertion, axis=1))


def areas(curve: Floats) -> Floats:
    """(N,) areas under (N, steps + 1) curves over fractions of the pixels from 0 to 1, by the trapezoidal rule."""
    return np.asarray((curve[:, 1:] + curve[:, :-1]).mean(axis=1) / 2, dtype=np.float32)
