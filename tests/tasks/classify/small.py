"""Predictions of a classifier whose probabilities are right more often than not."""

from __future__ import annotations

import numpy as np

from convolve.tasks.classify.evaluation import Predictions

CLASSES = ("a", "b", "c", "d", "e", "f", "g")


def predictions(multi_label: bool, count: int = 300, margin: float = 3.0) -> Predictions:
    """Of ``count`` images; ``margin`` is added to the logits of what is true."""
    random = np.random.default_rng(6)
    indices = random.integers(0, len(CLASSES), count)
    flags = (random.random((count, len(CLASSES))) < 0.3).astype(np.uint8)
    logits = random.normal(size=(count, len(CLASSES))) * 2
    logits += margin * (flags if multi_label else np.eye(len(CLASSES))[indices])
    odds = np.exp(logits)
    scores = odds / (1 + odds) if multi_label else odds / odds.sum(1, keepdims=True)
    return Predictions(scores.astype(np.float32), flags if multi_label else indices, np.arange(count), multi_label)
