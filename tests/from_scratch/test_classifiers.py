"""Nearest neighbors, the linear SVM and the softmax classifier against scikit-learn."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import pairwise_distances
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

from convolve.from_scratch.arrays import Array, Labels
from convolve.from_scratch.classifiers import (
    LinearClassifier,
    distances_no_loop,
    distances_one_loop,
    distances_two_loops,
    linear_svm,
    softmax_classifier,
    vote,
)
from convolve.from_scratch.gradient_check import check_model
from convolve.from_scratch.layers import Initialization
from convolve.from_scratch.optimizers import Adam, GradientDescent, Momentum, Optimizer
from convolve.from_scratch.training import LabeledData, accuracy, train


def initialization(seed: int = 0) -> Initialization:
    return Initialization(np.random.default_rng(seed), np.float64)


def digits(classes: int, count: int) -> LabeledData:
    bunch = load_digits(n_class=classes)
    return LabeledData(bunch.data[:count] / 16, bunch.target[:count])


@settings(max_examples=20)
@given(st.integers(0, 2**16), st.integers(1, 6), st.integers(1, 8), st.integers(1, 5))
def test_distances_three_ways(seed: int, queries: int, known: int, features: int) -> None:
    random = np.random.default_rng(seed)
    x, others = random.standard_normal((queries, features)), random.standard_normal((known, features))
    expected = pairwise_distances(x, others)
    for distances in (distances_two_loops, distances_one_loop, distances_no_loop):
        np.testing.assert_allclose(distances(x, others), expected, rtol=1e-9, atol=1e-7)


@pytest.mark.parametrize("neighbors", [1, 2, 5])
def test_nearest_neighbors_predict_as_scikit_learn(neighbors: int) -> None:
    data = digits(10, 600)
    known, labels, queries = data.x[:400], data.labels[:400], data.x[400:]
    oracle = KNeighborsClassifier(neighbors, algorithm="brute").fit(known, labels)
    actual = vote(distances_no_loop(queries, known), labels, neighbors)
    np.testing.assert_array_equal(actual, oracle.predict(queries))


def test_a_tie_goes_to_the_smaller_class_and_too_many_neighbors_are_refused() -> None:
    distances, labels = np.array([[1.0, 2, 3, 4]]), np.array([2, 1, 1, 2])
    assert vote(distances, labels, 4).tolist() == [1]
    for neighbors in (0, 5):
        with pytest.raises(ValueError, match=f"^neighbors is {neighbors}; with 4 examples it must be from 1 to 4"):
            vote(distances, labels, neighbors)


def test_softmax_classifier_reaches_the_probabilities_of_logistic_regression() -> None:
    data, penalty = digits(4, 300), 0.01
    model = softmax_classifier(initialization(), 64, 4, penalty)
    list(train(model, data, Optimizer(Momentum(0.3)), epochs=2000, batch_size=None))
    oracle = LogisticRegression(C=1 / (2 * penalty * 300), tol=1e-8, max_iter=2000).fit(data.x, data.labels)
    scores = model.scores(data.x)
    powers = np.exp(scores)
    np.testing.assert_allclose(powers / powers.sum(1, keepdims=True), oracle.predict_proba(data.x), atol=1e-4)


def objective(x: Array, labels: Labels, w: Array, b: float, penalty: float) -> float:
    """Of a two-class SVM: penalty / 2 · |w|² + mean hinge; the two columns of ours are ∓w / 2."""
    signs = 2 * labels - 1
    return float(penalty / 2 * (w @ w) + np.maximum(1 - signs * (x @ w + b), 0).mean())


def test_linear_svm_comes_to_the_minimum_of_scikit_learn() -> None:
    bunch, penalty = load_digits(n_class=10), 0.01
    chosen = np.isin(bunch.target, (3, 8))
    x, labels = bunch.data[chosen][:200] / 16, (bunch.target[chosen][:200] == 8).astype(np.int64)
    model = linear_svm(initialization(), 64, 2, penalty)
    for learning_rate in (0.3, 0.1, 0.03, 0.01, 0.003, 0.001):
        list(
            train(model, LabeledData(x, labels), Optimizer(GradientDescent(learning_rate)), epochs=600, batch_size=None)
        )
    oracle = SVC(kernel="linear", C=1 / (penalty * 200), tol=1e-6).fit(x, labels)
    w, b = model.parameters.values()
    actual = objective(x, labels, w[:, 1] - w[:, 0], float(b[1] - b[0]), penalty)
    least = objective(x, labels, oracle.coef_[0], float(oracle.intercept_[0]), penalty)
    assert least <= actual + 1e-9
    assert actual == pytest.approx(least, rel=0.01)
    assert (model.scores(x).argmax(1) == oracle.predict(x)).mean() >= 0.99


@pytest.mark.parametrize("build", [linear_svm, softmax_classifier])
def test_gradients_with_the_penalty(build: Callable[..., LinearClassifier]) -> None:
    data = digits(3, 5)
    errors = check_model(build(initialization(), 64, 3, 0.1), data.x, data.labels)
    assert set(errors) == {"w", "b"}
    assert max(errors.values()) < 1e-6


def test_linear_svm_learns_ten_digits() -> None:
    data = digits(10, 1797)
    train_data, test_data = (
        LabeledData(data.x[:1400], data.labels[:1400]),
        LabeledData(data.x[1400:], data.labels[1400:]),
    )
    model = linear_svm(initialization(), 64, 10, 1e-4)
    losses = list(train(model, train_data, Optimizer(Adam(0.01)), epochs=30))
    assert losses[-1] < 0.1 * losses[0]
    assert accuracy(model, test_data, batch_size=100) > 0.88
