"""Boxes on images: outlines where the boxes are, labels that cover no other label, small images enlarged."""

from __future__ import annotations

import numpy as np
import pytest

from convolve.datasets.drawn_boxes import DrawnBox, draw_boxes
from convolve.values import Pixels

GREEN, RED = (10, 200, 40), (230, 30, 20)


def gray(height: int, width: int, channels: int = 3) -> Pixels:
    return np.full((height, width, channels), 120, np.uint8)


def has_color(pixels: Pixels, color: tuple[int, int, int]) -> Pixels:
    return np.asarray(np.abs(pixels.astype(int) - color).max(2) < 30, dtype=np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_an_outline_is_where_its_box_is(channels: int) -> None:
    drawn = draw_boxes(gray(500, 600, channels), [DrawnBox((100, 150, 300, 250), "", GREEN)])
    assert drawn.shape == (500, 600, 3)
    rows, columns = np.nonzero(has_color(drawn, GREEN))
    edges = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    assert np.abs(np.array(edges) - (100, 150, 300, 250)).max() <= 2
    changed = np.nonzero((drawn != 120).any(2))
    assert (changed[1].min(), changed[0].min()) == (100, 150)
    assert (changed[1].max(), changed[0].max()) == (299, 249)
    assert (drawn[170:230, 120:280] == 120).all()


def test_small_images_are_enlarged_with_their_boxes() -> None:
    image = gray(40, 60)
    image[10:20, 30:50] = GREEN
    drawn = draw_boxes(image, [DrawnBox((30, 10, 50, 20), "", RED)])
    assert drawn.shape == (320, 480, 3)
    rows, columns = np.nonzero(has_color(drawn, RED))
    assert np.abs(np.array([columns.min(), rows.min(), columns.max(), rows.max()]) - (240, 80, 400, 160)).max() <= 3


def test_a_missed_object_is_dashed() -> None:
    whole, dashed = (
        draw_boxes(gray(500, 600), [DrawnBox((100, 100, 400, 300), "", RED, each)]) for each in (False, True)
    )
    assert 0.3 < has_color(dashed, RED).sum() / has_color(whole, RED).sum() < 0.75


def test_labels_do_not_cover_each_other() -> None:
    """Ten objects at nearly one place: all labels stay legible, so that each color has as many pixels as alone."""
    colors = [(20 * number, 255 - 20 * number, (90 * number) % 256) for number in range(10)]
    boxes = [
        DrawnBox((200 + number, 200 + number, 300 + number, 280 + number), f"셀 {number}", color)
        for number, color in enumerate(colors)
    ]
    together = draw_boxes(gray(500, 600), boxes)
    for box in boxes:
        alone = draw_boxes(gray(500, 600), [box])
        without = draw_boxes(gray(500, 600), [DrawnBox(box.box, "", box.color)])
        label = int((alone != without).any(2).sum())
        fill = int((together == box.color).all(2).sum())
        assert fill > 0.4 * label


def label_size(box: tuple[int, int, int, int], label: str) -> tuple[int, int]:
    """Height and width of what a label changes."""
    labeled, bare = (draw_boxes(gray(500, 600), [DrawnBox(box, text, GREEN)]) for text in (label, ""))
    rows, columns = np.nonzero((labeled != bare).any(2))
    return int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1


@pytest.mark.parametrize(
    "box", [(0, 0, 5, 5), (595, 495, 600, 500), (590, 0, 600, 500), (0, 0, 600, 500), (3, 3, 3, 3)]
)
def test_labels_stay_in_the_image(box: tuple[int, int, int, int]) -> None:
    label = "a very long name of a class for which there is no room 99%"
    whole = label_size((200, 200, 300, 280), label)
    assert whole[0] > 13
    assert whole[1] > 200
    assert label_size(box, label) == pytest.approx(whole, abs=8)  # some of its rim may lie on the outline
