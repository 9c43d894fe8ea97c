"""From attribution to a box: against OpenCV's components, and on maps whose box is known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from convolve.explainers.localization import (
    ImageLocalization,
    attribution_box,
    largest_region,
    localize,
    summarize_localization,
)
from convolve.values import Floats


def blob(left: int, top: int, width: int, height: int, value: float = 1.0) -> Floats:
    attribution = np.zeros((20, 30), np.float32)
    attribution[top : top + height, left : left + width] = value
    return attribution


@pytest.mark.parametrize("seed", range(20))
def test_the_largest_region_is_that_of_opencv(seed: int) -> None:
    noise = np.random.default_rng(seed).normal(size=(24, 17)).astype(np.float32)
    attribution = np.asarray(cv2.GaussianBlur(noise, (5, 5), 1.2), np.float32)
    above = (attribution >= 0.2 * attribution.max()).astype(np.uint8)
    _, regions, statistics, _ = cv2.connectedComponentsWithStats(above, connectivity=8)
    areas = statistics[1:, cv2.CC_STAT_AREA]
    if (areas == areas.max()).sum() == 1:
        left, top, width, height = statistics[1 + areas.argmax(), :4]
        np.testing.assert_array_equal(largest_region(attribution), regions == 1 + areas.argmax())
        np.testing.assert_array_equal(attribution_box(attribution), [left, top, left + width, top + height])


def test_a_box_is_round_the_largest_region_not_the_largest_value() -> None:
    attribution = blob(2, 3, 6, 5, 0.3) + blob(20, 10, 2, 2) + blob(12, 0, 8, 8, 0.19)
    np.testing.assert_array_equal(attribution_box(attribution), [2, 3, 8, 8])
    np.testing.assert_array_equal(attribution_box(attribution, 0.5), [20, 10, 22, 12])


@pytest.mark.parametrize("attribution", [np.zeros((4, 5), np.float32), np.full((4, 5), -1.0, np.float32)])
def test_where_there_is_no_attribution_there_is_no_box(attribution: Floats) -> None:
    np.testing.assert_array_equal(attribution_box(attribution), np.zeros(4))
    assert localize(attribution, np.array([[2.0, 2, 4, 4]])) == ImageLocalization(0.0, inside=False)


def test_the_best_of_several_boxes_counts_and_pointing_asks_for_the_largest_value_pixel() -> None:
    attribution = blob(2, 3, 6, 4, 0.5)
    attribution[3, 2] = 1.0
    assert localize(attribution, np.array([[20.0, 10, 25, 15], [2, 3, 8, 7]])) == ImageLocalization(1.0, inside=True)
    assert localize(attribution, np.array([[3.0, 3, 8, 7]])) == ImageLocalization(20 / 24, inside=False)
    found = summarize_localization(
        [
            ImageLocalization(0.5, inside=True),
            ImageLocalization(0.49, inside=False),
            ImageLocalization(1.0, inside=True),
        ]
    )
    assert found.images == 3
    assert [found.accuracy, found.pointing, found.mean_overlap] == pytest.approx([2 / 3, 2 / 3, 1.99 / 3])
