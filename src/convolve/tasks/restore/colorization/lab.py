"""CIE L*a*b* of sRGB colors under the illuminant D65 (IEC 61966-2-1; CIE 15:2004, section 8.2.1)."""

from __future__ import annotations

import torch
from torch import Tensor

_TO_XYZ = ((0.412453, 0.357580, 0.180423), (0.212671, 0.715160, 0.072169), (0.019334, 0.119193, 0.950227))
_WHITE = (0.95047, 1.0, 1.08883)
_EDGE, _RISE, _OFFSET = 0.008856, 7.787, 16 / 116
"""Where the cube root ends, and the line that goes on from there."""


def rgb_to_lab(images: Tensor) -> Tensor:
    """(N, 3, H, W) with values from 0 to 1 to (N, 3, H, W): L from 0 to 100, then a and b."""
    linear = torch.where(images > 0.04045, ((images + 0.055) / 1.055).clamp(min=0) ** 2.4, images / 12.92)
    matrix, white = images.new_tensor(_TO_XYZ), images.new_tensor(_WHITE)[:, None, None]
    xyz = torch.einsum("dc,nchw->ndhw", matrix, linear) / white
    roots = torch.where(xyz > _EDGE, xyz.clamp(min=_EDGE) ** (1 / 3), _RISE * xyz + _OFFSET)
    x, y, z = roots.unbind(1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], 1)


def lab_to_rgb(lab: Tensor) -> Tensor:
    """(N, 3, H, W) to (N, 3, H, W) with values from 0 to 1; what sRGB does not have is clipped."""
    lightness, a, b = lab.unbind(1)
    y = (lightness + 16) / 116
    roots = torch.stack([y + a / 500, y, (y - b / 200).clamp(min=0)], 1)
    xyz = torch.where(roots > 0.2068966, roots**3, (roots - _OFFSET) / _RISE)
    xyz = xyz * lab.new_tensor(_WHITE)[:, None, None]
    linear = torch.einsum("dc,nchw->ndhw", torch.linalg.inv(lab.new_tensor(_TO_XYZ, dtype=torch.float64)).to(lab), xyz)
    rgb = torch.where(linear > 0.0031308, 1.055 * linear.clamp(min=0.0031308) ** (1 / 2.4) - 0.055, 12.92 * linear)
    return rgb.clamp(0, 1)
