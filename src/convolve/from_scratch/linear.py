"""Linear classifiers: the score function f = x·W + b with a loss, as the lecture's three parts of a classifier.

With `HINGE` it is the multiclass linear SVM, with `SOFTMAX` the softmax classifier (assignment 1 of CS231n, questions 2
and 3).
"""

from __future__ import annotations

from typing import final

import numpy as np

from convolve.from_scratch.affine import affine_backward, affine_forward
from convolve.from_scratch.arrays import Array, Labels
from convolve.from_scratch.layers import Draw
from convolve.from_scratch.losses import HINGE, SOFTMAX, Loss


@final
class LinearClassifier:
    """``x`` (N, D) to scores (N, classes); the loss has ``penalty`` · Σ W² added, which keeps weights small."""

    def __init__(self, w: Array, b: Array, loss: Loss, penalty: float = 0.0) -> None:
        self.parameters = {"w": w, "b": b}
        self.loss, self.penalty = loss, penalty

    def scores(self, x: Array) -> Array:
        """``x`` (N, D) to (N, classes)."""
        return affine_forward(x, **self.parameters)[0]

    def gradients(self, x: Array, labels: Labels) -> tuple[float, dict[str, Array]]:
        """The mean loss with the penalty, and its slope along W and b."""
        w, b = self.parameters.values()
        scores, inputs = affine_forward(x, w, b)
        loss, memory = self.loss.forward(scores, labels)
        _, dw, db = affine_backward(self.loss.backward(memory), inputs)
        return loss + self.penalty * float(np.square(w).sum()), {"w": dw + 2 * self.penalty * w, "b": db}


def linear_svm(draw: Draw, inputs: int, classes: int, penalty: float = 0.0) -> LinearClassifier:
    """A linear classifier that wants the true class ahead by 1."""
    return LinearClassifier(draw.weights(inputs, classes), draw.zeros(classes), HINGE, penalty)


def softmax_classifier(draw: Draw, inputs: int, classes: int, penalty: float = 0.0) -> LinearClassifier:
    """A linear classifier whose scores are logarithms of odds."""
    return LinearClassifier(draw.weights(inputs, classes), draw.zeros(classes), SOFTMAX, penalty)
