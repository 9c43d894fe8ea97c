"""The loss by which a network learns disparities from stereo pairs.

Godard, Mac Aodha, Brostow 2017, "Unsupervised monocular depth estimation with left-right consistency", section 3.3.
Disparities are fractions of the image's width.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

_ALPHA = 0.85
"""Of the structural similarity in the appearance loss (equation 2)."""
_SMOOTHNESS = 0.1
"""Weight of the smoothness loss, divided by how much smaller the scale is (section 4.1)."""
_SCALES = 4
_C1, _C2 = 0.01**2, 0.03**2


def reconstruct(source: Tensor, disparities: Tensor) -> Tensor:
    """The other view (N, C, H, W) of a ``source`` of that shape: each pixel is what the source has ``disparities``
    (N, H, W) further left, interpolated linearly; beyond its edges the source goes on as at them.
    """
    height, width = source.shape[2:]
    x, y = ((2 * torch.arange(side, device=source.device) + 1) / side - 1 for side in (width, height))
    grid = torch.stack([x - 2 * disparities, y[:, None].expand_as(disparities)], dim=-1)
    return functional.grid_sample(source, grid, padding_mode="border", align_corners=False)


def structural_similarity(first: Tensor, second: Tensor) -> Tensor:
    """(N, C, H - 2, W - 2) SSIM of images (N, C, H, W) with values from 0 to 1, in windows of 3 x 3 equal weights."""
    mean1, mean2 = (functional.avg_pool2d(each, 3, 1) for each in (first, second))
    variance1 = functional.avg_pool2d(first**2, 3, 1) - mean1**2
    variance2 = functional.avg_pool2d(second**2, 3, 1) - mean2**2
    covariance = functional.avg_pool2d(first * second, 3, 1) - mean1 * mean2
    above = (2 * mean1 * mean2 + _C1) * (2 * covariance + _C2)
    return above / ((mean1**2 + mean2**2 + _C1) * (variance1 + variance2 + _C2))


def photometric_error(target: Tensor, image: Tensor) -> Tensor:
    """(N,) the appearance loss (equation 2) of images (N, C, H, W) with values from 0 to 1."""
    dissimilarity = ((1 - structural_similarity(target, image)) / 2).clamp(0, 1)
    return _ALPHA * dissimilarity.mean((1, 2, 3)) + (1 - _ALPHA) * (target - image).abs().mean((1, 2, 3))


def smoothness(disparities: Tensor, images: Tensor) -> Tensor:
    """The mean gradient of disparities (N, H, W), which counts less where that of the images (N, C, H, W) is large
    (equation 3).
    """
    total = disparities.new_zeros(())
    for axis in (-1, -2):
        edges = images.diff(dim=axis).abs().mean(1)
        total = total + (disparities.diff(dim=axis).abs() * torch.exp(-edges)).mean()
    return total


def stereo_loss(left: Tensor, right: Tensor, disparities: Tensor) -> dict[str, Tensor]:
    """Pairs (N, C, H, W) with values from 0 to 1 and the disparities (N, 2, H, W) of their left and right images to
    `loss` and its parts (equation 1), each the sum over four scales, fewer for images too small to be halved so often.

    Deviations: the paper's network gives disparities at each scale; here they are the means of the largest ones.
    """
    parts = dict.fromkeys(("appearance", "smoothness", "consistency"), disparities.new_zeros(()))
    for scale in range(_SCALES):
        if scale:
            left, right, disparities = (functional.avg_pool2d(each, 2) for each in (left, right, disparities))
        own, other = disparities[:, 0], disparities[:, 1]
        views = ((left, right, own, other), (right, left, -other, -own))  # the right image's match is on its right
        for target, source, shift, counterpart in views:
            parts["appearance"] = parts["appearance"] + photometric_error(target, reconstruct(source, shift)).mean()
            smooth = smoothness(shift, target) * _SMOOTHNESS / 2**scale
            parts["smoothness"] = parts["smoothness"] + smooth
            matched = reconstruct(counterpart[:, None], shift)[:, 0]
            parts["consistency"] = parts["consistency"] + (shift - matched).abs().mean()
        if min(left.shape[2:]) < 6:  # a half of it has no window of 3 x 3
            break
    return {"loss": torch.stack(list(parts.values())).sum(), **parts}
