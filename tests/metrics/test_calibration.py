from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convolve.errors import OptionError
from convolve.metrics.calibration import (
    fit_temperature,
    reject_threshold,
    reliability,
    softmax_with_temperature,
)
from convolve.metrics.intervals import accuracy_interval, least_images
from convolve.metrics.ranking import Scores
from convolve.values import Indices


def answers(seed: int, images: int = 200, classes: int = 4) -> tuple[Scores, Indices]:
    """Logits, and targets drawn from their softmax: perfectly calibrated but for chance."""
    random = np.random.default_rng(seed)
    logits = random.normal(size=(images, classes)) * 2
    probabilities = softmax_with_temperature(logits, 1).cumsum(1)
    return logits, np.minimum((probabilities < random.random((images, 1))).sum(1), classes - 1)


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
    logits, targets = answers(1, images=4000)
    found = fit_temperature(logits, targets)
    assert found == pytest.approx(1, abs=0.05)
    assert fit_temperature(logits * 3, targets) == pytest.approx(3 * found, rel=1e-5)
    probabilities = softmax_with_temperature(logits, 1)
    assert fit_temperature(np.log(probabilities), targets) == pytest.approx(found, rel=1e-5)


def test_temperature_lowers_the_error_of_an_overconfident_network() -> None:
    logits, targets = answers(2, images=2000)
    temperatures = (1, fit_temperature(logits * 4, targets))
    before, after = (softmax_with_temperature(logits * 4, temperature) for temperature in temperatures)
    errors = [reliability(scores.max(1), scores.argmax(1) == targets).error for scores in (before, after)]
    assert errors[1] < errors[0] / 3


def test_temperature_of_several_labels_as_pairs() -> None:
    logits, targets = answers(3, images=3000, classes=2)
    single = (logits[:, 1] - logits[:, 0]) * 2
    pairs = np.stack([np.zeros_like(single), single], -1)
    assert fit_temperature(pairs, targets) == pytest.approx(2, abs=0.15)


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


def test_temperature_of_a_diverged_network_is_left_alone() -> None:
    assert fit_temperature(np.array([[np.nan, 1], [2, 1]]), np.array([0, 1])) == 1


def falling(wrong: Sequence[int], images: int) -> tuple[Scores, Indices]:
    """Probabilities of two classes, less sure from image to image, and targets that differ for the images ``wrong``."""
    confidence = np.linspace(1, 0.51, images)
    targets = np.zeros(images, np.int64)
    targets[list(wrong)] = 1
    return np.stack([confidence, 1 - confidence], 1), targets


@pytest.mark.parametrize(("images", "enough"), [(3, False), (380, False), (381, True)])
def test_the_least_images_that_show_99_percent(images: int, enough: bool) -> None:
    found = reject_threshold(*falling([], images), 0.99)
    assert (found is not None) == enough
    if found:
        assert (found.threshold, found.coverage, found.accuracy, found.images) == (0, 1, 1, images)
        assert found.interval.lower >= 0.99


def test_a_threshold_ends_where_the_images_no_longer_show_it() -> None:
    probabilities, targets = falling(range(450, 600), 600)
    found = reject_threshold(probabilities, targets, 0.99)
    assert found is not None
    assert (found.images, found.accuracy, found.coverage) == (450, 1, 0.75)
    assert found.threshold == probabilities[449, 0]


def test_equal_confidences_stand_or_fall_together() -> None:
    probabilities, targets = falling(range(450, 600), 600)
    probabilities[440:500] = probabilities[440]
    found = reject_threshold(probabilities, targets, 0.99)
    assert found is not None
    assert (found.images, found.threshold) == (440, probabilities[439, 0])


def test_one_error_among_the_most_confident_images_does_not_decide() -> None:
    """It ends the walk that starts at 381 images, and the one from 568 images on, of three; a later one bears it."""
    assert reject_threshold(*falling([2], 900), 0.99) is None
    found = reject_threshold(*falling([2], 2500), 0.99)
    assert found is not None
    assert (found.images, found.accuracy) == (2500, 1 - 1 / 2500)


@pytest.mark.parametrize("images", [400, 3000])
def test_what_is_not_so_is_rarely_claimed(images: int) -> None:
    """Of answers that are right 98.9 times of 100 whatever the confidence, 99 % may be claimed in 2.5 % of the cases;
    the best of all thresholds would claim it nearly always.
    """
    random = np.random.default_rng(5)
    claims, best = 0, 0
    for _ in range(200):
        probabilities, targets = falling(np.flatnonzero(random.random(images) > 0.989).tolist(), images)
        claims += reject_threshold(probabilities, targets, 0.99) is not None
        right = np.cumsum(targets == 0) / np.arange(1, images + 1)
        best += bool((right[30:] >= 0.99).any())
    assert claims <= 10
    assert best > 100


def test_no_images_give_no_threshold() -> None:
    assert reject_threshold(np.zeros((0, 2)), np.zeros(0, np.int64), 0.9) is None


@pytest.mark.parametrize("accuracy", [0, 1, 95])
def test_an_accuracy_that_is_no_fraction_is_refused(accuracy: float) -> None:
    with pytest.raises(OptionError, match=rf"{accuracy} does not; write 0\.95"):
        reject_threshold(np.ones((1, 1)), np.zeros(1, np.int64), accuracy)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.5, 0.9), st.integers(1, 400))
def test_a_claim_is_borne_by_its_images(seed: int, accuracy: float, images: int) -> None:
    logits, targets = answers(seed, images)
    probabilities = np.round(softmax_with_temperature(logits, 1), 2)
    confidence, right = probabilities.max(1), probabilities.argmax(1) == targets
    found = reject_threshold(probabilities, targets, accuracy)
    if found is not None:
        above = confidence >= found.threshold
        assert (found.coverage, found.accuracy) == pytest.approx((above.mean(), right[above].mean()))
        assert found.images == above.sum() >= least_images(accuracy)
        assert found.interval == accuracy_interval(int(right[above].sum()), int(above.sum()))
        assert found.interval.lower >= accuracy
