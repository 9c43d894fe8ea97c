"""Verification, against scikit-learn's ROC curve and plain counting."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from convolve.metrics.verification import Verification, distances_between, verify


def example(same: int = 300, different: int = 2500, seed: int = 0, decimals: int = 2) -> Verification:
    """Distances with ties."""
    random = np.random.default_rng(seed)
    near, far = random.normal(0.6, 0.2, same).clip(0, 2), random.normal(1.2, 0.25, different).clip(0, 2)
    return Verification(np.sort(near.round(decimals)), np.sort(far.round(decimals)))


def test_the_curve_is_scikit_learns() -> None:
    pairs = example()
    labels = np.repeat([1, 0], [len(pairs.same), len(pairs.different)])
    scores = -np.concatenate([pairs.same, pairs.different])
    far, tar, _ = roc_curve(labels, scores, drop_intermediate=False)
    found = pairs.curve()
    assert np.allclose(found[0], far)
    assert np.allclose(found[1], tar)
    assert pairs.roc_auc() == pytest.approx(roc_auc_score(labels, scores))
    crossing = np.abs(far - (1 - tar)).argmin()
    assert pairs.equal_error_rate() == pytest.approx((far[crossing] + 1 - tar[crossing]) / 2)


@pytest.mark.parametrize("allowed", [1e-2, 1e-3])
def test_tar_at_far_is_the_best_of_all_thresholds(allowed: float) -> None:
    pairs = example()
    best = 0.0
    for threshold in [*pairs.same, *pairs.different, 2.1]:
        accepted = sum(distance < threshold for distance in pairs.different) / len(pairs.different)
        if accepted <= allowed:
            best = max(best, sum(distance < threshold for distance in pairs.same) / len(pairs.same))
    assert pairs.tar_at(allowed) == pytest.approx(best)
    assert pairs.rates(pairs.threshold_at(allowed))[0] <= allowed


def test_with_too_few_pairs_it_is_undefined() -> None:
    assert math.isnan(example(different=999).tar_at(1e-3))
    assert not math.isnan(example(different=1000).tar_at(1e-3))
    nothing = Verification(np.empty(0), np.array([1.0]))
    assert all(math.isnan(value) for value in (nothing.roc_auc(), nothing.equal_error_rate(), nothing.tar_at(1.0)))


def test_the_threshold_is_the_first_pair_that_is_refused() -> None:
    pairs = Verification(np.array([0.1, 0.5]), np.linspace(0.4, 1.39, 100))
    assert pairs.threshold_at(0.01) == pytest.approx(0.41)
    assert pairs.rates(0.41) == (0.01, 0.5)
    assert pairs.threshold_at(1.0) == 2.0


def test_all_pairs_are_compared_once() -> None:
    random = np.random.default_rng(2)
    vectors = random.normal(size=(9, 4))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    labels = np.array([0, 0, 0, 1, 1, 2, 2, 2, 3])
    found = verify(vectors.astype(np.float32), labels)
    same: list[float] = []
    different: list[float] = []
    for first in range(9):
        for second in range(first):
            distance = float(np.linalg.norm(vectors[first] - vectors[second]))
            (same if labels[first] == labels[second] else different).append(distance)
    assert np.allclose(found.same, sorted(same), atol=1e-6)
    assert np.allclose(found.different, sorted(different), atol=1e-6)
    assert distances_between(vectors[:1].astype(np.float32), -vectors[:1].astype(np.float32))[0, 0] == pytest.approx(2)
