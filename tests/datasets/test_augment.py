from __future__ import annotations

import cmath
import colorsys
import dataclasses
import math

import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import functional as peer

from convolve.datasets.augment import (
    Transforms,
    apply_transforms,
    color_matrices,
    draw_transforms,
    input_sizes,
    noise_table,
    principal_axes,
)
from convolve.datasets.augmentation import Augmentation
from convolve.datasets.preprocess import (
    ColorMatrices,
    fit_matrix,
    fit_to_input,
    normalization_matrix,
    normalize,
    transform_colors,
)
from convolve.values import Indices, Preprocessing
from tests.datasets.synthetic import preprocessing, random_image

FULL = Augmentation(0.5, True, True, 20.0, 0.1, 0.1, 0.05, 0.2, 0.2, 0.2, 0.1)
MANY: Indices = np.tile(np.array([[90, 130]]), (400, 1))


def transforms(augmentation: Augmentation, sizes: Indices, goal: Preprocessing, seed: int = 0) -> Transforms:
    return draw_transforms(augmentation, sizes, goal, 0.1 * np.eye(goal.channels), np.random.default_rng(seed))


@pytest.mark.parametrize("fit", ["crop", "letterbox", "stretch", "tiles"])
@pytest.mark.parametrize("augmentation", [Augmentation(), Augmentation(crop=1.0, flip=False, rotate=0.0, noise=0.0)])
def test_no_augmentation_is_fitting(augmentation: Augmentation, fit: str) -> None:
    goal, images = (
        preprocessing(64, 64, fit=fit),
        [random_image(70, 73, seed=1), random_image(66, 71, seed=2), random_image(30, 40)],
    )
    sizes = np.array([image.shape[:2] for image in images])
    result = apply_transforms(transforms(augmentation, sizes, goal), images, goal)
    np.testing.assert_array_equal(result, normalize(np.stack([fit_to_input(image, goal) for image in images]), goal))


def test_an_array_of_small_pictures_varies_as_single_ones_do() -> None:
    goal, images = preprocessing(32, 32), np.stack([random_image(32, 32, seed=seed) for seed in range(6)])
    still = transforms(Augmentation(), MANY[:6] * 0 + 32, goal)
    np.testing.assert_array_equal(apply_transforms(still, images, goal), normalize(images, goal))
    moving = transforms(FULL, MANY[:6] * 0 + 32, goal)
    np.testing.assert_allclose(
        apply_transforms(moving, images, goal), apply_transforms(moving, list(images), goal), atol=1.3 / 255 / 0.22
    )


def test_matrices_say_where_things_are_whatever_the_crop() -> None:
    goal = preprocessing(64, 64)
    result = transforms(Augmentation(crop=0.4, flip=True), MANY, goal)
    corners = np.array([[0, 64, 0, 64], [0, 0, 64, 64], [1, 1, 1, 1]], dtype=float)
    whole = np.concatenate([result.matrices, np.tile([[[0.0, 0.0, 1.0]]], (len(MANY), 1, 1))], axis=1)
    source = (np.linalg.inv(whole) @ corners)[:, :2]
    low, high = source.min(2), source.max(2)
    np.testing.assert_allclose(low, np.rint(low), atol=1e-6)  # whole pixels, so that the cheap way can be gone
    assert low.min() > -1e-6
    assert (high <= [130 + 1e-6, 90 + 1e-6]).all()
    shares = np.prod(high - low, axis=1) / 90**2
    assert 0.38 < shares.min() < 0.5
    assert 0.9 < shares.max() < 1.03
    stretch = (high - low)[:, 0] / (high - low)[:, 1]
    assert 0.72 < stretch.min() < 0.85
    assert 1.2 < stretch.max() < 1.37
    assert 0.4 < (result.matrices[:, 0, 0] < 0).mean() < 0.6


