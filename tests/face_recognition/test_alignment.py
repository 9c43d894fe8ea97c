"""Alignment, against scikit-image, and by the pixels that arrive."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from convolve.face_recognition.alignment import SIDE, TEMPLATE, align, cut, similarity

transform = pytest.importorskip("skimage.transform", reason="scikit-image is not installed")


@pytest.mark.parametrize("seed", range(5))
def test_the_similarity_is_scikit_images(seed: int) -> None:
    random = np.random.default_rng(seed)
    source = random.uniform(0, 300, (5, 2))
    target = TEMPLATE if seed < 3 else source @ np.diag([-0.4, 0.4]) + 20  # a mirror image, which it must not become
    expected = transform.SimilarityTransform.from_estimate(source, target)
    assert np.allclose(similarity(source, target), np.asarray(expected)[:2])


@pytest.mark.parametrize("scale", [0.2, 0.7, 3.0])
def test_points_arrive_at_the_template(scale: float) -> None:
    """Bright dots at the five points of a turned face, larger or smaller than the template."""
    angle = np.deg2rad(25)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = (TEMPLATE - 56) @ turn.T / scale + 90 / scale + 30
    height = width = int(180 / scale + 60)
    rows, columns = np.mgrid[:height, :width]
    width_of_dots = 3 / scale
    dots = sum(np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 2 / width_of_dots**2) for x, y in points)
    found = align(np.repeat(255 * dots[..., None].clip(0, 1), 3, 2).astype(np.uint8), points)
    assert found.shape == (SIDE, SIDE, 3)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    for x, y in TEMPLATE:
        near = ((columns - x) ** 2 + (rows - y) ** 2 <= 81) * found[..., 0].astype(float)
        center = (near * columns).sum() / near.sum(), (near * rows).sum() / near.sum()
        assert center == pytest.approx((x, y), abs=0.6)


def test_a_box_is_cut_out_as_a_square() -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (30, 40, 3)).astype(np.uint8))
    pixels = np.asarray(image.resize((400, 300), Image.Resampling.BICUBIC))
    found = cut(pixels, (100.0, 50.0, 212.0, 162.0))
    assert np.abs(found.astype(int) - pixels[50:162, 100:212]).max() <= 1
    beyond = cut(pixels, (-112.0, 0.0, 112.0, 112.0))
    assert not beyond[:, :50].any()
    assert beyond[60:70, 70:100].any()
