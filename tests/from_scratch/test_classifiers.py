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
from convolve.from_scratch.checking import check_model
from convolve.from_scratch.layers import Draw
from convolve.from_scratch.linear import LinearClassifier, linear_svm, softmax_classifier
from convolve.from_scratch.neighbors import distances_no_loop, distances_one_loop, distances_two_loops, vote
from convolve.from_scratch.optimizers import Adam, GradientDescent, Momentum, Optimizer
from convolve.from_scratch.trainer import Examples, Plan, accuracy, train


def draw(seed: int = 0) -> Draw:
    return Draw(np.random.default_rng(seed), np.float64)


def digits(classes: int, count: int) -> Examples:
    bunch = load_digits(n_class=classes)
    return Examples(bunch.data[:count] / 16, bunch.target[:count])


@settings(max_examples=20)
@given(st.integers(0, 2**16), st.integers(1, 6), st.integers(1, 8), st.integers(1, 5))
def test_distances_three_ways(seed: int, asked: int, known: int, features: int) -> None:
    random = np.random.default_rng(seed)
    x, others = random.standard_normal((asked, features)), random.standard_normal((known, features))
    expected = pairwise_distances(x, others)
    for distances in (distances_two_loops, distances_one_loop, distances_no_loop):
        np.testing.assert_allclose(distances(x, others), expected, rtol=1e-9, atol=1e-7)


@pytest.mark.parametrize("neighbors", [1, 2, 5])
def test_nearest_neighbors_guess_as_scikit_learn(neighbors: int) -> None:
    examples = digits(10, 600)
    known, labels, asked = examples.x[:400], examples.labels[:400], examples.x[400:]
    oracle = KNeighborsClassifier(neighbors, algorithm="brute").fit(known, labels)
    found = vote(distances_no_loop(asked, known), labels, neighbors)
    np.testing.assert_array_equal(found, oracle.predict(asked))


def test_a_tie_goes_to_the_smaller_class_and_too_many_neighbors_are_refused() -> None:
    distances, labels = np.array([[1.0, 2, 3, 4]]), np.array([2, 1, 1, 2])
    assert vote(distances, labels, 4).tolist() == [1]
    for neighbors in (0, 5):
        with pytest.raises(ValueError, match=f"^{neighbors} neighbors cannot be found among 4"):
            vote(distances, labels, neighbors)


def test_softmax_classifier_reaches_the_probabilities_of_logistic_regression() -> None:
    examples, penalty = digits(4, 300), 0.01
    model = softmax_classifier(draw(), 64, 4, penalty)
    list(train(model, examples, Optimizer(Momentum(0.3)), Plan(2000, None)))
    oracle = LogisticRegression(C=1 / (2 * penalty * 300), tol=1e-8, max_iter=2000).fit(examples.x, examples.labels)
    scores = model.scores(examples.x)
    powers = np.exp(scores)
    np.testing.assert_allclose(powers / powers.sum(1, keepdims=True), oracle.predict_proba(examples.x), atol=1e-4)


def objective(x: Array, labels: Labels, w: Array, b: float, penalty: float) -> float:
    """Of a two-class SVM: penalty / 2 · |w|² + mean hinge; the two columns of ours are ∓w / 2."""
    signs = 2 * labels - 1
    return float(penalty / 2 * (w @ w) + np.maximum(1 - signs * (x @ w + b), 0).mean())


def test_linear_svm_comes_to_the_minimum_of_scikit_learn() -> None:
    bunch, penalty = load_digits(n_class=10), 0.01
    chosen = np.isin(bunch.target, (3, 8))
    x, labels = bunch.data[chosen][:200] / 16, (bunch.target[chosen][:200] == 8).astype(np.int64)
    model = linear_svm(draw(), 64, 2, penalty)
    for rate in (0.3, 0.1, 0.03, 0.01, 0.003, 0.001):
        list(train(model, Examples(x, labels), Optimizer(GradientDescent(rate)), Plan(600, None)))
    oracle = SVC(kernel="linear", C=1 / (penalty * 200), tol=1e-6).fit(x, labels)
    w, b = model.parameters.values()
    found = objective(x, labels, w[:, 1] - w[:, 0], float(b[1] - b[0]), penalty)
    least = objective(x, labels, oracle.coef_[0], float(oracle.intercept_[0]), penalty)
    assert least <= found + 1e-9
    assert found == pytest.approx(least, rel=0.01)
    assert (model.scores(x).argmax(1) == oracle.predict(x)).mean() >= 0.99


@pytest.mark.parametrize("build", [linear_svm, softmax_classifier])
def test_gradients_with_the_penalty(build: Callable[..., LinearClassifier]) -> None:
    examples = digits(3, 5)
    errors = check_model(build(draw(), 64, 3, 0.1), examples.x, examples.labels)
    assert set(errors) == {"w", "b"}
    assert max(errors.values()) < 1e-6


def test_linear_svm_learns_ten_digits() -> None:
    examples = digits(10, 1797)
    known, asked = (
        Examples(examples.x[:1400], examples.labels[:1400]),
        Examples(examples.x[1400:], examples.labels[1400:]),
    )
    model = linear_svm(draw(), 64, 10, 1e-4)
    losses = list(train(model, known, Optimizer(Adam(0.01)), Plan(30)))
    assert losses[-1] < 0.1 * losses[0]
    assert accuracy(model, asked, batch=100) > 0.88
