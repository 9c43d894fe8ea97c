from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image

from convolve.datasets.preprocess import (
    CACHE_SCALE,
    box_matrices,
    cached_size,
    fit_matrix,
    fit_to_input,
    least_side,
    normalize,
    resize_for_cache,
    transform_colors,
    warp,
    warp_small,
)
from convolve.values import Matrices, Pixels
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


def rotation(degrees: float, side: float) -> Matrices:
    """(2, 3) about the center of a square."""
    cosine, sine = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    turn = np.array([[cosine, -sine], [sine, cosine]])
    return np.column_stack([turn, np.full(2, side / 2) - turn @ np.full(2, side / 2)])


def dot(x: float, y: float, side: int) -> Pixels:
    """A soft bright dot about (x, y), counted from the image's edge."""
    rows, columns = np.indices((side, side)) + 0.5
    return np.asarray(255 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 8), dtype=np.uint8)[:, :, None]


def center(pixels: Pixels) -> Matrices:
    rows, columns = np.indices(pixels.shape[:2]) + 0.5
    weights = pixels[:, :, 0].astype(float)
    return np.array([np.average(columns, weights=weights), np.average(rows, weights=weights)])


@pytest.mark.parametrize("angle", [0.0, 17.0, -90.0, 180.0])
def test_a_dot_lands_where_the_matrix_says(angle: float) -> None:
    matrix = rotation(angle, 64) * 0.75 + np.array([[0, 0, 5], [0, 0, 9]])
    source = dot(40, 25, 64)
    for result in (
        warp([source], matrix[None], preprocessing(64, 64, 1)),
        warp_small(source[None], matrix[None], 64, 64),
    ):
        np.testing.assert_allclose(center(result[0]), matrix @ [40, 25, 1], atol=0.05)


def test_a_quarter_rotation_is_numpys() -> None:
    source = random_image(32, 32)
    result = warp([source], rotation(90, 32)[None], preprocessing(32, 32))[0]
    np.testing.assert_array_equal(result, np.rot90(source, -1))


@pytest.mark.parametrize(("flip", "axis"), [((-1, 1), 1), ((1, -1), 0)])
def test_flipping_twice_is_nothing(flip: tuple[int, int], axis: int) -> None:
    source, goal = random_image(48, 48), preprocessing(48, 48)
    matrix = np.array([[flip[0], 0, 48 * (flip[0] < 0)], [0, flip[1], 48 * (flip[1] < 0)]], dtype=float)
    once = warp([source], matrix[None], goal)
    np.testing.assert_array_equal(once[0], np.flip(source, axis))
    np.testing.assert_array_equal(warp(once, matrix[None], goal)[0], source)
    np.testing.assert_array_equal(warp_small(source[None], matrix[None], 48, 48)[0], once[0])


def test_cutting_and_enlarging_agrees_with_the_general_warp() -> None:
    source, goal = random_image(90, 120), preprocessing(64, 80)
    matrix = box_matrices(np.array([[11, 7, 70, 60]]), goal)
    cheap = warp([source], matrix, goal)[0]
    matrix[0, 0, 1] = 1e-9  # no longer whole pixels to whole pixels
    general = warp([source], matrix, goal)[0]
    assert np.abs(cheap[1:-1, 1:-1].astype(int) - general[1:-1, 1:-1]).max() <= 1


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("count", [1, 5, 1200])
def test_many_small_images_at_once_agree_with_one_at_a_time(count: int, channels: int) -> None:
    sources = np.stack([random_image(28, 30, channels, seed) for seed in range(20)])[np.arange(count) % 20]
    random, goal = np.random.default_rng(1), preprocessing(24, 32, channels)
    matrices = fit_matrix(28, 30, goal)[None] + random.normal(0, [0.1, 0.1, 4], (count, 2, 3))
    assert np.abs(warp_small(sources, matrices, 24, 32).astype(int) - warp(list(sources), matrices, goal)).max() <= 1


def test_beyond_an_image_is_its_reflection_and_around_a_letterbox_the_mean() -> None:
    shift = np.array([[1, 0, 8], [0, 1, 0]], dtype=float)
    source = random_image(32, 32)
    reflected = np.concatenate([source[:, 8:0:-1], source[:, :24]], axis=1)
    np.testing.assert_array_equal(warp([source], shift[None], preprocessing(32, 32))[0], reflected)
    np.testing.assert_array_equal(warp_small(source[None], shift[None], 32, 32)[0], reflected)
    boxed = warp([source], shift[None], preprocessing(32, 32, fit="letterbox"))[0]
    assert (boxed[:, :8] == (124, 116, 104)).all()
    np.testing.assert_array_equal(boxed[:, 8:], source[:, :24])
    np.testing.assert_array_equal(warp([source], shift[None], preprocessing(32, 32), reflect=False)[0], boxed)


def test_read_only_pixels_of_every_size_are_taken() -> None:
    sources = [random_image(70, 50, seed=1), random_image(33, 90, seed=2)]
    for source in sources:
        source.flags.writeable = False
    goal = preprocessing(40, 40)
    matrices = np.stack([fit_matrix(source.shape[0], source.shape[1], goal) for source in sources])
    together = warp(sources, matrices, goal)
    for number, source in enumerate(sources):
        np.testing.assert_array_equal(together[number], warp([source], matrices[number : number + 1], goal)[0])


def test_opencv_is_left_as_it_was() -> None:
    before = cv2.getNumThreads()
    warp([random_image(20, 20)], fit_matrix(20, 20, preprocessing(10, 10))[None], preprocessing(10, 10))
    assert cv2.getNumThreads() == before
