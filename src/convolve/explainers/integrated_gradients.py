"""Integrated gradients.

Sundararajan, Taly, Yan 2017, "Axiomatic Attribution for Deep Networks", equation 1 and section 3: on the straight way
from a baseline X' to the image X,

    IG_i = (X_i - X'_i) * integral from 0 to 1 of dS(X' + a (X - X')) / dX_i da

The values of an image add up to S(X) - S(X') (completeness, section 3). The baseline is 0 everywhere, the mean of
normalized images, and a pixel's value is the sum over its channels. The integral is taken at the places of
Gauss and Legendre rather than by the paper's equal steps; the paper asks for 20 to 300 steps (section 5).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from convolve.explainers.slopes import image_slopes
from convolve.explainers.untouched import leaves_untouched
from convolve.models import Network

STEPS = 32
"""Places at which the slope is taken."""


@leaves_untouched
def integrated_gradients(network: Network, images: Tensor, classes: Tensor, stage: str | None) -> Tensor:
    """(N, C, H, W) images to (N, H, W), below 0 where a pixel lowers the score."""
    del stage
    places, weights = np.polynomial.legendre.leggauss(STEPS)
    slopes = torch.zeros_like(images)
    for place, weight in zip((places + 1) / 2, weights / 2, strict=True):
        slopes += float(weight) * image_slopes(network, float(place) * images, classes)
    return (images * slopes).sum(1)
