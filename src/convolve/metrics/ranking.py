"""Metrics of how well scores rank: top-k accuracy, area under the ROC curve, average precision.

Scores are compared only with each other, so probabilities, log-probabilities and logits give the same values.

>>> scores = np.array([[0.9, 0.1, 0.0], [0.2, 0.3, 0.5], [0.1, 0.6, 0.3]])
>>> targets = np.array([0, 1, 1])
>>> top_k_accuracy(scores, targets, 2), one_vs_rest(roc_auc, scores, one_hot(targets, 3)).tolist()
(1.0, [1.0, 1.0, nan])
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from convolve.metrics.confusion import Flags, Fractions
from convolve.values import Indices

Scores = npt.NDArray[np.float32] | npt.NDArray[np.float64]


def top_k_accuracy(scores: Scores, targets: Indices, k: int) -> float:
    """The fraction of the images whose true class is among the k with the highest scores; nan for no images.

    ``scores`` (N, C), ``targets`` (N,). Among equal scores the lower class index comes first, as in `argmax`, so k = 1
    is the accuracy. A true class whose score is nan comes last.
    """
    # Not scikit-learn's `top_k_accuracy_score`: among equal scores its last class comes first, so that k = 1 differs
    # from the accuracy; it refuses nan, and two classes in two columns.
    if not len(targets):
        return float("nan")
    own = scores[np.arange(len(targets)), targets][:, None]
    lower = (scores < own) | ((scores == own) & (np.arange(scores.shape[1]) > targets[:, None]))
    return float((scores.shape[1] - lower.sum(1) <= k).mean())


def roc_auc(scores: Scores, targets: Flags) -> float:
    """Area under the ROC curve: how often a positive scores higher than a negative, a tie counting one half.

    ``scores`` (N,), ``targets`` (N,) flags. nan without both a positive and a negative, or where a score is nan.
    """
    positive = targets.astype(bool)
    if positive.all() or not positive.any() or np.isnan(scores).any():
        return float("nan")
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(positive, np.nan_to_num(scores)))  # which makes -inf, of log-probabilities, finite


def average_precision(scores: Scores, targets: Flags) -> float:
    """Mean of the precision over the steps of recall, without interpolation: sum of (R_n - R_n-1) P_n.

    ``scores`` (N,), ``targets`` (N,) flags. Equal scores make one step. nan without a positive or where a score is nan.
    """
    positive = targets.astype(bool)
    if not positive.any() or np.isnan(scores).any():
        return float("nan")
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(positive, np.nan_to_num(scores)))


def one_vs_rest(metric: Callable[[Scores, Flags], float], scores: Scores, targets: Flags) -> Fractions:
    """`roc_auc` or `average_precision` of each class against the rest: (N, C) scores and flags to (C,) float64."""
    return np.array([metric(column, flags) for column, flags in zip(scores.T, targets.T, strict=True)], np.float64)


def nanmean(values: Fractions) -> float:
    """Mean of the values that are not nan (macro average over the classes that have one); nan if none is."""
    # Not NumPy's, which warns if none is.
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")


def one_hot(targets: Indices, classes: int) -> npt.NDArray[np.bool_]:
    """(N,) class indices to (N, classes) flags, one in each row."""
    return np.eye(classes, dtype=np.bool_)[targets]
