"""Attributions to pixels from the gradient of a score with respect to the image.

- Saliency: Simonyan, Vedaldi, Zisserman 2013, "Deep Inside Convolutional Networks: Visualizing Image Classification
  Models and Saliency Maps", section 3.
- SmoothGrad: Smilkov, Thorat, Kim, Viegas, Wattenberg 2017, "SmoothGrad: removing noise by adding noise", section 2.2.
- Integrated gradients: Sundararajan, Taly, Yan 2017, "Axiomatic Attribution for Deep Networks", equation 1, section 3.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from convolve.explainers.preservation import Layer, preserves_network
from convolve.explainers.score_targets import ScoreTarget

STEPS = 32
"""Points at which integrated gradients take the gradient; the paper asks for 20 to 300 (section 5)."""
SAMPLES = 32
"""Noisy copies over which SmoothGrad averages; up to 50 in the paper (section 3.2)."""
NOISE = 0.15
"""Standard deviation of SmoothGrad's noise, as a fraction of the image's range; 10 to 20 % in section 3.2."""
SEED = 0


def gradient(scores: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
    """The gradient of ``scores(inputs)`` (N,) with respect to each image's own inputs (N, …)."""
    with torch.enable_grad():
        leaf = inputs.detach().requires_grad_()
        (gradients,) = torch.autograd.grad(scores(leaf).sum(), leaf)
    return gradients


def image_gradients(network: nn.Module, images: Tensor, target: ScoreTarget) -> Tensor:
    """(N, C, H, W) gradient of each image's score with respect to the image."""
    return gradient(lambda leaf: target(network(leaf)), images)


@preserves_network
def saliency(network: nn.Module, images: Tensor, target: ScoreTarget, layer: Layer) -> Tensor:
    """(N, C, H, W) images to (N, H, W), nowhere below 0.

        M_ij = max_c |dS / dI_cij|

    with the score before the softmax; of a pixel's channels the one with the largest gradient counts (section 3.1).
    """
    del layer
    return image_gradients(network, images, target).abs().amax(1)


@preserves_network
def smooth_grad(network: nn.Module, images: Tensor, target: ScoreTarget, layer: Layer) -> Tensor:
    """(N, C, H, W) images to (N, H, W), nowhere below 0: the mean gradient over copies with Gaussian noise.

        M = 1 / n sum of dS / dX at X + N(0, sigma^2)   with   sigma = 15 % of (max X - min X)

    Of a pixel's channels the one with the largest mean gradient counts, as in saliency. The noise comes from a seed of
    its own and is the same for each image, up to its deviation.
    """
    del layer
    random = torch.Generator().manual_seed(SEED)
    sigma = NOISE * (images.amax((1, 2, 3), keepdim=True) - images.amin((1, 2, 3), keepdim=True))
    gradients = torch.zeros_like(images)
    for _ in range(SAMPLES):
        noise = torch.randn(images.shape[1:], generator=random).to(images)
        gradients += image_gradients(network, images + sigma * noise, target)
    return (gradients / SAMPLES).abs().amax(1)


@preserves_network
def integrated_gradients(network: nn.Module, images: Tensor, target: ScoreTarget, layer: Layer) -> Tensor:
    """(N, C, H, W) images to (N, H, W), below 0 where a pixel lowers the score.

    On the straight line from a baseline X' to the image X,

        IG_i = (X_i - X'_i) * integral from 0 to 1 of dS(X' + a (X - X')) / dX_i da

    The values of an image add up to S(X) - S(X') (completeness, section 3). The baseline is 0 everywhere, the mean of
    normalized images, and a pixel's value is the sum over its channels. The integral is taken at the points of Gauss
    and Legendre rather than in the paper's equal steps.
    """
    del layer
    points, weights = np.polynomial.legendre.leggauss(STEPS)
    gradients = torch.zeros_like(images)
    for point, weight in zip((points + 1) / 2, weights / 2, strict=True):
        gradients += float(weight) * image_gradients(network, float(point) * images, target)
    return (images * gradients).sum(1)
