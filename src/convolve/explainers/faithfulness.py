"""Whether a map names the pixels that the network used: deletion and insertion curves.

Petsiuk, Das and Saenko 2018, "RISE: Randomized Input Sampling for Explanation of Black-box Models", section 4.2: take
the pixels away in the order of the map, the hottest first, and the class's score should fall at once; bring them back
into a blurred image in that order, and it should rise at once. The figure is the area under the curve: from 0 to 1,
low is good for deletion, high for insertion.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from convolve.explainers.blur import blurred
from convolve.values import Floats

STEPS = 24
"""How many parts the pixels are taken in."""
BLUR, REACH = 5.0, 5
"""The paper's blur, from which insertion starts: a Gaussian's deviation, cut off to 11x11 pixels."""
Predict = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Curves:
    """(N, steps + 1) the class's score after each part of the pixels, from none to all of them."""

    deletion: Floats
    insertion: Floats


def curves(predict: Predict, images: Tensor, heat: Floats, classes: Tensor, steps: int = STEPS) -> Curves:
    """Both curves of (N, C, H, W) images by their (N, H, W) maps for (N,) classes.

    ``predict`` gives (N, classes) scores between 0 and 1. A deleted pixel is 0 in every channel: the mean of normalized
    images. Equal heat is taken in reading order.
    """
    order = np.argsort(-heat.reshape(len(heat), -1), axis=1, kind="stable")
    rank = torch.from_numpy(np.argsort(order, axis=1).reshape(len(heat), 1, *heat.shape[1:])).to(images.device)
    nothing, vague = torch.zeros_like(images), blurred(images, BLUR, REACH)
    deletion, insertion = [], []
    with torch.inference_mode():
        for step in range(steps + 1):
            taken = rank < round(step * rank[0].numel() / steps)
            deletion.append(_scores(predict, torch.where(taken, nothing, images), classes))
            insertion.append(_scores(predict, torch.where(taken, images, vague), classes))
    return Curves(np.stack(deletion, axis=1), np.stack(insertion, axis=1))


def areas(curve: Floats) -> Floats:
    """(N,) areas under (N, steps + 1) curves over shares of the pixels from 0 to 1, by trapezia."""
    return np.asarray((curve[:, 1:] + curve[:, :-1]).mean(axis=1) / 2, dtype=np.float32)


def _scores(predict: Predict, images: Tensor, classes: Tensor) -> Floats:
    found = predict(images).float().gather(1, classes[:, None])
    return np.asarray(found[:, 0].cpu().numpy(), dtype=np.float32)
