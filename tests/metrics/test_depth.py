"""Metrics of depth maps against scikit-learn's and against plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_percentage_error, root_mean_squared_error, root_mean_squared_log_error

from convolve.metrics.depth import DEPTH_METRICS, depth_metrics

_RANDOM = np.random.default_rng(0)
TRUE, FOUND = _RANDOM.uniform(0.5, 80, 500), _RANDOM.uniform(0.5, 80, 500)


def test_errors_are_scikit_learns() -> None:
    found = depth_metrics(FOUND, TRUE)
    assert found["abs_rel"] == pytest.approx(mean_absolute_percentage_error(TRUE, FOUND))
    assert found["rmse"] == pytest.approx(root_mean_squared_error(TRUE, FOUND))
    assert found["rmse_log"] == pytest.approx(root_mean_squared_log_error(TRUE - 1, FOUND - 1))  # it takes log(1 + x)
    assert found["log10"] == pytest.approx(
        math.fsum(abs(math.log10(p / t)) for p, t in zip(FOUND, TRUE, strict=True)) / 500
    )
    assert found["sq_rel"] == pytest.approx(math.fsum((p - t) ** 2 / t for p, t in zip(FOUND, TRUE, strict=True)) / 500)


@pytest.mark.parametrize("power", [1, 2, 3])
def test_accuracies_count_ratios_in_both_directions(power: int) -> None:
    limit = 1.25**power
    inside = sum(1 for p, t in zip(FOUND, TRUE, strict=True) if 1 / limit < p / t < limit)
    assert depth_metrics(FOUND, TRUE)[f"delta{power}"] == inside / 500
    edge = np.array([limit, 1.0])
    assert depth_metrics(edge, edge[::-1])[f"delta{power}"] == 0  # less, not equal


def test_of_no_pixel_nothing_is_known() -> None:
    found = depth_metrics(np.empty(0), np.empty(0))
    assert tuple(found) == DEPTH_METRICS
    assert all(map(math.isnan, found.values()))
