from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as drawn

from convolve.metrics.confusion import Flags
from convolve.metrics.ranking import (
    Scores,
    average_precision,
    nanmean,
    one_hot,
    one_vs_rest,
    roc_auc,
    top_k_accuracy,
)


@given(drawn.arrays(np.float32, (12, 4), elements=st.sampled_from([0.0, 0.25, 0.5])), st.integers(0, 3))
def test_the_first_of_equals_goes_first_as_in_argmax(scores: Scores, label: int) -> None:
    targets = np.full(12, label)
    assert top_k_accuracy(scores, targets, 1) == (scores.argmax(1) == targets).mean()
    fractions = [top_k_accuracy(scores, targets, k) for k in (1, 2, 3, 4)]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1


def test_top_k_counts_a_true_class_of_nan_as_last() -> None:
    scores = np.array([[np.nan, 0.1, 0.2], [0.3, np.nan, 0.2]])
    assert top_k_accuracy(scores, np.array([0, 0]), 1) == 0
    assert top_k_accuracy(scores, np.array([0, 0]), 2) == 0.5
    assert np.isnan(top_k_accuracy(scores[:0], np.array([], np.int64), 1))


def test_an_absent_class_is_nan_and_left_out_of_the_mean() -> None:
    scores = np.array([[0.9, 0.1, 0.4], [0.2, 0.8, 0.6], [0.7, 0.3, 0.1]])
    flags = one_hot(np.array([0, 1, 0]), 3)
    assert flags.sum(1).tolist() == [1, 1, 1]
    for metric in (roc_auc, average_precision):
        values = one_vs_rest(metric, scores, flags)
        assert values[:2].tolist() == [1, 1]
        assert np.isnan(values[2])
        assert nanmean(values) == 1
    assert np.isnan(roc_auc(scores[:, 0], np.ones(3, np.uint8)))
    assert nanmean(np.array([0.5, np.nan, 0.25])) == 0.375
    assert np.isnan(nanmean(np.array([np.nan])))
    assert np.isnan(nanmean(np.zeros(0)))


@pytest.mark.parametrize("metric", [roc_auc, average_precision])
def test_scores_that_are_not_finite(metric: Callable[[Scores, Flags], float]) -> None:
    flags = np.array([True, False, True, False])
    assert metric(np.array([0.0, -np.inf, -1.0, -0.5]), flags) == metric(np.array([3.0, 0.0, 1.0, 2.0]), flags) < 1
    assert np.isnan(metric(np.array([0.0, np.nan, -1.0, -2.0]), flags))


@given(drawn.arrays(np.float64, 20, elements=st.integers(-5, 5).map(float)), drawn.arrays(np.bool_, 20))
def test_roc_auc_of_the_reverse_is_the_complement(scores: Scores, targets: Flags) -> None:
    forward, backward = roc_auc(scores, targets), roc_auc(-scores, targets)
    assert np.isnan(forward) == (targets.all() or not targets.any())
    assert np.isnan(forward) or forward + backward == pytest.approx(1)