def test_letterbox_never_distorts() -> None:
    matrices = transforms(dataclasses.replace(FULL, rotate=0.0), MANY, preprocessing(64, 64, fit="letterbox")).matrices
    ratio = np.abs(matrices[:, 0, 0] / matrices[:, 1, 1])
    assert np.abs(ratio - 1).max() < 0.03  # sides are whole pixels


def test_angles_sizes_and_shifts_keep_to_their_bounds() -> None:
    goal = preprocessing(50, 100)
    sizes = np.tile(np.array([[50, 100]]), (500, 1))
    matrices = transforms(Augmentation(rotate=30.0, scale=0.2, translate=0.1), sizes, goal).matrices
    angles = np.rad2deg(np.arctan2(matrices[:, 1, 0], matrices[:, 0, 0]))
    factors = np.hypot(matrices[:, 0, 0], matrices[:, 1, 0])
    shifts = matrices @ [50, 25, 1] - [50, 25]
    for values, most in ((angles, 30), (factors - 1, 0.2), (shifts[:, 0], 10), (shifts[:, 1], 5)):
        assert 0.95 * most < values.max() <= most + 1e-9
        assert -most - 1e-9 <= values.min() < -0.95 * most


def test_one_variation_does_not_change_what_another_draws() -> None:
    goal = preprocessing(64, 64)
    turned, both = (
        transforms(Augmentation(rotate=9.0), MANY, goal),
        transforms(Augmentation(rotate=9.0, noise=0.1, pca=0.1), MANY, goal),
    )
    np.testing.assert_array_equal(turned.matrices, both.matrices)
    flipped = transforms(Augmentation(flip=True), MANY, goal).matrices[:, 0, 0] < 0
    also = transforms(Augmentation(flip=True, vertical_flip=True, translate=0.1), MANY, goal).matrices[:, 0, 0] < 0
    np.testing.assert_array_equal(flipped, also)


def test_a_crop_that_keeps_everything_shows_what_the_frame_shows() -> None:
    goal = preprocessing(64, 64)
    np.testing.assert_array_equal(transforms(Augmentation(crop=1.0), MANY, goal).matrices[3], fit_matrix(90, 130, goal))


def test_noise_has_the_asked_strength_and_differs_between_images() -> None:
    goal, random = preprocessing(32, 32), np.random.default_rng(0)
    images = np.full((50, 32, 32, 3), 128, np.uint8)
    what = transforms(Augmentation(noise=0.1), MANY[:50] * 0 + 32, goal)
    noise = apply_transforms(what, images, goal, noise_table(0.1, goal, random)) - normalize(images, goal)
    np.testing.assert_allclose(noise.std((0, 1, 2)) * goal.std, 0.1, rtol=0.02)
    assert np.abs(np.corrcoef(noise.reshape(50, -1)) - np.eye(50)).max() < 0.2


def changed(count: int, goal: Preprocessing, **given: float) -> ColorMatrices:
    ones = np.ones(count)
    factors = [given.get(name, 1.0) * ones for name in ("brightness", "contrast", "saturation")]
    angles = np.full(count, given.get("angle", 0.0))
    return color_matrices(factors, angles, np.full((count, goal.channels), given.get("shift", 0.0)), goal)


def test_no_change_is_normalization() -> None:
    for channels in (1, 3):
        frame = preprocessing(8, 8, channels)
        np.testing.assert_allclose(changed(2, frame)[1], normalization_matrix(frame), atol=1e-12)


@pytest.mark.parametrize(
    ("name", "peers"), [("brightness", peer.adjust_brightness), ("saturation", peer.adjust_saturation)]
)
def test_factors_are_torchvisions(name: str, peers: object) -> None:
    frame, source = preprocessing(40, 40), random_image(40, 40) // 2 + 32
    result = transform_colors(source[None], changed(1, frame, **{name: 0.8}))[0]
    image = torch.from_numpy(source.transpose(2, 0, 1) / 255)
    expected = peers(image, 0.8).numpy().transpose(1, 2, 0)  # type: ignore[operator]
    np.testing.assert_allclose(result * frame.std + frame.mean, expected, atol=1e-3)  # its luma has four digits


