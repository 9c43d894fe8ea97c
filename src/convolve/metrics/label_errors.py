"""Which labels are likely wrong, from the labels and what networks that did not learn from them predict: confident
learning.

Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", Journal of Artificial
Intelligence Research 70, 2021 (arXiv 1911.00068), section 3: the thresholds (equation 2), the confident joint (equation
1), its calibration (equation 3), the errors as its off-diagonal entries, ranked by the normalized margin.

Not the authors' package cleanlab, which needs pandas and two more packages for these lines; tests hold them against it.
Two things are its and not the paper's: every class counts at least one image as rightly labeled, and an image whose own
label is the most probable one is no error.

>>> probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8], [0.3, 0.7], [0.05, 0.95]])
>>> found = find_label_errors(probabilities, np.array([0, 0, 0, 1, 1, 1]))
>>> found.indices.tolist(), found.suggested.tolist()
([2], [1])
>>> found.thresholds.round(2).tolist(), found.joint.round(2).tolist(), round(found.estimated, 2)
([0.6, 0.82], [[0.33, 0.17], [0.0, 0.5]], 0.17)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from convolve.errors import DataError
from convolve.metrics.confusion import Fractions, confusion_matrix
from convolve.metrics.ranking import Scores
from convolve.values import Indices

_ROUNDING = 1e-6
"""So that a probability which equals a mean of such probabilities reaches it."""


@dataclass(frozen=True)
class LabelErrors:
    """``indices`` (M,) of the images whose labels are likely wrong, the most certain first; the classes ``suggested``
    for them (M,), and their ``margins`` (M,): the probability of the label less that of the most probable other class,
    from -1 (certainly wrong) to 0.

    ``thresholds`` (C,) are the mean probabilities of the class of a label, inf for a class without images. ``joint``
    (C, C) estimates which fraction of all images has each label (row) and truly belongs to each class (column).
    """

    indices: Indices
    suggested: Indices
    margins: Fractions
    thresholds: Fractions
    joint: Fractions

    @property
    def estimated(self) -> float:
        """The fraction of the labels that are wrong, as the joint has it; nan for no images."""
        total = self.joint.sum()
        return float(1 - np.trace(self.joint) / total) if total else float("nan")


def find_label_errors(probabilities: Scores, labels: Indices) -> LabelErrors:
    """The likely errors among N labels (N,), by probabilities (N, C) that are out of sample: no network may have
    learned from an image that it judges.

    Raises `DataError` for fewer than two classes, and for probabilities that are not finite.
    """
    classes = probabilities.shape[1]
    if classes < 2 or not np.isfinite(probabilities).all():
        raise DataError("Label errors are found by finite probabilities of two classes or more.")
    thresholds = class_thresholds(probabilities, labels)
    likely = confident_classes(probabilities, thresholds)
    confident = likely >= 0
    joint = _joint(confusion_matrix(labels[confident], likely[confident], classes), labels)
    margins = normalized_margins(probabilities, labels)
    wrong = np.flatnonzero(confident & (likely != labels) & (probabilities.argmax(1) != labels))
    order = wrong[np.argsort(margins[wrong], kind="stable")]
    return LabelErrors(order.astype(np.int64), likely[order], margins[order], thresholds, joint)


def class_thresholds(probabilities: Scores, labels: Indices) -> Fractions:
    """(C,) the mean of each class's probability over the images with its label (equation 2); inf without any."""
    counts = np.bincount(labels, minlength=probabilities.shape[1])
    sums = np.bincount(labels, _of_labels(probabilities, labels), minlength=probabilities.shape[1])
    thresholds: Fractions = np.divide(sums, counts, out=np.full(len(counts), np.inf), where=counts > 0)
    return thresholds


def confident_classes(probabilities: Scores, thresholds: Fractions) -> Indices:
    """(N,) the most probable of those classes whose thresholds an image reaches (equation 1); -1 where it is none."""
    reached = probabilities >= thresholds - _ROUNDING
    likely = np.where(reached, probabilities, -1.0).argmax(1)
    return np.where(reached.any(1), likely, -1).astype(np.int64)


def normalized_margins(probabilities: Scores, labels: Indices) -> Fractions:
    """(N,) the probability of each label less that of the most probable other class, from -1 to 1; low is doubtful."""
    others = probabilities.astype(np.float64)
    others[np.arange(len(labels)), labels] = -np.inf
    return np.asarray(_of_labels(probabilities, labels) - others.max(1))


def _joint(counts: Indices, labels: Indices) -> Fractions:
    """The confident joint (C, C) as fractions whose rows sum to those of the labels (equation 3)."""
    counts = counts.copy()
    np.fill_diagonal(counts, np.maximum(np.diagonal(counts), 1))
    fractions = np.bincount(labels, minlength=len(counts)) / max(len(labels), 1)
    return np.asarray(counts / counts.sum(1, keepdims=True) * fractions[:, None])


def _of_labels(probabilities: Scores, labels: Indices) -> Fractions:
    return probabilities[np.arange(len(labels)), labels].astype(np.float64)
