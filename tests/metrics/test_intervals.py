"""Wilson's interval against scipy's, and against the equation that it solves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, norm  # type: ignore[import-untyped]

from convolve.metrics.intervals import accuracy_interval, least_images, wilson_interval

CONFIDENCES = st.sampled_from([0.5, 0.9, 0.95, 0.99, 0.9998])


@st.composite
def counts(draw: st.DrawFn) -> tuple[int, int]:
    total = draw(st.integers(1, 100_000))
    return draw(st.integers(0, total)), total


@given(counts(), CONFIDENCES)
def test_it_is_scipy_s(case: tuple[int, int], confidence: float) -> None:
    found = accuracy_interval(*case, confidence)
    theirs = binomtest(*case).proportion_ci(confidence, method="wilson")
    assert found == pytest.approx((theirs.low, theirs.high), abs=1e-12)


@given(counts(), CONFIDENCES)
def test_its_ends_are_where_the_score_test_just_rejects(case: tuple[int, int], confidence: float) -> None:
    """Wilson 1927: the p for which |successes / n - p| is z standard deviations of a proportion of n under p."""
    successes, total = case
    z = norm.ppf((1 + confidence) / 2)
    found = accuracy_interval(successes, total, confidence)
    assert 0 <= found.lower <= successes / total <= found.upper <= 1
    for end in found:
        if 0 < end < 1:
            distance = abs(successes / total - end)
            assert distance == pytest.approx(z * np.sqrt(end * (1 - end) / total), rel=1e-6, abs=1e-9)


def test_known_values() -> None:
    """Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, method 3."""
    for successes, total, ends in (
        (81, 263, (0.2553, 0.3662)),
        (15, 148, (0.0624, 0.1605)),
        (0, 20, (0.0, 0.1611)),
        (1, 29, (0.0061, 0.1718)),
    ):
        assert accuracy_interval(successes, total) == pytest.approx(ends, abs=5e-5)


def test_arrays_and_no_images() -> None:
    lower, upper = wilson_interval(np.array([3, 0, 0]), np.array([3, 4, 0]))
    assert [lower[0], upper[0]] == list(accuracy_interval(3, 3))
    assert lower[1] == 0
    assert upper[0] == 1
    assert np.isnan([lower[2], upper[2], *accuracy_interval(0, 0)]).all()


@pytest.mark.parametrize("accuracy", [0.5, 0.9, 0.95, 0.99, 0.999])
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_one_image_less_than_the_least_does_not_do(accuracy: float, confidence: float) -> None:
    least = least_images(accuracy, confidence)
    assert accuracy_interval(least, least, confidence).lower >= accuracy
    assert accuracy_interval(least - 1, least - 1, confidence).lower < accuracy


def test_99_percent_take_381_images() -> None:
    assert least_images(0.99) == 381
