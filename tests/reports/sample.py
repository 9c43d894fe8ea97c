"""A small real report: the handwritten digits of scikit-learn, classified by logistic regression."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from convolve.datasets.images import EncodedArray
from convolve.metrics.confusion import Fractions, accuracy, class_metrics, confusion_matrix
from convolve.reports.report import Epoch, Fact, FactList, Headline, Report, Training, percent
from convolve.reports.sections import (
    class_section,
    confusion_section,
    fact_section,
    precision_recall_columns,
    training_section,
)
from convolve.values import Images, Indices, Pixels

DIGITS = tuple("0123456789")


@dataclass(frozen=True)
class Scans(Images):
    """Images in memory, for the tests."""

    pixels: Pixels

    def __len__(self) -> int:
        return len(self.pixels)

    def name(self, index: int) -> str:
        return f"scans/{index:04d}.png"

    def open(self, index: int) -> EncodedArray:
        return EncodedArray(self.pixels[index])

    def take(self, indices: Indices) -> Scans:
        return Scans(self.pixels[indices])


@functools.cache
def guesses() -> tuple[Scans, Indices, Fractions]:
    """The last 800 digits, their classes, and the probabilities of a classifier that learned from 200 others."""
    digits = load_digits()
    model = LogisticRegression(max_iter=200, C=1e-3).fit(digits.data[:200], digits.target[:200])
    pixels = (digits.images[-800:, ..., None] * 15).astype(np.uint8)
    return Scans(pixels), digits.target[-800:].astype(np.int64), model.predict_proba(digits.data[-800:])


def digits_matrix() -> Indices:
    """Their confusion matrix."""
    _, truth, scores = guesses()
    return confusion_matrix(truth, scores.argmax(1), 10)


def epochs(count: int = 5) -> tuple[Epoch, ...]:
    """Falling losses."""
    return tuple(Epoch(n, 2.0 / n, 2.1 / n, 1 - 0.5 / n, 0.1 / n) for n in range(1, count + 1))


def report(names: tuple[str, ...] = DIGITS) -> Report:
    """Every section that is of no task in particular."""
    matrix = digits_matrix()
    metrics = class_metrics(matrix)
    return Report(
        title="lenet5 on digits",
        subtitle="Measured on the test split: 800 images",
        headlines=(Headline("accuracy", percent(accuracy(matrix)), "800 images"),),
        sections=(
            confusion_section(names, matrix, "images"),
            class_section(names, metrics.support, "images", precision_recall_columns(metrics)),
            training_section(Training(epochs(), "accuracy", 5)),
            fact_section("data", "Data", (FactList("Images", (Fact("Found", "1,797"),)),), ("Two images are alike.",)),
            fact_section("recipe", "Recipe", (FactList("Training", (Fact("Batch", "64", "fits the memory"),)),)),
        ),
        footer="convolve 0.1.0",
    )
