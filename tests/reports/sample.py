"""A small real report: the handwritten digits of scikit-learn, classified by logistic regression."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from convolve.datasets.images import EncodedArray
from convolve.metrics.calibration import fit_temperature, reject_threshold, reliability, with_temperature
from convolve.metrics.confusion import Shares, accuracy, confusion_matrix, per_class
from convolve.reports.page import percent
from convolve.reports.report import Calibration, Classes, Epoch, Headline, Report, Row, Section, Training
from convolve.reports.thumbnails import choose, examples, worst
from convolve.values import Images, Indices, Pixels


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
def guesses() -> tuple[Scans, Indices, Shares]:
    """The last 800 digits, their truths, and the probabilities of a classifier that learned from 200 others."""
    digits = load_digits()
    model = LogisticRegression(max_iter=200, C=1e-3).fit(digits.data[:200], digits.target[:200])
    pixels = (digits.images[-800:, ..., None] * 15).astype(np.uint8)
    return Scans(pixels), digits.target[-800:].astype(np.int64), model.predict_proba(digits.data[-800:])


def epochs(count: int = 5) -> tuple[Epoch, ...]:
    """Falling losses."""
    return tuple(Epoch(n, 2.0 / n, 2.1 / n, 1 - 0.5 / n, 0.1 / n) for n in range(1, count + 1))


@functools.cache
def report() -> Report:
    """Everything that a page can show of a network that gives each image one class."""
    scans, truth, scores = guesses()
    predicted, confidence = scores.argmax(1), scores.max(1)
    matrix = confusion_matrix(truth, predicted, 10)
    temperature = fit_temperature(np.log(scores), truth)
    mild = with_temperature(np.log(scores), temperature)
    return Report(
        title="lenet5 on digits",
        subtitle="Figures of the test split",
        headlines=(Headline("Test accuracy", percent(accuracy(matrix)), "on 800 images"),),
        classes=Classes(tuple("0123456789"), per_class(matrix), matrix),
        training=Training(epochs(), "accuracy", 5),
        calibration=Calibration(
            reliability(confidence, predicted == truth),
            reliability(mild.max(1), predicted == truth),
            temperature,
            0.98,
            reject_threshold(mild, truth, 0.98),
        ),
        examples=examples(scans, choose(truth, predicted, confidence), truth, predicted, confidence),
        mistakes=examples(scans, worst(truth, predicted, confidence), truth, predicted, confidence),
        recipe=(Section("Training", (Row("Batch", "64", "fits the memory"),)),),
        data=(Section("Images", (Row("Found", "1,797"),)),),
        machine=(Section("Computer", (Row("Threads", "2"),)),),
        warnings=("Two images stand in both splits.",),
        made="convolve 0.1.0",
    )


def named(*names: str) -> Report:
    """The same report with other class names; digits fill up."""
    full = (*names, *"0123456789"[len(names) :])
    return replace(report(), classes=replace(report().classes, names=full))
