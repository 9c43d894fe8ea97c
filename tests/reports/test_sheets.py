from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from convolve.reports.ramps import diverging, rising, shown_maps
from convolve.reports.sheets import Block, Scale, sheet, square
from convolve.values import Pixels

WHITE = (255, 255, 255)


def _tiles(count: int, side: int, channels: int = 3) -> Pixels:
    return np.random.default_rng(0).integers(0, 200, (count, side, side, channels), dtype=np.uint8)


def _inks(picture: Image.Image) -> npt.NDArray[np.bool_]:
    return np.asarray(np.asarray(picture).min(-1) < 250)


def _nothing_is_clipped(picture: Image.Image) -> bool:
    inks = _inks(picture)
    return not (inks[0].any() or inks[-1].any() or inks[:, 0].any() or inks[:, -1].any())


def test_every_pixel_of_a_small_tile_is_a_square_of_its_own() -> None:
    tile = _tiles(1, 5)
    picture = np.asarray(sheet("t", [Block("", tile, 1, 100)]))
    for row in range(5):
        for column in range(5):
            color = tile[0, row, column]
            assert (picture == color).all(-1).sum() >= 400  # 20 x 20


def test_all_tiles_are_there_in_rows() -> None:
    gray = np.full((7, 4, 4, 1), 90, np.uint8)
    picture = np.asarray(sheet("t", [Block("", gray, 3, 40)]))
    shown = (picture == 90).all(-1)
    assert shown.sum() == 7 * 40 * 40
    assert [len(np.flatnonzero(np.diff(line.astype(int)) == 1)) for line in shown[shown.any(1)][[0, 50, 110]]] == [
        3,
        3,
        1,
    ]


@pytest.mark.parametrize("side", [3, 30, 90, 300])
def test_nothing_is_clipped_however_long_the_words(side: int) -> None:
    long = "해바라기와 민들레 " * 6
    block = Block(
        f"stage1: {long}", _tiles(5, side), 3, 96, [long] * 5, ["channel 1023", "채널"], Scale(-12.3456, 12.3456)
    )
    picture = sheet(long, [block, block], long * 4)
    assert picture.mode == "RGB"
    assert _nothing_is_clipped(picture)


def test_square_sheets_are_wider_than_high() -> None:
    assert [square(count) for count in (0, 1, 6, 8, 9, 64, 96, 512)] == [1, 1, 6, 8, 8, 11, 13, 16]
    assert square(20, 5) == 5


def test_ramps_rise_evenly_in_lightness() -> None:
    shares = np.linspace(0, 1, 64)
    lightness = rising(shares).astype(float) @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(lightness) > 0).all()
    assert tuple(diverging(0.0)) == WHITE
    low, high = diverging([-1.0, 1.0]).astype(int)
    assert low[2] > low[0]
    assert high[0] > high[2]
    assert np.array_equal(diverging([-9.0, 9.0]), diverging([-1.0, 1.0]))


def test_maps_have_one_scale_from_0_or_around_it() -> None:
    maps = np.linspace(0, 4, 2 * 5 * 5, dtype=np.float32).reshape(2, 5, 5)
    colors, low, high = shown_maps(maps)
    assert (colors.shape, low) == ((2, 5, 5, 3), 0)
    assert high == pytest.approx(4, abs=0.01)
    assert np.array_equal(colors[1, 4, 4], rising(1.0))
    colors, low, high = shown_maps(maps - 1)
    assert low == -high
    assert shown_maps(np.zeros((1, 2, 2), np.float32))[2] == 1
