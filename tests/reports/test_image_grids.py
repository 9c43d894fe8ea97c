from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw

from convolve.reports.colors import color_maps, diverging_colors, sequential_colors
from convolve.reports.image_grids import GridBlock, GridTile, Scale, column_count, heatmap_grid, image_grid
from convolve.values import Floats, Pixels

WHITE = (255, 255, 255)


def _random_tiles(count: int, side: int, channels: int = 3) -> Pixels:
    return np.random.default_rng(0).integers(0, 200, (count, side, side, channels), dtype=np.uint8)


def _inks(grid: Image.Image) -> npt.NDArray[np.bool_]:
    return np.asarray(np.asarray(grid).min(-1) < 250)


def _nothing_is_clipped(grid: Image.Image) -> bool:
    inks = _inks(grid)
    return not (inks[0].any() or inks[-1].any() or inks[:, 0].any() or inks[:, -1].any())


Written = list[tuple[str, tuple[int, int, int, int]]]


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Written:
    """Every text that is drawn, with the box of its ink: left, top, right, bottom."""
    texts: Written = []
    draw = ImageDraw.ImageDraw.text

    def record(self: ImageDraw.ImageDraw, xy: tuple[float, float], text: str, **options: Any) -> None:
        before = np.asarray(self._image).copy()
        draw(self, xy, text, **options)
        changed = np.argwhere((np.asarray(self._image) != before).any(-1))
        if text:
            top, left = changed.min(0)
            bottom, right = changed.max(0)
            texts.append((text, (int(left), int(top), int(right), int(bottom))))

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", record)
    return texts


def test_every_pixel_of_a_small_tile_is_a_square_of_its_own() -> None:
    tile = _random_tiles(1, 5)
    grid = np.asarray(image_grid("t", [GridBlock("", tile, 1, 100)]))
    for row in range(5):
        for column in range(5):
            color = tile[0, row, column]
            assert (grid == color).all(-1).sum() >= 400  # 20 x 20


def test_all_random_tiles_are_there_in_rows() -> None:
    gray = np.full((7, 4, 4, 1), 90, np.uint8)
    grid = np.asarray(image_grid("t", [GridBlock("", gray, 3, 40)]))
    gray_pixels = (grid == 90).all(-1)
    assert gray_pixels.sum() == 7 * 40 * 40
    assert [
        len(np.flatnonzero(np.diff(line.astype(int)) == 1)) for line in gray_pixels[gray_pixels.any(1)][[0, 50, 110]]
    ] == [
        3,
        3,
        1,
    ]


@pytest.mark.parametrize("side", [3, 30, 90, 300])
def test_nothing_is_clipped_however_long_the_words(side: int) -> None:
    long = "해바라기와 민들레 " * 6
    block = GridBlock(
        f"stage1: {long}", _random_tiles(5, side), 3, 96, [long] * 5, ["channel 1023", "채널"], Scale(-12.3456, 12.3456)
    )
    grid = image_grid(long, [block, block], long * 4)
    assert grid.mode == "RGB"
    assert _nothing_is_clipped(grid)


def test_grids_are_wider_than_high() -> None:
    assert [column_count(count) for count in (0, 1, 6, 8, 9, 64, 96, 512)] == [1, 1, 6, 8, 8, 11, 13, 16]
    assert column_count(20, 5) == 5


def test_ramps_rise_evenly_in_lightness() -> None:
    shares = np.linspace(0, 1, 64)
    lightness = sequential_colors(shares).astype(float) @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(lightness) > 0).all()
    assert tuple(diverging_colors(0.0)) == WHITE
    low, high = diverging_colors([-1.0, 1.0]).astype(int)
    assert low[2] > low[0]
    assert high[0] > high[2]
    assert np.array_equal(diverging_colors([-9.0, 9.0]), diverging_colors([-1.0, 1.0]))


def test_maps_have_one_scale_from_0_or_around_it() -> None:
    maps = np.linspace(0, 4, 2 * 5 * 5, dtype=np.float32).reshape(2, 5, 5)
    colors, low, high = color_maps(maps)
    assert (colors.shape, low) == ((2, 5, 5, 3), 0)
    assert high == pytest.approx(4, abs=0.01)
    assert np.array_equal(colors[1, 4, 4], sequential_colors(1.0))
    colors, low, high = color_maps(maps - 1)
    assert low == -high
    assert color_maps(np.zeros((1, 2, 2), np.float32))[2] == 1


