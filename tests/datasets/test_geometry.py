from __future__ import annotations

import cv2
import numpy as np
import pytest

from convolve.datasets.geometry import box_matrices, fit_matrix, warp, warp_small
from convolve.values import Matrices, Pixels
from tests.datasets.synthetic import preprocessing, random_image


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
