"""From heat to a box: against OpenCV's components, and on maps whose box is known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from convolve.explainers.localization import Localized, heat_box, largest_piece, localization, localize
from convolve.values import Floats


def blob(left: int, top: int, width: int, height: int, value: float = 1.0) -> Floats:
    heat = np.zeros((20, 30), np.float32)
    heat[top : top + height, left : left + width] = value
    return heat


@pytest.mark.parametrize("seed", range(20))
def test_the_largest_piece_is_that_of_opencv(seed: int) -> None:
    noise = np.random.default_rng(seed).normal(size=(24, 17)).astype(np.float32)
    heat = np.asarray(cv2.GaussianBlur(noise, (5, 5), 1.2), np.float32)
    above = (heat >= 0.2 * heat.max()).astype(np.uint8)
    _, pieces, figures, _ = cv2.connectedComponentsWithStats(above, connectivity=8)
    areas = figures[1:, cv2.CC_STAT_AREA]
    if (areas == areas.max()).sum() == 1:
        left, top, width, height = figures[1 + areas.argmax(), :4]
        np.testing.assert_array_equal(largest_piece(heat), pieces == 1 + areas.argmax())
        np.testing.assert_array_equal(heat_box(heat), [left, top, left + width, top + height])


def test_a_box_is_round_the_largest_piece_not_the_hottest() -> None:
    heat = blob(2, 3, 6, 5, 0.3) + blob(20, 10, 2, 2) + blob(12, 0, 8, 8, 0.19)
    np.testing.assert_array_equal(heat_box(heat), [2, 3, 8, 8])
    np.testing.assert_array_equal(heat_box(heat, 0.5), [20, 10, 22, 12])


@pytest.mark.parametrize("heat", [np.zeros((4, 5), np.float32), np.full((4, 5), -1.0, np.float32)])
def test_where_there_is_no_heat_there_is_no_box(heat: Floats) -> None:
    np.testing.assert_array_equal(heat_box(heat), np.zeros(4))
    assert localize(heat, np.array([[2.0, 2, 4, 4]])) == Localized(0.0, inside=False)


def test_the_best_of_several_boxes_counts_and_pointing_asks_for_the_hottest_pixel() -> None:
    heat = blob(2, 3, 6, 4, 0.5)
    heat[3, 2] = 1.0
    assert localize(heat, np.array([[20.0, 10, 25, 15], [2, 3, 8, 7]])) == Localized(1.0, inside=True)
    assert localize(heat, np.array([[3.0, 3, 8, 7]])) == Localized(20 / 24, inside=False)
    found = localization([Localized(0.5, inside=True), Localized(0.49, inside=False), Localized(1.0, inside=True)])
    assert found.images == 3
    assert [found.accuracy, found.pointing, found.mean_overlap] == pytest.approx([2 / 3, 2 / 3, 1.99 / 3])
