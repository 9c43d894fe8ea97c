"""Heat in colors: even steps, a photograph that stays readable, texts inside the sheet."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from convolve.reports.heat import Tile, heat_layer, heat_sheet, levels, over, paled, palette, region_layer
from convolve.values import Floats, Pixels


@pytest.fixture
def picture() -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (96, 120, 3), dtype=np.uint8)


@pytest.fixture
def heat() -> Floats:
    return np.linspace(-1, 1, 48, dtype=np.float32).reshape(6, 8)


def lightness(colors: Pixels) -> Floats:
    lab = cv2.cvtColor((colors[None, :, :3] / np.float32(255)).astype(np.float32), cv2.COLOR_RGB2LAB)
    return np.asarray(lab[0, :, 0], np.float32)


def test_hotter_is_lighter_and_more_opaque_in_even_steps() -> None:
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


def test_where_there_is_no_heat_the_photograph_stays(picture: Pixels, heat: Floats) -> None:
    cold = heat_layer(np.zeros((6, 8), np.float32), False, 96, 120)
    np.testing.assert_array_equal(over(picture, cold), paled(picture))
    hot = over(picture, heat_layer(np.ones((6, 8), np.float32), False, 96, 120), 0.75)
    assert np.corrcoef(hot.mean(2).ravel(), paled(picture).mean(2).ravel())[0, 1] > 0.99
    assert over(picture[..., :1], heat_layer(heat, True, 96, 120)).shape == (96, 120, 3)


@pytest.mark.parametrize("label", ["dog 51.2%", "고양이 아주 긴 이름의 부류 99.9%", "<b>" * 50, ""])
def test_a_sheet_is_a_png_with_all_its_texts_inside(label: str, picture: Pixels, heat: Floats) -> None:
    tiles = [Tile("seen"), Tile(label, "grad-cam", heat.clip(0)), Tile(label, "cam", heat, True, (0.1, 0.1, 0.9, 1))]
    sheet = heat_sheet(picture, (label * 3, label), [tiles, tiles[1:]])
    written = io.BytesIO()
    sheet.save(written, "PNG")
    read = np.asarray(Image.open(written))
    assert read.shape == (sheet.height, sheet.width, 3)
    edges = np.concatenate([read[:8].reshape(-1, 3), read[-8:].reshape(-1, 3), read[:, :16].reshape(-1, 3)])
    assert (edges == 255).all()
    assert (read[:, -16:] == 255).all()


def test_boxes_show_on_any_picture(picture: Pixels) -> None:
    plain = np.asarray(heat_sheet(picture, ("a", "b"), [[Tile("seen")]])).astype(int)
    given = heat_sheet(picture, ("a", "b"), [[Tile("seen", box=(0, 0, 1, 1), truths=((0.2, 0.2, 0.6, 0.5),))]])
    changed = np.argwhere((np.asarray(given) != plain).any(2))
    top, left = changed.min(0)
    bottom, right = changed.max(0)
    assert (bottom - top + 1, right - left + 1) == (96, 120)
    nothing = heat_sheet(picture, ("a", "b"), [[Tile("seen", box=(0, 0, 0, 0))]])
    np.testing.assert_array_equal(np.asarray(nothing), plain)


def test_a_region_is_tinted_inside_its_outline() -> None:
    region = np.zeros((10, 20), dtype=bool)
    region[2:8, 5:15] = True
    layer = region_layer(region, (10, 200, 30), 40, 80)
    assert layer.shape == (40, 80, 4)
    assert (layer[..., :3] == (10, 200, 30)).all()
    assert np.array_equal(layer[..., 3] > 0, region.repeat(4, 0).repeat(4, 1))
    assert (layer[8, 20:60, 3] == 255).all()
    assert 0 < layer[20, 40, 3] < 255
    picture = np.full((40, 80, 3), 90, np.uint8)
    sheet = np.asarray(heat_sheet(picture, ("a", "b"), [[Tile("seen", region=(region, (10, 200, 30)))]]))
    plain = np.asarray(heat_sheet(picture, ("a", "b"), [[Tile("seen")]]))
    changed = (sheet != plain).any(2)
    assert changed.sum() == 24 * 40  # and what lies outside keeps its color
