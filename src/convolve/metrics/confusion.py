"""The confusion matrix and what follows from it: precision, recall, F1, accuracy.

Precision is TP / predictions, recall TP / truths, F1 their harmonic mean 2 TP / (predictions + truths). A figure whose
denominator is zero is 0: a class that is never predicted has precision 0, one that never occurs has recall 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from convolve.values import Indices

Flags = npt.NDArray[np.bool_] | npt.NDArray[np.uint8]
Shares = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ClassFigures:
    """Per class: ``precision``, ``recall``, ``f1`` (C,) float64 from 0 to 1; ``support`` (C,) int64, images that truly
    belong to it; ``predictions`` (C,) int64, images that were taken for it.
    """

    precision: Shares
    recall: Shares
    f1: Shares
    support: Indices
    predictions: Indices


@dataclass(frozen=True)
class Averages:
    """Mean precision, recall and F1 over the classes, from 0 to 1; nan where there is no class to average."""

    precision: float
    recall: float
    f1: float


def confusion_matrix(truth: Indices, predicted: Indices, classes: int) -> Indices:
    """(N,) true and (N,) predicted classes to (classes, classes) int64 counts: rows are truths, columns predictions.

    Raises `ValueError` when an index names no class.
    """
    cells = np.ravel_multi_index((truth, predicted), (classes, classes))
    return np.bincount(cells, minlength=classes**2).reshape(classes, classes).astype(np.int64)


def accuracy(matrix: Indices) -> float:
    """Share of the images on the diagonal of a (C, C) confusion matrix; nan when it is empty."""
    return float(_divide(np.trace(matrix), matrix.sum(), empty=np.nan))


def per_class(matrix: Indices) -> ClassFigures:
    """The figures of each class from a (C, C) confusion matrix whose rows are truths."""
    return _figures(np.diagonal(matrix), matrix.sum(0), matrix.sum(1))


def per_label(truth: Flags, predicted: Flags) -> ClassFigures:
    """The figures of each label where an image may carry several: (N, C) true and (N, C) predicted flags."""
    return _figures((truth.astype(bool) & predicted.astype(bool)).sum(0), predicted.sum(0), truth.sum(0))


def macro(figures: ClassFigures) -> Averages:
    """Every class counts the same, but for those that are neither true nor predicted anywhere: they are left out."""
    return _averages(figures, (figures.support + figures.predictions > 0).astype(np.float64))


def weighted(figures: ClassFigures) -> Averages:
    """Every class counts by its support."""
    return _averages(figures, figures.support.astype(np.float64))


def _figures(hits: npt.ArrayLike, predictions: npt.ArrayLike, support: npt.ArrayLike) -> ClassFigures:
    hits, predictions, support = (np.asarray(counts, dtype=np.int64) for counts in (hits, predictions, support))
    return ClassFigures(
        precision=_divide(hits, predictions),
        recall=_divide(hits, support),
        f1=_divide(2 * hits, predictions + support),
        support=support,
        predictions=predictions,
    )


def _averages(figures: ClassFigures, weights: Shares) -> Averages:
    total = weights.sum()
    columns = (figures.precision, figures.recall, figures.f1)
    return Averages(*(float(_divide(column @ weights, total, empty=np.nan)) for column in columns))


def _divide(above: npt.ArrayLike, below: npt.ArrayLike, empty: float = 0.0) -> Shares:
    above, below = np.asarray(above, dtype=np.float64), np.asarray(below, dtype=np.float64)
    shares: Shares = np.divide(above, below, out=np.full_like(above, empty), where=below > 0)
    return shares
