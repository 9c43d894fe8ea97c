"""Upsampling by a transposed convolution that begins as bilinear interpolation.

Long, Shelhamer, Darrell 2015, "Fully convolutional networks for semantic segmentation", section 3.3; the authors' file
`surgery.py` fills the kernels so.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def bilinear_upsampling(channels: int, kernel: int, stride: int, *, learned: bool) -> nn.ConvTranspose2d:
    """A transposed convolution of all channels with all, without bias, that interpolates each channel by itself.

    (N, channels, H, W) maps give (N, channels, stride * (H - 1) + kernel, stride * (W - 1) + kernel). Unless it is
    ``learned`` its kernel asks for no gradient.
    """
    layer = nn.ConvTranspose2d(channels, channels, kernel, stride, bias=False)
    with torch.no_grad():
        layer.weight.zero_()
        every = torch.arange(channels)
        layer.weight[every, every] = bilinear_kernel(kernel).to(layer.weight)
    layer.weight.requires_grad_(learned)
    return layer


def bilinear_kernel(side: int) -> Tensor:
    """(side, side) the tent over twice the stride that fits: weights fall linearly from the center."""
    factor = (side + 1) // 2
    center = factor - 1 if side % 2 else factor - 0.5
    tent = 1 - (torch.arange(side) - center).abs() / factor
    return tent[:, None] * tent
