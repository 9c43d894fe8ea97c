"""SmoothGrad.

Smilkov, Thorat, Kim, Viegas, Wattenberg 2017, "SmoothGrad: removing noise by adding noise", section 2.2: the mean slope
of the score over copies of the image with Gaussian noise,

    M = 1 / n sum of dS / dX at X + N(0, sigma^2)   with   sigma = 15 % of (max X - min X)

(section 3.2: 10 to 20 %, n up to 50). Of a pixel's channels the one with the largest mean slope counts, as in saliency.
The noise comes from a seed of its own and is the same for every image, up to its spread.
"""

from __future__ import annotations

import torch
from torch import Tensor

from convolve.explainers.slopes import image_slopes
from convolve.explainers.untouched import leaves_untouched
from convolve.models import Network

SAMPLES = 32
SPREAD = 0.15
"""Deviation of the noise, as a share of the image's range."""
SEED = 0


@leaves_untouched
def smooth_grad(network: Network, images: Tensor, classes: Tensor, stage: str | None) -> Tensor:
    """(N, C, H, W) images to (N, H, W), nowhere below 0."""
    del stage
    random = torch.Generator().manual_seed(SEED)
    sigma = SPREAD * (images.amax((1, 2, 3), keepdim=True) - images.amin((1, 2, 3), keepdim=True))
    slopes = torch.zeros_like(images)
    for _ in range(SAMPLES):
        noise = torch.randn(images.shape[1:], generator=random).to(images)
        slopes += image_slopes(network, images + sigma * noise, classes)
    return (slopes / SAMPLES).abs().amax(1)
