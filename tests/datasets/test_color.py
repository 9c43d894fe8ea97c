from __future__ import annotations

import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import functional as peer

from convolve.datasets.color import ColorChange, color_matrices, normalization_matrix, principal_axes, transform_colors
from tests.datasets.synthetic import preprocessing, random_image


def change(count: int, channels: int, **given: float) -> ColorChange:
    ones = np.ones(count)
    factors = [given.get(name, 1.0) * ones for name in ("brightness", "contrast", "saturation")]
    return ColorChange(factors[0], factors[1], factors[2], np.full((count, channels), given.get("shift", 0.0)))


def test_no_change_is_normalization() -> None:
    for channels in (1, 3):
        frame = preprocessing(8, 8, channels)
        np.testing.assert_allclose(
            color_matrices(change(2, channels), frame)[1], normalization_matrix(frame), atol=1e-12
        )


@pytest.mark.parametrize(
    ("name", "peers"), [("brightness", peer.adjust_brightness), ("saturation", peer.adjust_saturation)]
)
def test_factors_are_torchvisions(name: str, peers: object) -> None:
    frame, source = preprocessing(40, 40), random_image(40, 40) // 2 + 32
    result = transform_colors(source[None], color_matrices(change(1, 3, **{name: 0.8}), frame))[0]
    image = torch.from_numpy(source.transpose(2, 0, 1) / 255)
    expected = peers(image, 0.8).numpy().transpose(1, 2, 0)  # type: ignore[operator]
    np.testing.assert_allclose(result * frame.std + frame.mean, expected, atol=1e-3)  # its luma has four digits


def test_contrast_turns_about_the_gray_of_the_mean() -> None:
    frame = preprocessing(8, 8)
    gray = np.array(frame.mean) @ [0.299, 0.587, 0.114]
    matrix = color_matrices(change(1, 3, contrast=0.5), frame)[0]
    white = matrix @ [255, 255, 255, 1] * frame.std + frame.mean
    np.testing.assert_allclose(white, (1 + gray) / 2)


def test_a_shift_is_added_last() -> None:
    frame = preprocessing(8, 8)
    plain, moved = (color_matrices(change(1, 3, brightness=0.5, shift=shift), frame)[0] for shift in (0.0, 0.1))
    np.testing.assert_allclose((moved - plain)[:, 3] * frame.std, 0.1)


@pytest.mark.parametrize("channels", [1, 3])
def test_every_image_gets_its_own_matrix(channels: int) -> None:
    images = np.stack([random_image(20, 30, channels, seed) for seed in range(4)])
    matrices = np.random.default_rng(0).normal(0, 0.01, (4, channels, channels + 1))
    expected = np.einsum("nhwc,ndc->nhwd", images, matrices[:, :, :channels]) + matrices[:, None, None, :, channels]
    np.testing.assert_allclose(transform_colors(images, matrices), expected, atol=1e-5)


def test_principal_axes_are_those_of_the_covariance() -> None:
    random = np.random.default_rng(0)
    along = np.array([3.0, 4.0, 12.0]) / 13
    values = 128 + 40 * random.normal(size=(50 * 50, 1)) * along + random.normal(size=(50 * 50, 3))
    axes = principal_axes([values.clip(0, 255).astype(np.uint8).reshape(50, 50, 3)])
    lengths = np.linalg.norm(axes, axis=0)
    assert lengths[2] == pytest.approx((40 / 255) ** 2, rel=0.1)
    assert abs(axes[:, 2] @ along) / lengths[2] == pytest.approx(1, abs=1e-3)
    assert lengths[:2].max() < 1e-3
