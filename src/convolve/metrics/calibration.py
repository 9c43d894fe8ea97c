"""Whether confidence can be taken at its word, and what to do where it cannot: temperature scaling and a reject option.

Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks", ICML 2017 (arXiv 1706.04599): reliability
diagram and ECE in section 2, temperature in section 4.2. For the reject threshold see `reject_threshold`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from convolve.errors import OptionError
from convolve.metrics.confusion import Flags, Fractions
from convolve.metrics.intervals import Interval, accuracy_interval, least_images, wilson_interval
from convolve.metrics.ranking import Scores
from convolve.values import Indices

_LOWEST, _HIGHEST = 0.05, 20.0
_LEAST_LOGARITHM = -104.0
_ERROR_RATE = 0.05


@dataclass(frozen=True)
class Reliability:
    """Bins of equal width over the confidence, open below and closed above.

    ``edges`` (B + 1,) from 0 to 1; ``confidence`` and ``accuracy`` (B,), means of the bin, nan where it is empty;
    ``counts`` (B,) int64.
    """

    edges: Fractions
    confidence: Fractions
    accuracy: Fractions
    counts: Indices

    @property
    def error(self) -> float:
        """Expected calibration error (Guo et al. 2017, equation 3): mean of |accuracy - confidence| over the images.
        nan for no images.
        """
        filled = self.counts > 0
        if not filled.any():
            return float("nan")
        gaps = np.abs(self.accuracy - self.confidence)[filled]
        return float(np.average(gaps, weights=self.counts[filled]))


@dataclass(frozen=True)
class RejectThreshold:
    """Answer only where the confidence is at least ``threshold``.

    On the validation split this answers the fraction ``coverage`` (0 to 1), which are ``images``, with ``accuracy``.
    """

    threshold: float
    coverage: float
    accuracy: float
    images: int

    @property
    def interval(self) -> Interval:
        """The 95 % interval of the accuracy (Wilson 1927)."""
        return accuracy_interval(round(self.accuracy * self.images), self.images)


def reliability(confidence: Scores, correct: Flags, bins: int = 15) -> Reliability:
    """(N,) confidences from 0 to 1, and whether each came true (N,), gathered in bins.

    For one class per image: the highest probability, and whether its class is right. For several labels: every label's
    probability, and whether the image carries it, both flattened.

    >>> reliability(np.array([0.6, 0.7, 0.9]), np.array([False, True, True]), bins=2).error.__round__(3)
    0.067
    """
    # Not scikit-learn's `calibration_curve`, which leaves out empty bins and does not count the others.
    edges = np.linspace(0, 1, bins + 1)
    index = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    counts = np.bincount(index, minlength=bins)
    sums = (np.bincount(index, weights=values, minlength=bins) for values in (confidence, correct))
    means = [np.divide(total, counts, out=np.full(bins, np.nan), where=counts > 0) for total in sums]
    return Reliability(edges, means[0], means[1], counts.astype(np.int64))


def fit_temperature(logits: Scores, targets: Indices) -> float:
    """The temperature T with which softmax(logits / T) has the smallest mean negative log-likelihood of the targets.

    ``logits`` (N, C), or log-probabilities (-inf counts as -104, where float32 ends); ``targets`` (N,). Fit it on
    validation. T lies between 0.05 and 20. It is 1 where nothing determines it: for no images, where every image is
    right (the loss then falls without end as T does), and where a logit is nan. For several labels pass (N C, 2) pairs
    of 0 and logit, and the flattened flags.

    >>> logits = np.array([[3.0, 0], [3, 0], [3, 0], [3, 0]])  # says 95 %, is right three times of four
    >>> round(fit_temperature(logits, np.array([0, 0, 0, 1])), 3)
    2.731
    """
    finite = np.maximum(logits.astype(np.float64), _LEAST_LOGARITHM) if np.isneginf(logits).any() else logits
    margins = finite - finite[np.arange(len(targets)), targets][:, None]
    if not (margins > 0).any() or np.isnan(margins).any():
        return 1.0
    from scipy.optimize import brentq  # type: ignore[import-untyped]

    def derivative(inverse: float) -> float:
        """Of the mean loss, which is convex in 1/T: the mean of the margins under the softmax."""
        return float((softmax_with_temperature(margins, 1 / inverse) * margins).sum(axis=1).mean())

    low, high = 1 / _HIGHEST, 1 / _LOWEST
    if derivative(low) >= 0:
        return _HIGHEST
    return _LOWEST if derivative(high) <= 0 else float(1 / brentq(derivative, low, high))


def softmax_with_temperature(logits: Scores, temperature: float) -> Fractions:
    """(N, C) logits or log-probabilities to probabilities, softmax(logits / temperature).

    >>> softmax_with_temperature(np.log([[0.9, 0.1]]), 2.0).round(3).tolist()
    [[0.75, 0.25]]
    """
    from scipy.special import softmax  # type: ignore[import-untyped]

    return np.asarray(softmax(logits.astype(np.float64) / temperature, axis=1))


def reject_threshold(probabilities: Scores, targets: Indices, accuracy: float) -> RejectThreshold | None:
    """The lowest confidence from which on the answers are known to reach an accuracy (0 to 1); 0 where all of them do.

    ``probabilities`` (N, C), ``targets`` (N,): take both from validation. None where the images cannot show it: 99 %
    take at least 381 that are right, and none that is wrong (`least_images`).

    A threshold passes where the lower end of the Wilson interval of its accuracy reaches what is claimed. To choose the
    best of many thresholds would be optimistic, so they are tested in a fixed order, from the highest down, and the
    first that fails ends the walk (fixed sequence testing: Angelopoulos, Bates, Candès, Jordan and Lei, "Learn then
    Test", arXiv 2110.01052). An error among the most confident images would end a single walk at once, so k counts
    start where 1, 2, 4 … times the least number of images are answered, each with intervals of 1 - 0.05 / k
    (Bonferroni, as in the search of Geifman and El-Yaniv, "Selective Classification for Deep Neural Networks",
    NeurIPS 2017). On images like those of validation a threshold that claims too much is given in about 2.5 % of the
    cases at most, as far as
    neither the network nor the epoch was chosen on them.

    Raises `OptionError` when ``accuracy`` is not between 0 and 1.

    >>> sure, wrong = np.full((400, 2), [0.98, 0.02]), np.full((40, 2), [0.6, 0.4])
    >>> targets = np.repeat([0, 1], [400, 40])
    >>> reject_threshold(np.concatenate([sure, wrong]), targets, accuracy=0.99)
    RejectThreshold(threshold=0.98, coverage=0.9090909090909091, accuracy=1.0, images=400)
    >>> reject_threshold(sure[:3], targets[:3], accuracy=0.99) is None
    True
    """
    if not 0 < accuracy < 1:
        raise OptionError(f"An accuracy to reach lies between 0 and 1, {accuracy} does not; write 0.95 for 95 %.")
    images, counts = len(targets), 0
    while least_images(accuracy, 1 - _ERROR_RATE / (counts + 1)) * 2**counts <= images:
        counts += 1
    if not counts:
        return None
    confidence = probabilities.max(axis=1)
    order = np.argsort(-confidence, kind="stable")
    confidence = confidence[order]
    right = np.cumsum((probabilities.argmax(axis=1) == targets)[order])
    # Equal confidences are answered together: one candidate each, by how many images it answers.
    answered = np.append(np.flatnonzero(np.diff(confidence)), images - 1) + 1
    level = 1 - _ERROR_RATE / counts
    passes = wilson_interval(right[answered - 1], answered, level)[0] >= accuracy
    starts = np.searchsorted(answered, least_images(accuracy, level) * 2 ** np.arange(counts))
    lowest = max(_count_passes(passes, start) for start in starts.tolist())
    if lowest < 0:
        return None
    kept = int(answered[lowest])
    threshold = 0.0 if kept == images else float(confidence[kept - 1])
    return RejectThreshold(threshold, kept / images, float(right[kept - 1] / kept), kept)


def _count_passes(passes: Flags, start: int) -> int:
    """The last of the candidates that pass without a gap from ``start`` on; -1 where the first one fails."""
    failures = np.flatnonzero(~passes[start:].astype(bool))
    end = start + int(failures[0]) if len(failures) else len(passes)
    return end - 1 if end > start else -1
