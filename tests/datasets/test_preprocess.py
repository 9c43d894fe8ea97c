from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from convolve.datasets.preprocess import (
    CACHE_SCALE,
    cached_size,
    fit_to_input,
    least_side,
    normalize,
    resize_for_cache,
    transform_colors,
)
from tests.datasets.synthetic import preprocessing, random_image


@pytest.mark.parametrize(("height", "width"), [(300, 400), (500, 330), (1200, 900), (120, 200), (101, 97)])
def test_crop_is_the_center_of_pillows_resizing(height: int, width: int) -> None:
    source, frame = random_image(height, width), preprocessing(96, 128)
    scale = max(96 / height, 128 / width)
    size = (round(width * scale), round(height * scale))
    left, top = (size[0] - 128) / 2, (size[1] - 96) / 2
    box = (left / scale, top / scale, (left + 128) / scale, (top + 96) / scale)
    expected = Image.fromarray(source).resize((128, 96), Image.Resampling.BILINEAR, box)
    difference = np.abs(fit_to_input(source, frame).astype(int) - np.asarray(expected))
    assert difference.mean() < 2  # a cut begins at a whole pixel, so up to half a pixel beside the exact center
    assert difference.max() < 24


def test_stretch_is_pillows_resizing() -> None:
    source = random_image(310, 200)
    expected = np.asarray(Image.fromarray(source).resize((64, 96), Image.Resampling.BILINEAR))
    assert np.abs(fit_to_input(source, preprocessing(96, 64, fit="stretch")).astype(int) - expected).mean() < 1.5


def test_letterbox_shows_all_of_the_image_and_pads_with_the_mean() -> None:
    result = fit_to_input(random_image(100, 200), preprocessing(64, 64, fit="letterbox"))
    inside = Image.fromarray(random_image(100, 200)).resize((64, 32), Image.Resampling.BILINEAR)
    assert np.abs(result[16:48].astype(int) - np.asarray(inside)).mean() < 1.5
    assert (result[:16] == (124, 116, 104)).all()
    assert (result[48:] == (124, 116, 104)).all()


@pytest.mark.parametrize("fit", ["crop", "letterbox", "stretch", "tiles"])
def test_an_image_of_the_input_size_stays_as_it_is(fit: str) -> None:
    np.testing.assert_array_equal(
        fit_to_input(random_image(64, 80), preprocessing(64, 80, fit=fit)), random_image(64, 80)
    )


def test_a_tile_is_the_center_of_the_image_at_its_own_scale() -> None:
    source = random_image(100, 60)
    found = fit_to_input(source, preprocessing(64, 80, fit="tiles"))
    mirrored = np.pad(source, ((0, 0), (10, 10), (0, 0)), mode="reflect")
    np.testing.assert_array_equal(found, mirrored[18:82])


def test_shrinking_averages_rather_than_picks() -> None:
    board = np.indices((640, 640)).sum(0) % 2 * np.uint8(255)
    result = resize_for_cache(board.astype(np.uint8)[:, :, None], preprocessing(64, 64, 1))
    assert np.abs(result.astype(int) - 127).max() <= 40


@pytest.mark.parametrize("fit", ["crop", "letterbox", "stretch", "tiles"])
@pytest.mark.parametrize("size", [(900, 300), (257, 333), (40, 300), (20, 30), (1, 7)])
def test_resizing_twice_is_resizing_once(fit: str, size: tuple[int, int]) -> None:
    frame = preprocessing(64, 48, fit=fit)
    once = resize_for_cache(random_image(*size), frame)
    assert resize_for_cache(once, frame) is once
    assert once.shape[0] <= size[0]
    assert once.shape[1] <= size[1]


def test_cached_images_leave_room_for_crops() -> None:
    assert cached_size(1000, 2000, preprocessing(100, 100)) == (115, 230)
    assert cached_size(1000, 2000, preprocessing(100, 100, fit="letterbox")) == (58, 115)
    assert cached_size(1000, 2000, preprocessing(100, 100, fit="stretch")) == (115, 115)
    assert cached_size(1000, 2000, preprocessing(100, 100, fit="tiles")) == (1000, 2000)
    assert cached_size(90, 2000, preprocessing(100, 100)) == (90, 2000)
    assert cached_size(8, 8, preprocessing(32, 32), enlarge=True) == (32, 32)
    assert least_side(preprocessing(100, 224)) == 258 >= CACHE_SCALE * 224
    assert least_side(preprocessing(100, 224, fit="tiles")) == 0  # at full size


def test_gray_and_color_become_what_the_network_takes() -> None:
    gray = random_image(40, 40, 1)
    assert (fit_to_input(gray, preprocessing(40, 40, 3)) == gray).all()
    assert fit_to_input(random_image(40, 40, 3), preprocessing(40, 40, 1)).shape == (40, 40, 1)


@pytest.mark.parametrize(("count", "side", "channels"), [(130, 28, 1), (3, 224, 3), (70, 32, 3), (1, 5, 1)])
def test_normalized_is_the_formula(count: int, side: int, channels: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (count, side, side, channels), dtype=np.uint8)
    frame = preprocessing(side, side, channels)
    result = normalize(pixels, frame)
    assert result.dtype == np.float32
    assert result.flags.c_contiguous
    np.testing.assert_allclose(result, (pixels / 255 - np.array(frame.mean)) / np.array(frame.std), atol=2e-6)


@pytest.mark.parametrize("channels", [1, 3])
def test_every_image_gets_its_own_matrix(channels: int) -> None:
    images = np.stack([random_image(20, 30, channels, seed) for seed in range(4)])
    matrices = np.random.default_rng(0).normal(0, 0.01, (4, channels, channels + 1))
    expected = np.einsum("nhwc,ndc->nhwd", images, matrices[:, :, :channels]) + matrices[:, None, None, :, channels]
    np.testing.assert_allclose(transform_colors(images, matrices), expected, atol=1e-5)
