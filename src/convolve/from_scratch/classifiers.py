"""Nearest neighbors, the linear SVM and the softmax classifier: assignment 1 of CS231n, the lecture's homework.

k nearest neighbors needs no training; all the work is in the distances, computed here with two loops, one, and none.
``x`` (N, D) are the queries, ``known`` (M, D) the labeled examples. A linear classifier is the score function
f = x·W + b with a loss: `HINGE` makes it the multiclass linear SVM, `SOFTMAX` the softmax classifier.
"""

from __future__ import annotations

from typing import final

import numpy as np

from convolve.from_scratch.affine import affine_backward, affine_forward
from convolve.from_scratch.arrays import Array, Labels
from convolve.from_scratch.layers import Initialization
from convolve.from_scratch.losses import HINGE, SOFTMAX, Loss


def distances_two_loops(x: Array, known: Array) -> Array:
    """Euclidean distances (N, M), √Σ(xᵢ - knownⱼ)², one pair at a time."""
    distances = np.zeros((len(x), len(known)), x.dtype)
    for i in range(len(x)):
        for j in range(len(known)):
            distances[i, j] = np.sqrt(np.square(x[i] - known[j]).sum())
    return distances


def distances_one_loop(x: Array, known: Array) -> Array:
    """Euclidean distances (N, M), one row at a time."""
    distances = np.zeros((len(x), len(known)), x.dtype)
    for i in range(len(x)):
        distances[i] = np.sqrt(np.square(x[i] - known).sum(1))
    return distances


def distances_no_loop(x: Array, known: Array) -> Array:
    """Euclidean distances (N, M) at once: |x - known|² = |x|² - 2 x·known + |known|², a matrix product.

    Between nearly equal points the distance is lost to rounding; it is never below 0.
    """
    squared: Array = np.square(x).sum(1)[:, None] - 2 * (x @ known.T) + np.square(known).sum(1)
    return np.sqrt(np.maximum(squared, 0))


def vote(distances: Array, labels: Labels, neighbors: int) -> Labels:
    """Distances (N, M) and known labels (M,) to predictions (N,): the most frequent class of the nearest ``neighbors``.

    Ties go to the smaller class index, and to the neighbor that comes first. Raises `ValueError` when there are fewer
    known examples than neighbors.
    """
    if not 1 <= neighbors <= len(labels):
        raise ValueError(f"neighbors is {neighbors}; with {len(labels)} examples it must be from 1 to {len(labels)}.")
    nearest = labels[np.argsort(distances, axis=1, kind="stable")[:, :neighbors]]
    votes = (nearest[:, :, None] == np.arange(labels.max() + 1)).sum(1)
    predictions: Labels = votes.argmax(1)
    return predictions


@final
class LinearClassifier:
    """``x`` (N, D) to scores (N, classes); the loss includes ``penalty`` · Σ W² (weight decay)."""

    def __init__(self, w: Array, b: Array, loss: Loss, penalty: float = 0.0) -> None:
        self.parameters = {"w": w, "b": b}
        self.loss, self.penalty = loss, penalty

    def scores(self, x: Array) -> Array:
        """``x`` (N, D) to (N, classes)."""
        return affine_forward(x, **self.parameters)[0]

    def gradients(self, x: Array, labels: Labels) -> tuple[float, dict[str, Array]]:
        """The mean loss with the penalty, and its gradient for W and b."""
        w, b = self.parameters.values()
        scores, inputs = affine_forward(x, w, b)
        loss, cache = self.loss.forward(scores, labels)
        _, dw, db = affine_backward(self.loss.backward(cache), inputs)
        return loss + self.penalty * float(np.square(w).sum()), {"w": dw + 2 * self.penalty * w, "b": db}


def linear_svm(init: Initialization, inputs: int, classes: int, penalty: float = 0.0) -> LinearClassifier:
    """A linear classifier with the hinge loss: the true class should lead by a margin of 1."""
    return LinearClassifier(init.weights(inputs, classes), init.zeros(classes), HINGE, penalty)


def softmax_classifier(init: Initialization, inputs: int, classes: int, penalty: float = 0.0) -> LinearClassifier:
    """A linear classifier whose scores are log-odds: multinomial logistic regression."""
    return LinearClassifier(init.weights(inputs, classes), init.zeros(classes), SOFTMAX, penalty)