def test_hue_turns_colors_in_the_plane_of_chroma_and_leaves_grays() -> None:
    frame, colors = preprocessing(8, 8), np.random.default_rng(3).uniform(60, 200, (20, 3))
    matrix = changed(1, frame, angle=0.7)[0]
    turned = (matrix[:, :3] @ colors.T + matrix[:, 3:]).T * frame.std + frame.mean
    for before, after in zip(colors / 255, turned, strict=True):
        (luma, i, q), (new_luma, new_i, new_q) = colorsys.rgb_to_yiq(*before), colorsys.rgb_to_yiq(*after)
        assert new_luma == pytest.approx(luma, abs=2e-3)
        assert complex(new_i, new_q) == pytest.approx(complex(i, q) * cmath.exp(0.7j), abs=3e-3)
    gray = matrix @ [90, 90, 90, 1] * frame.std + frame.mean
    np.testing.assert_allclose(gray, 90 / 255, atol=1e-3)


def test_hue_is_drawn_either_way_within_its_limit_and_apart_from_all_else() -> None:
    goal = preprocessing(8, 8)
    plain, hue = (transforms(Augmentation(flip=True, hue=limit), MANY, goal) for limit in (0.0, 0.1))
    np.testing.assert_array_equal(plain.matrices, hue.matrices)
    red = hue.colors @ [255, 0, 0, 1] * goal.std + goal.mean
    angles = np.array([cmath.phase(complex(*colorsys.rgb_to_yiq(*color)[1:])) for color in red])
    angles -= cmath.phase(complex(*colorsys.rgb_to_yiq(1, 0, 0)[1:]))
    assert -0.2 * math.pi - 0.02 < angles.min() < -0.15 * math.pi
    assert 0.15 * math.pi < angles.max() < 0.2 * math.pi + 0.02


@pytest.mark.parametrize(
    ("change", "size", "sides"),
    [(0.2, (416, 416), [(side, side) for side in range(352, 500, 32)]),
     (0.25, (64, 128), [(64, 128)]), (0.5, (64, 128), [(32, 64), (64, 128), (96, 192)]), (0.1, (40, 40), [(40, 40)])],
)  # fmt: skip
def test_multi_scale_inputs_have_sides_of_whole_steps(
    change: float, size: tuple[int, int], sides: list[tuple[int, int]]
) -> None:
    found = input_sizes(change, preprocessing(*size))
    assert [(each.height, each.width) for each in found] == sides


def test_contrast_turns_about_the_gray_of_the_mean() -> None:
    frame = preprocessing(8, 8)
    gray = np.array(frame.mean) @ [0.299, 0.587, 0.114]
    matrix = changed(1, frame, contrast=0.5)[0]
    white = matrix @ [255, 255, 255, 1] * frame.std + frame.mean
    np.testing.assert_allclose(white, (1 + gray) / 2)


def test_a_shift_is_added_last() -> None:
    frame = preprocessing(8, 8)
    plain, moved = (changed(1, frame, brightness=0.5, shift=shift)[0] for shift in (0.0, 0.1))
    np.testing.assert_allclose((moved - plain)[:, 3] * frame.std, 0.1)


def test_principal_axes_are_those_of_the_covariance() -> None:
    random = np.random.default_rng(0)
    along = np.array([3.0, 4.0, 12.0]) / 13
    values = 128 + 40 * random.normal(size=(50 * 50, 1)) * along + random.normal(size=(50 * 50, 3))
    axes = principal_axes([values.clip(0, 255).astype(np.uint8).reshape(50, 50, 3)])
    lengths = np.linalg.norm(axes, axis=0)
    assert lengths[2] == pytest.approx((40 / 255) ** 2, rel=0.1)
    assert abs(axes[:, 2] @ along) / lengths[2] == pytest.approx(1, abs=1e-3)
    assert lengths[:2].max() < 1e-3
