"""How near an image is to another one: PSNR and SSIM, and the luminance that papers measure them in.

Images are (H, W, C) with values from 0 to 255.

>>> image = np.full((16, 16, 1), 100.0)
>>> round(psnr(image, image + 2), 2)
42.11
>>> round(ssim(image, image), 2)
1.0
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from convolve.values import Pixels

Image = npt.NDArray[np.float64]

_LUMA = (0.299, 0.587, 0.114)
"""Of red, green and blue (ITU-R BT.601)."""
_BLACK, _SPAN = 16.0, 219 / 255
_DEVIATION, _RADIUS = 1.5, 5
"""Of SSIM's Gaussian window, in pixels: 11 x 11 of them."""
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
LEAST_SIDE = 2 * _RADIUS + 1
"""The smallest side that SSIM is defined for."""


def gray_levels(image: npt.NDArray[Any]) -> Image:
    """(H, W, 1 or 3) gray or RGB to (H, W, 1) from 0 to 255, not rounded."""
    return image.astype(np.float64) if image.shape[2] == 1 else np.asarray(image @ np.array(_LUMA)[:, None])


def luminance(image: npt.NDArray[Any]) -> Image:
    """(H, W, 1 or 3) gray or RGB to (H, W, 1) Y of YCbCr from 16 to 235, as ITU-R BT.601 and MATLAB's `rgb2ycbcr` have
    it, in which the literature measures restored images.
    """
    return np.asarray(_BLACK + _SPAN * gray_levels(image))


def psnr(target: Pixels | Image, image: Pixels | Image) -> float:
    """Peak signal-to-noise ratio in dB over all pixels and channels; infinite for equal images."""
    error = float(np.mean((target.astype(np.float64) - image) ** 2))
    return 10 * math.log10(255**2 / error) if error else math.inf


def ssim(target: Pixels | Image, image: Pixels | Image) -> float:
    """Structural similarity, at most 1: the mean over the channels, and over the pixels whose window is inside the
    image; nan where there is none.

    Wang, Bovik, Sheikh, Simoncelli 2004, "Image quality assessment: from error visibility to structural similarity",
    section III.B and equation 13, with the paper's constants.
    """
    if min(target.shape[:2]) < LEAST_SIDE:
        return math.nan
    return float(ssim_map(target, image)[_RADIUS:-_RADIUS, _RADIUS:-_RADIUS].mean())


def ssim_map(target: Pixels | Image, image: Pixels | Image) -> Image:
    """The structural similarity around each pixel and of each channel (H, W, C), as `ssim` has it; the images are
    reflected at their edges.
    """
    x, y = target.astype(np.float64), image.astype(np.float64)
    mean_x, mean_y = _window(x), _window(y)
    variance_x, variance_y = _window(x * x) - mean_x**2, _window(y * y) - mean_y**2
    covariance = _window(x * y) - mean_x * mean_y
    similarity = ((2 * mean_x * mean_y + _C1) * (2 * covariance + _C2)) / (
        (mean_x**2 + mean_y**2 + _C1) * (variance_x + variance_y + _C2)
    )
    return np.asarray(similarity)


def shave(image: npt.NDArray[Any], border: int) -> npt.NDArray[Any]:
    """(H, W, C) without ``border`` pixels on every side."""
    return image[border : image.shape[0] - border, border : image.shape[1] - border]


def _window(values: Image) -> Image:
    """Weighted means over the windows around all pixels."""
    from scipy.ndimage import gaussian_filter  # type: ignore[import-untyped]

    return np.asarray(gaussian_filter(values, (_DEVIATION, _DEVIATION, 0), radius=(_RADIUS, _RADIUS, 0)))
