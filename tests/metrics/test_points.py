"""Errors of points by hand and by properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convolve.metrics.points import (
    error_intervals,
    image_errors,
    mean_pck,
    normalized_mean_error,
    pck,
    point_errors,
)

TRUE = np.array([[[0.0, 0.0], [10.0, 0.0]], [[5.0, 5.0], [9.0, 9.0]]])
LABELED = np.array([[True, True], [True, False]])
LENGTHS = np.array([10.0, 2.0])
FOUND = TRUE + np.array([[[3.0, 4.0], [0.0, 1.0]], [[0.0, 1.0], [100.0, 100.0]]])
ERRORS = point_errors(FOUND, TRUE, LABELED, LENGTHS)


def test_by_hand() -> None:
    assert pytest.approx(np.array([[0.5, 0.1], [0.5, np.nan]]), nan_ok=True) == ERRORS
    assert image_errors(ERRORS) == pytest.approx([0.3, 0.5])
    assert normalized_mean_error(ERRORS) == pytest.approx(0.4)  # images count alike, whatever their points
    assert pck(ERRORS, 0.1) == pytest.approx(1 / 3)
    assert pck(ERRORS, 0.5) == 1
    assert mean_pck(ERRORS) == pytest.approx((0.5 + 0.9 + 0.5) / 3)


def test_an_image_without_a_length_is_not_measured() -> None:
    errors = point_errors(FOUND, TRUE, LABELED, np.array([10.0, np.nan]))
    assert normalized_mean_error(errors) == pytest.approx(0.3)
    assert mean_pck(errors) == pytest.approx(0.7)


def test_nothing_labeled_is_undefined() -> None:
    errors = np.full((2, 3), np.nan)
    assert np.isnan([normalized_mean_error(errors), pck(errors, 0.1), mean_pck(errors)]).all()
    assert np.isnan(error_intervals(errors, {"nme": normalized_mean_error})["nme"]).all()


@given(st.integers(0, 2**32 - 1))
def test_mean_pck_is_the_mean_of_pck(seed: int) -> None:
    errors = np.random.default_rng(seed).exponential(0.5, (4, 5))
    thresholds = (np.arange(2000) + 0.5) / 2000
    assert mean_pck(errors) == pytest.approx(np.mean([pck(errors, each) for each in thresholds]), abs=1e-3)


@given(st.integers(0, 2**32 - 1), st.floats(0.1, 100))
def test_scale_does_not_matter(seed: int, scale: float) -> None:
    random = np.random.default_rng(seed)
    true, found = random.random((2, 3, 4, 2)) * 100
    lengths, labeled = random.uniform(1, 50, 3), np.ones((3, 4), dtype=bool)
    one = point_errors(found, true, labeled, lengths)
    assert point_errors(found * scale, true * scale, labeled, lengths * scale) == pytest.approx(one)


def test_intervals_cover_the_mean_as_often_as_they_say() -> None:
    """Of 200 samples of 60 images from one distribution."""
    random = np.random.default_rng(0)
    hits = 0
    for _ in range(200):
        errors = random.exponential(0.2, (60, 1)) + random.exponential(0.05, (60, 4))
        low, high = error_intervals(errors, {"nme": normalized_mean_error}, replicates=200)["nme"]
        hits += low <= 0.25 <= high
    assert 0.88 <= hits / 200 <= 0.99


def test_images_are_drawn_whole() -> None:
    """Points of an image are alike: their number must not make an interval narrow."""
    images = np.random.default_rng(0).exponential(0.2, (20, 1))
    few, many = (
        error_intervals(np.repeat(images, count, 1), {"pck": lambda errors: pck(errors, 0.2)})["pck"]
        for count in (1, 50)
    )
    assert (many.upper - many.lower) == pytest.approx(few.upper - few.lower, rel=0.05)
