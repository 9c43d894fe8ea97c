"""Metrics against scikit-learn, and temperature against scipy's minimizer, on drawn inputs."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as drawn
from scipy.optimize import minimize_scalar  # type: ignore[import-untyped]
from scipy.special import log_softmax  # type: ignore[import-untyped]
from sklearn import metrics as oracle

from convolve.from_scratch.traces.confusion import ConfusionInputs, confusion_trace
from convolve.metrics import calibration, confusion, ranking
from convolve.metrics.confusion import Flags
from convolve.metrics.ranking import Scores
from convolve.values import Indices

CLASSES = st.integers(2, 6)
IMAGES = st.integers(1, 40)
GRADES = st.integers(0, 6).map(lambda grade: grade / 4)
Draw = st.DrawFn
quick = settings(max_examples=60, deadline=None)


@st.composite
def guesses(draw: Draw) -> tuple[Indices, Indices, int]:
    classes, images = draw(CLASSES), draw(IMAGES)
    column = drawn.arrays(np.int64, images, elements=st.integers(0, classes - 1))
    return draw(column), draw(column), classes


@st.composite
def binary(draw: Draw) -> tuple[Scores, Flags]:
    images = draw(st.integers(2, 40))
    return draw(drawn.arrays(np.float64, images, elements=GRADES)), draw(drawn.arrays(np.bool_, images))


@st.composite
def labeled_logits(draw: Draw) -> tuple[Scores, Indices]:
    classes, images = draw(CLASSES), draw(IMAGES)
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    logits = random.normal(size=(images, classes)) * draw(st.floats(0.1, 10))
    return logits.astype(np.float32), random.integers(0, classes, images)


@quick
@given(guesses())
def test_confusion_accuracy_and_class_figures(case: tuple[Indices, Indices, int]) -> None:
    truth, predicted, classes = case
    matrix = confusion.confusion_matrix(truth, predicted, classes)
    np.testing.assert_array_equal(matrix, oracle.confusion_matrix(truth, predicted, labels=range(classes)))
    assert confusion.accuracy(matrix) == pytest.approx(oracle.accuracy_score(truth, predicted))
    figures = confusion.class_metrics(matrix)
    every = oracle.precision_recall_fscore_support(truth, predicted, labels=range(classes), zero_division=0)
    for ours, theirs in zip((figures.precision, figures.recall, figures.f1, figures.support), every, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)


@quick
@given(guesses(), st.sampled_from(["macro", "weighted"]))
def test_averages(case: tuple[Indices, Indices, int], kind: str) -> None:
    truth, predicted, classes = case
    figures = confusion.class_metrics(confusion.confusion_matrix(truth, predicted, classes))
    ours = {"macro": confusion.macro_average, "weighted": confusion.weighted_average}[kind](figures)
    theirs = oracle.precision_recall_fscore_support(truth, predicted, average=kind, zero_division=0)
    assert (ours.precision, ours.recall, ours.f1) == pytest.approx(theirs[:3])


@quick
@given(st.data(), CLASSES, IMAGES)
def test_label_figures(data: st.DataObject, classes: int, images: int) -> None:
    flags = drawn.arrays(np.bool_, (images, classes))
    truth, predicted = data.draw(flags), data.draw(flags)
    figures = confusion.label_metrics(truth.astype(np.uint8), predicted)
    theirs = oracle.precision_recall_fscore_support(truth, predicted, zero_division=0)
    for ours, other in zip((figures.precision, figures.recall, figures.f1, figures.support), theirs, strict=True):
        np.testing.assert_allclose(ours, other, rtol=1e-12)


@quick
@given(labeled_logits(), st.integers(1, 5))
def test_top_k_without_ties(case: tuple[Scores, Indices], k: int) -> None:
    logits, truth = case
    classes = logits.shape[1]
    assume(k < classes)
    theirs = (
        oracle.top_k_accuracy_score(truth, logits, k=k, labels=range(classes))
        if classes > 2
        else oracle.accuracy_score(truth, logits.argmax(1))
    )
    assert ranking.top_k_accuracy(logits, truth, k) == pytest.approx(theirs)


@quick
@given(binary())
def test_roc_auc_and_average_precision_with_ties(case: tuple[Scores, Flags]) -> None:
    scores, truth = case
    assume(0 < truth.sum() < len(truth))
    assert ranking.roc_auc(scores, truth) == pytest.approx(oracle.roc_auc_score(truth, scores))
    assert ranking.average_precision(scores, truth) == pytest.approx(oracle.average_precision_score(truth, scores))


@quick
@given(labeled_logits())
def test_one_against_the_rest(case: tuple[Scores, Indices]) -> None:
    logits, truth = case
    classes = logits.shape[1]
    assume(len(np.unique(truth)) == classes and classes > 2)
    chances = calibration.softmax_with_temperature(logits, 1)
    flags = ranking.one_hot(truth, classes)
    ours = ranking.nanmean(ranking.one_vs_rest(ranking.roc_auc, chances, flags))
    assert ours == pytest.approx(oracle.roc_auc_score(truth, chances, multi_class="ovr", average="macro"))
    ours = ranking.nanmean(ranking.one_vs_rest(ranking.average_precision, chances, flags))
    assert ours == pytest.approx(oracle.average_precision_score(flags, chances, average="macro"))


@quick
@given(labeled_logits())
def test_temperature_is_the_minimum_that_scipy_finds(case: tuple[Scores, Indices]) -> None:
    logits, truth = case
    assume((logits.max(1) > logits[np.arange(len(truth)), truth]).any())

    def loss(logarithm: float) -> float:
        chances = log_softmax(logits.astype(np.float64) / math.exp(logarithm), axis=1)
        return float(-chances[np.arange(len(truth)), truth].mean())

    best = minimize_scalar(loss, bounds=(math.log(0.05), math.log(20)), method="bounded", options={"xatol": 1e-10})
    assert loss(math.log(calibration.fit_temperature(logits, truth))) <= best.fun + 1e-9


@quick
@given(st.integers(1, 200), st.integers(0, 2**32 - 1))
def test_reliability_agrees_with_calibration_curve(images: int, seed: int) -> None:
    from sklearn.calibration import calibration_curve

    random = np.random.default_rng(seed)
    confidence, correct = random.uniform(0.001, 0.999, images), random.random(images) < 0.7
    bins = calibration.reliability(confidence, correct)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shares, means = calibration_curve(correct, confidence, n_bins=15)
    filled = bins.counts > 0
    np.testing.assert_allclose(bins.accuracy[filled], shares)
    np.testing.assert_allclose(bins.confidence[filled], means)


@quick
@given(guesses())
def test_the_worked_confusion_matrix(case: tuple[Indices, Indices, int]) -> None:
    targets, predicted, classes = case
    counts = oracle.confusion_matrix(targets, predicted, labels=range(classes)).astype(np.float64)
    trace = confusion_trace(ConfusionInputs(counts, "scikit-learn"))
    transposed = confusion_trace(ConfusionInputs(counts.T, "lecture"))
    grids, others = ({grid.name: np.array(grid.values) for grid in each.grids} for each in (trace, transposed))
    rates = oracle.precision_recall_fscore_support(targets, predicted, labels=range(classes), zero_division=0)
    for name, expected in zip(("precision", "recall", "F1", "actual"), rates, strict=True):
        np.testing.assert_allclose(grids[name][0], expected, atol=1e-12)
    np.testing.assert_allclose(grids["accuracy"].item(), oracle.accuracy_score(targets, predicted))
    np.testing.assert_allclose(grids["macro"][0], np.mean(rates[:3], axis=1), atol=1e-12)
    for (_, false_alarms), (missed, right), column in zip(
        *np.moveaxis(oracle.multilabel_confusion_matrix(targets, predicted, labels=range(classes)), 1, 0),
        range(classes),
        strict=True,
    ):
        found = [grids[name][0, column] for name in ("FP", "FN", "TP")]
        assert found == [false_alarms, missed, right]
    assert all((grids[name] == others[name]).all() for name in grids if name != "C")
