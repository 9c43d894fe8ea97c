"""Figures of how well scores rank: top-k accuracy, area under the ROC curve, average precision.

Scores are compared only with each other, so probabilities, log-probabilities and logits give the same figures.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from convolve.metrics.confusion import Flags, Shares
from convolve.values import Indices

Scores = npt.NDArray[np.float32] | npt.NDArray[np.float64]


def top_k_accuracy(scores: Scores, truth: Indices, k: int) -> float:
    """Share of the images whose true class is among the k best scored; nan for no images.

    ``scores`` (N, C), ``truth`` (N,). Of equal scores the lower class index goes first, as in `argmax`, so k = 1 is
    the accuracy. A true class scored nan comes last.
    """
    if not len(truth):
        return float("nan")
    own = scores[np.arange(len(truth)), truth][:, None]
    behind = (scores < own) | ((scores == own) & (np.arange(scores.shape[1]) > truth[:, None]))
    return float((scores.shape[1] - behind.sum(1) <= k).mean())


def roc_auc(scores: Scores, truth: Flags) -> float:
    """Area under the ROC curve: how often a positive is scored above a negative, a tie counting one half.

    ``scores`` (N,), ``truth`` (N,) flags. By the rank sum (Mann and Whitney 1947). nan without both a positive and a
    negative.
    """
    positive = truth.astype(bool)
    positives = int(positive.sum())
    negatives = len(positive) - positives
    if not positives or not negatives:
        return float("nan")
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return float((ranks[positive].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def average_precision(scores: Scores, truth: Flags) -> float:
    """Mean of the precision over the steps of recall, without interpolation: sum of (R_n - R_n-1) P_n.

    ``scores`` (N,), ``truth`` (N,) flags. Equal scores make one step. nan without a positive.
    """
    positive = truth.astype(bool)
    if not positive.any():
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)
    hits = np.cumsum(positive[order])[ends]
    return float((np.diff(hits, prepend=0) * hits / (ends + 1)).sum() / hits[-1])


def each_class(figure: Callable[[Scores, Flags], float], scores: Scores, truth: Flags) -> Shares:
    """`roc_auc` or `average_precision` of every class against the rest: (N, C) scores and flags to (C,) float64."""
    return np.array([figure(column, flags) for column, flags in zip(scores.T, truth.T, strict=True)], dtype=np.float64)


def mean_defined(figures: Shares) -> float:
    """Mean of the figures that are not nan (macro average over the classes that have one); nan if none is."""
    defined = figures[~np.isnan(figures)]
    return float(defined.mean()) if len(defined) else float("nan")


def as_flags(truth: Indices, classes: int) -> npt.NDArray[np.bool_]:
    """(N,) class indices to (N, classes) flags, one per row."""
    return np.eye(classes, dtype=np.bool_)[truth]
