from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageChops
from sklearn.datasets import load_digits

from convolve.setup.contact_sheet import TILE, contact_sheet
from convolve.values import Pixels

TOP = LEFT = 24
STEP = TILE + 14


def flat(height: int, width: int, tone: int = 0) -> Pixels:
    return np.full((height, width, 3), tone, np.uint8)


def test_rows_of_up_to_eight_tiles_evenly_spaced() -> None:
    page = np.asarray(contact_sheet([flat(10, 10)] * 64, ["x"] * 64))
    row = (page[TOP + TILE // 2] < 200).all(-1)
    starts = np.flatnonzero(np.diff(row.astype(np.int64)) == 1)
    assert len(starts) == 8
    assert set(np.diff(starts).tolist()) == {STEP}
    assert (page[:20] == 255).all()


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (2, 2), (6, 3), (24, 6), (200, 8)])
def test_columns_follow_the_number_of_images(count: int, columns: int) -> None:
    page = contact_sheet([flat(8, 8)] * count, [""] * count)
    assert page.width == 2 * LEFT + columns * STEP - 14
    assert page.mode == "RGB"


def test_tiny_images_are_enlarged_to_sharp_squares() -> None:
    digit = (load_digits().images[3] * 15).astype(np.uint8)
    page = np.asarray(contact_sheet([digit[..., None]], ["3"]))
    tile = page[TOP : TOP + TILE, LEFT : LEFT + TILE, 0]
    np.testing.assert_array_equal(tile, np.kron(digit, np.ones((18, 18), np.uint8)))


def test_images_keep_their_shape() -> None:
    page = np.asarray(contact_sheet([flat(100, 400), flat(400, 100)], ["wide", "tall"]))
    wide, tall = (page[TOP : TOP + TILE, left : left + TILE] for left in (LEFT, LEFT + STEP))
    for tile, size in ((wide, (36, 144)), (tall, (144, 36))):
        dark = (tile == 0).all(-1)
        assert (dark.any(1).sum(), dark.any(0).sum()) == size
        assert tuple(tile[0, 0]) in {(0, 0, 0), (241, 243, 245)}
    assert dark[:, 54:90].all()


def test_a_long_caption_ends_in_dots_inside_its_column() -> None:
    page = np.asarray(contact_sheet([flat(9, 9)] * 2, ["W" * 90, "short"]))
    assert (page[TOP + TILE :, LEFT + TILE : LEFT + STEP] == 255).all()
    assert (page[TOP + TILE :, LEFT : LEFT + TILE] < 128).any()


def test_captions_of_several_lines_become_one() -> None:
    one, other = (contact_sheet([flat(9, 9)], [text]) for text in ("cat\n  dog", "cat dog"))
    assert ImageChops.difference(one, other).getbbox() is None


def test_korean_captions_show_their_letters() -> None:
    composed, decomposed = (contact_sheet([flat(9, 9)], [text]) for text in ("각", "\u1100\u1161\u11a8"))
    assert ImageChops.difference(composed, decomposed).getbbox() is None
    for other in ("해", "\ue000"):  # the second one is in no font
        assert ImageChops.difference(composed, contact_sheet([flat(9, 9)], [other])).getbbox() is not None


def test_letters_that_no_font_has_still_give_a_sheet() -> None:
    assert isinstance(contact_sheet([flat(9, 9)], ["\U0001f33b 꽃 \U00012000"]), Image.Image)


def test_every_image_needs_a_caption() -> None:
    with pytest.raises(ValueError, match="zip"):
        contact_sheet([flat(9, 9)] * 2, ["one"])


def test_no_images_give_an_empty_page() -> None:
    assert contact_sheet([], []).size == (2 * LEFT + TILE, 2 * TOP)
