"""Which labels are likely wrong, from the labels and what networks that did not learn from them predict: confident
learning.

Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", Journal of Artificial
Intelligence Research 70, 2021 (arXiv 1911.00068), section 3: the thresholds (equation 2), the confident joint (equation
1), its calibration (equation 3), and of each class as many images as the joint says are wrong, those with the lowest
probability of their label ("prune by class"), ranked by the normalized margin. Of the paper's lists this one found most
of the labels that were flipped in Fashion-MNIST (`bench/label_errors.py`). Ranked by the probability of the label alone
it is better where labels were flipped to any class, and much worse where they were flipped to a similar one.

Not the authors' package cleanlab, which needs pandas and two more packages for these lines; tests hold them against it.
Two things are its and not the paper's: every class counts at least one image as rightly labeled, and an image whose own
label is the most probable one is no error.

>>> probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8], [0.3, 0.7], [0.05, 0.95]])
>>> found = find_label_errors(probabilities, np.array([0, 0, 0, 1, 1, 1]))
>>> found.indices.tolist(), found.suggested.tolist(), found.margins.round(2).tolist()
([2], [1], [-0.8])
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
    """``indices`` (M,) of the images whose labels are likely wrong, the most certain first; the class ``suggested``
    instead (M,), the most probable one, and the ``margins`` (M,): the probability of the label less that of this class,
    from -1 to 0.

    ``thresholds`` (C,) are the mean probability of the label over the images of each class, inf for one without images.
    ``joint`` (C, C) estimates which fraction of all images has each label (row) and truly belongs to each class
    (column).
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
        return float(np.where(np.eye(len(self.joint)), 0, self.joint).sum() / total) if total else float("nan")


def find_label_errors(probabilities: Scores, labels: Indices) -> LabelErrors:
    """The likely errors among N labels (N,), by probabilities (N, C) that are out of sample: no network may have
    learned from an image that it judges.

    Raises `DataError` for fewer than two classes, and for probabilities that are not finite.
    """
    count, classes = probabilities.shape
    if classes < 2 or not np.isfinite(probabilities).all():
        raise DataError("Label errors are found by finite probabilities of two classes or more.")
    self_confidence = probabilities[np.arange(count), labels].astype(np.float64)
    thresholds = class_thresholds(self_confidence, labels, classes)
    likely = confident_classes(probabilities, thresholds)
    confident = likely >= 0
    counts = confusion_matrix(labels[confident], likely[confident], classes)
    np.fill_diagonal(counts, np.maximum(np.diagonal(counts), 1))
    frequencies, totals = np.bincount(labels, minlength=classes), counts.sum(1)
    joint = counts * (frequencies / totals / max(count, 1))[:, None]
    wrong = np.rint(frequencies * (totals - np.diagonal(counts)) / totals)
    order = np.lexsort((self_confidence, labels))  # by class, and the lowest first
    rank = np.arange(count) - (np.cumsum(frequencies) - frequencies)[labels[order]]
    doubted = np.sort(order[rank < wrong[labels[order]]])
    doubted = doubted[probabilities[doubted].argmax(1) != labels[doubted]]
    margins = self_confidence[doubted] - probabilities[doubted].max(1)
    ranking = np.argsort(margins, kind="stable")
    indices = doubted[ranking].astype(np.int64)
    suggested = probabilities[indices].argmax(1).astype(np.int64)
    return LabelErrors(indices, suggested, margins[ranking], thresholds, joint)


def class_thresholds(self_confidence: Fractions, labels: Indices, classes: int) -> Fractions:
    """(C,) the mean probability of the label (N,) over the images of each class (equation 2); inf without any."""
    counts = np.bincount(labels, minlength=classes)
    sums = np.bincount(labels, self_confidence, minlength=classes)
    thresholds: Fractions = np.divide(sums, counts, out=np.full(classes, np.inf), where=counts > 0)
    return thresholds


def confident_classes(probabilities: Scores, thresholds: Fractions) -> Indices:
    """(N,) the most probable of those classes whose thresholds an image reaches (equation 1); -1 where it is none."""
    reached = probabilities >= thresholds - _ROUNDING
    likely = np.where(reached, probabilities, -1.0).argmax(1)
    return np.where(reached.any(1), likely, -1).astype(np.int64)
