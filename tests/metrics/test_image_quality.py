"""PSNR, SSIM and luminance against scikit-image's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from convolve.metrics.image_quality import luminance, psnr, shave, ssim


@pytest.mark.parametrize("shape", [(40, 33, 3), (11, 64, 1)])
def test_as_scikit_image(shape: tuple[int, int, int]) -> None:
    random = np.random.default_rng(3)
    target = random.integers(0, 256, shape, np.uint8)
    image = np.clip(target + random.normal(0, 20, shape), 0, 255).astype(np.uint8)
    signal = peak_signal_noise_ratio(target, image)  # type: ignore[no-untyped-call]
    assert psnr(target, image) == pytest.approx(signal, abs=1e-9)
    expected = structural_similarity(  # type: ignore[no-untyped-call]
        target, image, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255
    )
    assert ssim(target, image) == pytest.approx(expected, abs=1e-9)


def test_luminance_is_scikit_images() -> None:
    image = np.random.default_rng(1).integers(0, 256, (5, 7, 3), np.uint8)
    np.testing.assert_allclose(luminance(image)[..., 0], rgb2ycbcr(image)[..., 0], atol=1e-3)
    gray = np.full((2, 2, 1), 77, np.uint8)
    np.testing.assert_allclose(luminance(gray), luminance(gray.repeat(3, 2)))


def test_what_has_no_number() -> None:
    image = np.zeros((10, 20, 1), np.uint8)
    assert psnr(image, image) == math.inf
    assert math.isnan(ssim(image, image))


def test_shaving() -> None:
    image = np.arange(30).reshape(5, 6, 1)
    assert shave(image, 2)[..., 0].tolist() == [[14, 15]]
    assert shave(image, 0) is not None
    assert shave(image, 0).shape == image.shape
