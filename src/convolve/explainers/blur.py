"""Gaussian blur."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def blur(images: Tensor, deviation: float, radius: int | None = None) -> Tensor:
    """(N, C, H, W) images under a Gaussian of that standard deviation in pixels, cut off ``radius`` pixels from its
    center, by default at three deviations; border pixels are replicated.
    """
    if radius is None:
        radius = max(1, round(3 * deviation))
    offsets = torch.arange(-radius, radius + 1, dtype=images.dtype, device=images.device)
    weights = torch.exp(-(offsets**2) / (2 * deviation**2))
    kernel = (weights / weights.sum()).expand(images.shape[1], 1, 1, -1)
    padded = F.pad(images, (radius,) * 4, mode="replicate")
    across = F.conv2d(padded, kernel, groups=images.shape[1])
    return F.conv2d(across, kernel.transpose(2, 3), groups=images.shape[1])
