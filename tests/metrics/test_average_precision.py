"""Average precision from the ranks of true detections, against curves that are followed point by point."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convolve.metrics.average_precision import (
    COCO_POINTS,
    ELEVEN_POINTS,
    area_under_envelope,
    mean_precision_at,
    precision_envelope,
)
from convolve.metrics.confusion import Fractions


def _by_points(true: list[bool], positives: int, points: Fractions) -> float:
    recall, precision = np.cumsum(true) / positives, np.cumsum(true) / np.arange(1, len(true) + 1)
    return float(
        np.mean([max((p for r, p in zip(recall, precision, strict=True) if r >= x), default=0) for x in points])
    )


def _by_steps(true: list[bool], positives: int) -> float:
    precision = np.cumsum(true) / np.arange(1, len(true) + 1)
    return sum(float(precision[index:].max()) / positives for index, flag in enumerate(true) if flag)


@pytest.mark.parametrize("points", [ELEVEN_POINTS, COCO_POINTS], ids=["11", "101"])
@given(true=st.lists(st.booleans(), max_size=40), missed=st.integers(0, 20))
def test_it_is_the_mean_of_the_greatest_precision_at_each_recall(
    points: Fractions, true: list[bool], missed: int
) -> None:
    positives, ranks = sum(true) + missed, np.flatnonzero(true)
    found = mean_precision_at(points, np.arange(1, len(ranks) + 1), ranks + 1, positives)
    area = area_under_envelope(np.arange(1, len(ranks) + 1), ranks + 1, positives)
    if positives:
        np.testing.assert_allclose(found, _by_points(true, positives, points), atol=1e-12)
        np.testing.assert_allclose(area, _by_steps(true, positives), atol=1e-12)
    else:
        assert np.isnan([found, area]).all()


def test_columns_are_measured_alone() -> None:
    hits, counted = np.array([[1, 0], [2, 1]]), np.array([[1, 0], [4, 2]])
    found = mean_precision_at(COCO_POINTS, hits, counted, np.array([2, 0]))
    assert found[0] == mean_precision_at(COCO_POINTS, hits[:, 0], counted[:, 0], 2)
    assert np.isnan(found[1])
    assert precision_envelope(hits, counted).tolist() == [[1, 0.5], [0.5, 0.5]]


def test_without_true_detections_it_is_0() -> None:
    none = np.zeros(0, np.int64)
    assert mean_precision_at(COCO_POINTS, none, none, 3) == 0
    assert area_under_envelope(none, none, 3) == 0


def test_the_points_are_those_of_the_programs() -> None:
    assert ELEVEN_POINTS.tolist()[3] == 0.30000000000000004
    assert (len(ELEVEN_POINTS), len(COCO_POINTS), COCO_POINTS[-1]) == (11, 101, 1.0)