def test_a_grids_texts_are_drawn(written: Written) -> None:
    block = GridBlock(
        "a heading", _random_tiles(4, 30), 2, 60, ["one", "two", "three", "four"], ["row 1", "row 2"], Scale(-1.5, 1.5)
    )
    grid = np.asarray(image_grid("the title", [block], "a note"))
    assert sorted(text for text, _ in written) == sorted(
        ["the title", "a heading", "-1.5", "1.5", "one", "two", "three", "four", "row 1", "row 2", "a note"]
    )
    other = GridBlock(
        "a heading", _random_tiles(4, 30), 2, 60, ["one", "two", "three", "five"], ["row 1", "row 2"], Scale(-1.5, 1.5)
    )
    changed = (np.asarray(image_grid("the title", [other], "a note")) != grid).any(-1)
    assert 10 < changed.sum() < 500  # the last caption alone


@pytest.fixture
def photo() -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (96, 120, 3), dtype=np.uint8)


@pytest.fixture
def attribution() -> Floats:
    return np.linspace(-1, 1, 48, dtype=np.float32).reshape(6, 8)


@pytest.mark.parametrize("label", ["dog 51.2%", "고양이 아주 긴 이름의 부류 99.9%", "<b>" * 50, ""])
def test_a_heatmap_grid_is_a_png_with_its_texts_inside(label: str, photo: Pixels, attribution: Floats) -> None:
    tiles = [
        GridTile("input"),
        GridTile(label, "grad-cam", attribution.clip(0)),
        GridTile(label, "cam", attribution, True, (0.1, 0.1, 0.9, 1)),
    ]
    grid = heatmap_grid(photo, (label * 3, label), [tiles, tiles[1:]])
    buffer = io.BytesIO()
    grid.save(buffer, "PNG")
    read = np.asarray(Image.open(buffer))
    assert read.shape == (grid.height, grid.width, 3)
    edges = np.concatenate([read[:8].reshape(-1, 3), read[-8:].reshape(-1, 3), read[:, :16].reshape(-1, 3)])
    assert (edges == 255).all()
    assert (read[:, -16:] == 255).all()


def test_a_heatmap_grids_texts_are_drawn_in_their_positions(
    photo: Pixels, attribution: Floats, written: Written
) -> None:
    tiles = [GridTile("input", ""), GridTile("dog 93%", "cam", attribution, True), GridTile("cat 5%", "saliency")]
    grid = np.asarray(heatmap_grid(photo, ("a.jpg", "predicted dog"), [tiles]))
    boxes = dict(written)
    assert list(boxes) == [
        "a.jpg",
        "predicted dog",
        "input",
        "dog 93%",
        "cam",
        "cat 5%",
        "saliency",
        "against",
        "for it",
    ]
    assert boxes["a.jpg"][3] < boxes["predicted dog"][1] < boxes["input"][1]
    for column, texts in enumerate((("input",), ("dog 93%", "cam"), ("cat 5%", "saliency"))):
        left = 24 + column * (120 + 16)
        for text in texts:
            assert left <= boxes[text][0] < boxes[text][2] <= left + 120
    assert boxes["dog 93%"][3] < boxes["cam"][1]
    for text, (left, top, right, bottom) in written:
        assert (grid[top : bottom + 1, left : right + 1].min(-1) < 160).any(), text  # what was drawn is still there


def test_long_texts_end_in_an_ellipsis(photo: Pixels, written: Written) -> None:
    heatmap_grid(photo, ("a.jpg", "b"), [[GridTile("an extraordinarily long name of a class", "note")]])
    assert [text for text, _ in written][2].endswith("...")


def test_boxes_are_visible_on_any_image(photo: Pixels) -> None:
    plain = np.asarray(heatmap_grid(photo, ("a", "b"), [[GridTile("input")]])).astype(int)
    tile = GridTile("input", found=(0, 0, 1, 1), ground_truth=((0.2, 0.2, 0.6, 0.5),))
    changed = np.argwhere((np.asarray(heatmap_grid(photo, ("a", "b"), [[tile]])) != plain).any(2))
    top, left = changed.min(0)
    bottom, right = changed.max(0)
    assert (bottom - top + 1, right - left + 1) == (96, 120)
    empty = heatmap_grid(photo, ("a", "b"), [[GridTile("input", found=(0, 0, 0, 0))]])
    np.testing.assert_array_equal(np.asarray(empty), plain)


def test_a_region_is_drawn_over_the_image() -> None:
    region = np.zeros((10, 20), dtype=bool)
    region[2:8, 5:15] = True
    gray = np.full((40, 80, 3), 90, np.uint8)
    plain = np.asarray(heatmap_grid(gray, ("a", "b"), [[GridTile("input")]]))
    tinted = np.asarray(heatmap_grid(gray, ("a", "b"), [[GridTile("input", region=(region, (10, 200, 30)))]]))
    assert (tinted != plain).any(2).sum() == 24 * 40  # and what lies outside keeps its color
