"""AlexNet's color shift (section 4.1) against scikit-learn's principal components."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_sample_image
from sklearn.decomposition import PCA

from convolve.datasets.augment import draw_transforms, principal_axes
from convolve.datasets.augmentation import Augmentation
from convolve.values import Pixels, Preprocessing


@pytest.fixture
def photographs() -> list[Pixels]:
    """Small enough for every pixel to count."""
    return [load_sample_image(name)[200:232, 300:332] for name in ("china.jpg", "flower.jpg")]


def _components(photographs: list[Pixels]) -> tuple[np.ndarray, np.ndarray]:
    """The axes as rows, and the variances along them, the largest first."""
    found = PCA(3).fit(np.concatenate([image.reshape(-1, 3) for image in photographs]) / 255)
    return found.components_, found.explained_variance_


def test_axes_are_the_eigenvectors_as_long_as_their_eigenvalues(photographs: list[Pixels]) -> None:
    components, variances = _components(photographs)
    axes = principal_axes(photographs)[:, ::-1]
    np.testing.assert_allclose(np.linalg.norm(axes, axis=0), variances, rtol=1e-6)
    np.testing.assert_allclose(np.abs(np.sum(components.T * axes, axis=0)), variances, rtol=1e-6)


def test_each_image_is_shifted_once_by_a_tenth_of_the_eigenvalues(photographs: list[Pixels]) -> None:
    components, variances = _components(photographs)
    frame = Preprocessing(32, 32, 3, "stretch", (0.5, 0.4, 0.3), (0.2, 0.3, 0.4))
    sizes = np.full((20_000, 2), 32)
    random = np.random.default_rng(0)
    colors = draw_transforms(Augmentation(pca=0.1), sizes, frame, principal_axes(photographs), random).colors
    assert len(np.unique(colors[:, 0, 3])) == len(sizes)
    assert np.ptp(colors[:, :, :3], axis=0).max() == 0
    shifts = (colors[:, :, 3] * frame.std + frame.mean) @ components.T
    np.testing.assert_allclose(shifts.mean(0), 0, atol=0.005 * variances[0])
    np.testing.assert_allclose(shifts.std(0), 0.1 * variances, rtol=0.02)
