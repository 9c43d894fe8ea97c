"""Images out of focus."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def blurred(images: Tensor, deviation: float, reach: int | None = None) -> Tensor:
    """(N, C, H, W) images under a Gaussian of that deviation in pixels, cut off ``reach`` pixels from its middle, by
    default at three deviations; borders repeat.
    """
    if reach is None:
        reach = max(1, round(3 * deviation))
    steps = torch.arange(-reach, reach + 1, dtype=images.dtype, device=images.device)
    weights = torch.exp(-(steps**2) / (2 * deviation**2))
    kernel = (weights / weights.sum()).expand(images.shape[1], 1, 1, -1)
    padded = F.pad(images, (reach,) * 4, mode="replicate")
    across = F.conv2d(padded, kernel, groups=images.shape[1])
    return F.conv2d(across, kernel.transpose(2, 3), groups=images.shape[1])
