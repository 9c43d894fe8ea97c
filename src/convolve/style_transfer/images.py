"""Images as style transfer has them: in one size after another, and with their luminance apart from their color."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from convolve.values import Pixels

COARSEST = 256
"""Pixels of the longer side below which no image is made before the next larger one."""
LUMINANCE = (0.299, 0.587, 0.114)
"""Of red, green and blue: the Y of YIQ."""


def sizes(shape: tuple[int, ...], longer: int, step: int = 1) -> list[tuple[int, int]]:
    """The (height, width) in which an image of ``shape`` (H, W, C) is made, from coarse to fine: each longer side is
    twice the one before, and the last one is ``longer``. Sides are multiples of ``step``.
    """
    height, width = shape[:2]
    sides = [longer]
    while sides[0] / 2 >= COARSEST:
        sides.insert(0, round(sides[0] / 2))
    scales = [side / max(height, width) for side in sides]
    down, across = ([max(round(side * scale / step), 1) * step for scale in scales] for side in (height, width))
    return list(zip(down, across, strict=True))


def resize(pixels: Pixels, height: int, width: int) -> Tensor:
    """(H, W, C) uint8 to (C, height, width) with pixels from 0 to 1."""
    flat = pixels[:, :, 0] if pixels.shape[2] == 1 else pixels
    resized = np.asarray(Image.fromarray(flat).resize((width, height), Image.Resampling.LANCZOS))
    return torch.from_numpy(np.atleast_3d(resized).transpose(2, 0, 1).astype(np.float32) / 255)


def enlarge(image: Tensor, height: int, width: int) -> Tensor:
    """(C, H, W) to (C, height, width), between 0 and 1."""
    return F.interpolate(image[None], size=(height, width), mode="bicubic", align_corners=False)[0].clamp(0, 1)


def finish(image: Tensor, content: Tensor, mask: Pixels | None, *, keep_color: bool) -> Tensor:
    """A stylized image (3 or 1, H, W): with ``keep_color`` its luminance alone, in the colors of the ``content`` (3, H,
    W), and the content itself where a ``mask`` (h, w, 1) is black.
    """
    if keep_color:
        image = with_luminance(content, image if len(image) == 1 else luminance(image))
    if mask is None:
        return image
    return torch.lerp(content, image, resize(mask, *content.shape[1:]).to(content.device))


def to_pixels(image: Tensor) -> Pixels:
    """(C, H, W) with pixels from 0 to 1 to (H, W, C) uint8."""
    return np.asarray((image.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy())


def luminance(image: Tensor) -> Tensor:
    """(3, H, W) to (1, H, W)."""
    return (image * image.new_tensor(LUMINANCE).reshape(3, 1, 1)).sum(0, keepdim=True)


def match_luminance(style: Tensor, content: Tensor) -> Tensor:
    """A luminance (1, H, W) with the mean and the standard deviation of another one.

    Gatys, Bethge, Hertzmann, Shechtman 2016, "Preserving color in neural artistic style transfer", luminance-only
    transfer.
    """
    deviation = style.std().clamp_min(1e-3)
    return (style - style.mean()) * (content.std() / deviation) + content.mean()


def with_luminance(image: Tensor, new: Tensor) -> Tensor:
    """An image (3, H, W) with another luminance (1, H, W) and its own color: I and Q of YIQ stay as they are, or become
    smaller by one factor where red, green or blue would leave 0 to 1, so that the hue stays.
    """
    new, color = new.clamp(0, 1), image - luminance(image)
    factors = torch.where(color > 0, 1 - new, new) / color.abs().clamp_min(torch.finfo(color.dtype).tiny)
    return (new + color * factors.amin(0, keepdim=True).clamp_max(1)).clamp(0, 1)
