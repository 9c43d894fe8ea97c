"""Heatmaps in colors: even steps, a photograph that stays readable, and overlays in the right position."""

from __future__ import annotations

import base64
import io

import cv2
import numpy as np
import pytest
from PIL import Image

from convolve.choices import Fit
from convolve.datasets.preprocess import fit_matrix, fit_to_input
from convolve.reports.heatmaps import (
    heatmap_layer,
    heatmap_uri,
    levels,
    overlay,
    pale,
    palette,
    project_to_image,
    ramp_uri,
    region_layer,
)
from convolve.values import Floats, Pixels, Preprocessing


@pytest.fixture
def photo() -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (96, 120, 3), dtype=np.uint8)


@pytest.fixture
def attribution() -> Floats:
    return np.linspace(-1, 1, 48, dtype=np.float32).reshape(6, 8)


def lightness(colors: Pixels) -> Floats:
    lab = cv2.cvtColor((colors[None, :, :3] / np.float32(255)).astype(np.float32), cv2.COLOR_RGB2LAB)
    return np.asarray(lab[0, :, 0], np.float32)


def test_larger_is_lighter_and_more_opaque_in_even_steps() -> None:
    steps = np.diff(lightness(palette(signed=False))[::8])
    assert steps.min() > 0
    assert steps.max() < 3 * steps.mean()
    assert palette(signed=False)[[0, -1], 3].tolist() == [0, 255]
    assert (np.diff(palette(signed=False)[:, 3].astype(int)) >= 0).all()


def test_signed_colors_are_alike_on_both_sides_and_clear_at_0() -> None:
    colors = palette(signed=True)
    np.testing.assert_array_equal(colors[:128, 3], colors[:127:-1, 3])
    assert colors[[0, 127, 255], 3].tolist() == [255, 3, 255]
    orange, blue = colors[255, :3].tolist(), colors[0, :3].tolist()
    assert orange[0] > orange[2]
    assert blue[2] > blue[0]
    assert levels(np.array([[-1.0, 0, 1, 9]], np.float32), signed=True).tolist() == [[0, 128, 255, 255]]


def test_where_nothing_is_attributed_the_photograph_stays(photo: Pixels, attribution: Floats) -> None:
    cold = heatmap_layer(np.zeros((6, 8), np.float32), False, 96, 120)
    np.testing.assert_array_equal(overlay(photo, cold), pale(photo))
    hot = overlay(photo, heatmap_layer(np.ones((6, 8), np.float32), False, 96, 120), 0.75)
    assert np.corrcoef(hot.mean(2).ravel(), pale(photo).mean(2).ravel())[0, 1] > 0.99
    assert overlay(photo[..., :1], heatmap_layer(attribution, True, 96, 120)).shape == (96, 120, 3)


def test_a_region_is_tinted_inside_its_outline() -> None:
    region = np.zeros((10, 20), dtype=bool)
    region[2:8, 5:15] = True
    layer = region_layer(region, (10, 200, 30), 40, 80)
    assert layer.shape == (40, 80, 4)
    assert (layer[..., :3] == (10, 200, 30)).all()
    assert np.array_equal(layer[..., 3] > 0, region.repeat(4, 0).repeat(4, 1))
    assert (layer[8, 20:60, 3] == 255).all()
    assert 0 < layer[20, 40, 3] < 255


@pytest.mark.parametrize(
    ("fit", "visible"), [("crop", slice(20, 60)), ("letterbox", slice(0, 80)), ("stretch", slice(0, 80))]
)
def test_the_networks_input_lies_over_the_image_that_it_was_cut_from(fit: Fit, visible: slice) -> None:
    """The fitted image itself, as an attribution."""
    waves = np.sin(np.arange(80) / 9)[None] * np.cos(np.arange(40) / 11)[:, None]
    image = (120 + 80 * waves).astype(np.uint8)[..., None]
    preprocessing = Preprocessing(36, 36, 1, fit, (0.5,), (0.5,))
    attribution = fit_to_input(image, preprocessing)[..., 0].astype(np.float32)
    found = project_to_image(attribution, (36, 36), fit_matrix(40, 80, preprocessing), (40, 80), 80)
    assert found.shape == (40, 80)
    np.testing.assert_allclose(found[1:-1, visible][:, 1:-1], image[1:-1, visible, 0][:, 1:-1], atol=6)
    outside = np.ones(80, bool)
    outside[visible] = False
    assert not found[:, outside].any()


def test_a_coarse_map_is_enlarged_smoothly_within_its_bounds() -> None:
    attribution = np.array([[0, 1], [0, 1]], np.float32)
    preprocessing = Preprocessing(10, 10, 1, "stretch", (0.5,), (0.5,))
    found = project_to_image(attribution, (10, 10), fit_matrix(30, 60, preprocessing), (30, 60), 40)
    assert found.shape == (20, 40)
    assert (np.diff(found[10]) >= 0).all()
    assert (found[0, 0], found[-1, -1]) == (0, 1)


@pytest.mark.parametrize("signed", [False, True])
def test_a_layer_is_small_and_a_ramp_shows_both_ends(signed: bool) -> None:
    uri = heatmap_uri(np.linspace(0, 1, 1600, dtype=np.float32).reshape(40, 40), signed, 40)
    assert len(uri) < 2500
    assert Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).size == (40, 40)
    ramp = np.asarray(Image.open(io.BytesIO(base64.b64decode(ramp_uri(signed).partition(",")[2]))))
    assert ramp[0, -1, 3] == 255
    assert ramp[0, 0, 3] == (255 if signed else 0)


@pytest.mark.parametrize("signed", [True, False])
def test_a_heatmap_is_a_small_png_in_the_colors_of_the_palette(signed: bool) -> None:
    attribution = np.random.default_rng(0).random((224, 168)).astype(np.float32)
    blob = base64.b64decode(heatmap_uri(attribution, signed).partition(",")[2])
    read = np.asarray(Image.open(io.BytesIO(blob)).convert("RGBA"))
    assert read.shape == (112, 84, 4)
    assert {tuple(color) for color in read.reshape(-1, 4)} <= {tuple(color) for color in palette(signed)}
    flat = base64.b64decode(heatmap_uri(np.ones((4, 4), np.float32), signed).partition(",")[2])
    assert np.asarray(Image.open(io.BytesIO(flat)).convert("RGBA")).shape == (112, 112, 4)
    assert len(blob) < 12_000
