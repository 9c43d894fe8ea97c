"""Deletion and insertion on a network whose answer is known: the value of a single pixel."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import auc
from torch import Tensor
from torchvision.transforms.v2 import functional as transforms

from convolve.explainers.blur import blur
from convolve.explainers.faithfulness import BLUR, RADIUS, areas, faithfulness_curves

ROW, COLUMN, STEPS = 2, 5, 16


def score(images: Tensor) -> Tensor:
    """As large as the pixel is bright."""
    return images[:, 0, ROW, COLUMN]


@pytest.fixture
def images() -> Tensor:
    found = torch.zeros(2, 1, 8, 8)
    found[:, :, ROW, COLUMN] = 1
    return found


def test_the_pixel_that_counts_first_last_and_in_the_middle(images: Tensor) -> None:
    first = np.zeros((2, 8, 8), np.float32)
    first[0, ROW, COLUMN], first[1, ROW, COLUMN] = 1, -1
    found = faithfulness_curves(score, images, first, STEPS)
    start = float(blur(images, BLUR, RADIUS)[0, 0, ROW, COLUMN])
    np.testing.assert_allclose(found.deletion[0], [1] + [0] * STEPS)
    np.testing.assert_allclose(found.deletion[1], [1] * STEPS + [0])
    np.testing.assert_allclose(found.insertion[0], [start] + [1] * STEPS)
    np.testing.assert_allclose(found.insertion[1], [start] * STEPS + [1])
    np.testing.assert_allclose(areas(found.deletion), [0.5 / STEPS, 1 - 0.5 / STEPS], rtol=1e-6)
    other = faithfulness_curves(lambda changed: 1 - score(changed), images, first, STEPS)
    np.testing.assert_allclose(other.deletion, 1 - found.deletion)


def test_the_area_is_that_of_scikit_learn() -> None:
    curve = np.random.default_rng(0).random((5, 12)).astype(np.float32)
    expected = [auc(np.linspace(0, 1, 12), row) for row in curve]
    np.testing.assert_allclose(areas(curve), expected, rtol=1e-6)


def test_the_blur_is_that_of_torchvision_within_the_border() -> None:
    images = torch.randn(2, 3, 24, 20, generator=torch.Generator().manual_seed(0))
    expected = transforms.gaussian_blur(images, [11, 11], [5.0, 5.0])
    torch.testing.assert_close(blur(images, BLUR, RADIUS)[..., 5:-5, 5:-5], expected[..., 5:-5, 5:-5])
    assert blur(torch.ones(1, 1, 3, 4), BLUR, RADIUS).allclose(torch.ones(1, 1, 3, 4))
