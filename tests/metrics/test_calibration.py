import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convolve.errors import OptionError
from convolve.metrics.calibration import (
    fit_temperature,
    reject_threshold,
    reliability,
    with_temperature,
)
from convolve.metrics.ranking import Scores
from convolve.values import Indices


def answers(seed: int, images: int = 200, classes: int = 4) -> tuple[Scores, Indices]:
    """Logits, and truths drawn from their softmax: perfectly calibrated but for chance."""
    random = np.random.default_rng(seed)
    logits = random.normal(size=(images, classes)) * 2
    chances = with_temperature(logits, 1).cumsum(1)
    return logits, np.minimum((chances < random.random((images, 1))).sum(1), classes - 1)


def test_the_error_of_a_worked_example() -> None:
    confidence = np.array([0.55, 0.58, 0.95, 0.98, 0.99])
    bins = reliability(confidence, np.array([True, False, True, True, True]), bins=10)
    assert bins.counts.tolist() == [0, 0, 0, 0, 0, 2, 0, 0, 0, 3]
    assert bins.error == pytest.approx(2 / 5 * abs(0.5 - 0.565) + 3 / 5 * abs(1 - 2.92 / 3))
    assert np.isnan(bins.accuracy[0])


def test_a_confidence_on_an_edge_belongs_to_the_bin_below() -> None:
    bins = reliability(np.array([0.0, 0.5, 1.0]), np.array([False, True, True]), bins=2)
    assert bins.counts.tolist() == [2, 1]


def test_no_images_have_no_error() -> None:
    assert np.isnan(reliability(np.array([]), np.array([], bool)).error)


def test_temperature_undoes_what_was_multiplied() -> None:
    logits, truth = answers(1, images=4000)
    found = fit_temperature(logits, truth)
    assert found == pytest.approx(1, abs=0.05)
    assert fit_temperature(logits * 3, truth) == pytest.approx(3 * found, rel=1e-5)
    chances = with_temperature(logits, 1)
    assert fit_temperature(np.log(chances), truth) == pytest.approx(found, rel=1e-5)


def test_temperature_lowers_the_error_of_an_overconfident_network() -> None:
    logits, truth = answers(2, images=2000)
    before, after = (with_temperature(logits * 4, heat) for heat in (1, fit_temperature(logits * 4, truth)))
    errors = [reliability(scores.max(1), scores.argmax(1) == truth).error for scores in (before, after)]
    assert errors[1] < errors[0] / 3


def test_temperature_of_several_labels_as_pairs() -> None:
    logits, truth = answers(3, images=3000, classes=2)
    single = (logits[:, 1] - logits[:, 0]) * 2
    pairs = np.stack([np.zeros_like(single), single], -1)
    assert fit_temperature(pairs, truth) == pytest.approx(2, abs=0.15)


def test_temperature_where_nothing_determines_it() -> None:
    logits = np.eye(3) * 5
    assert fit_temperature(logits, np.arange(3)) == 1
    assert fit_temperature(logits[:0], np.array([], np.int64)) == 1
    assert fit_temperature(np.zeros((3, 2)), np.array([0, 1, 1])) == 1
    assert fit_temperature(logits, np.array([1, 2, 0])) == 20


def test_temperature_survives_probabilities_of_zero() -> None:
    with np.errstate(divide="ignore"):
        scores = np.log(np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.8, 0.2]], np.float32))
    assert 1 < fit_temperature(scores, np.array([0, 1, 1, 0])) <= 20


def test_rejecting_the_doubtful() -> None:
    scores = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4], [0.45, 0.55]])
    truth = np.array([0, 0, 1, 1, 0])
    reject = reject_threshold(scores, truth, 0.75)
    assert reject is not None
    assert (reject.threshold, reject.coverage, reject.accuracy) == (0.6, 0.8, 0.75)
    everything = reject_threshold(scores, truth, 0.6)
    assert everything is not None
    assert (everything.threshold, everything.coverage) == (0, 1)
    assert reject_threshold(scores[3:], truth[3:], 0.75) is None
    assert reject_threshold(scores[:0], truth[:0], 0.75) is None


def test_a_wanted_accuracy_in_per_cent_is_refused() -> None:
    with pytest.raises(OptionError, match=r"95 does not; write 0\.95"):
        reject_threshold(np.ones((1, 1)), np.zeros(1, np.int64), 95)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.3, 1))
def test_what_is_kept_reaches_the_wanted_accuracy_and_no_lower_threshold_does(seed: int, wanted: float) -> None:
    logits, truth = answers(seed, images=60)
    scores = np.round(with_temperature(logits, 1), 1)
    confidence, right = scores.max(1), scores.argmax(1) == truth
    reached = [level for level in np.unique(confidence) if right[confidence >= level].mean() >= wanted - 1e-9]
    reject = reject_threshold(scores, truth, wanted)
    if reject is None:
        assert not reached
    else:
        kept = confidence >= reject.threshold
        assert (reject.coverage, reject.accuracy) == pytest.approx((kept.mean(), right[kept].mean()))
        assert kept.sum() == (confidence >= min(reached)).sum()
