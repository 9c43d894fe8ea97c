"""Whether confidence can be taken at its word, and what to do where it cannot: temperature and a reject threshold.

Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks", ICML 2017 (arXiv 1706.04599): reliability
diagram and ECE in section 2, temperature in section 4.2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from convolve.errors import OptionError
from convolve.metrics.confusion import Flags, Shares
from convolve.metrics.ranking import Scores
from convolve.values import Indices

_COLDEST, _HOTTEST = 0.05, 20.0
_LEAST_LOGARITHM = -104.0


@dataclass(frozen=True)
class Reliability:
    """Bins of equal width over the confidence, open below and closed above.

    ``edges`` (B + 1,) from 0 to 1; ``confidence`` and ``accuracy`` (B,), means of the bin, nan where it is empty;
    ``counts`` (B,) int64.
    """

    edges: Shares
    confidence: Shares
    accuracy: Shares
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
class Reject:
    """Answer where the confidence is at least ``threshold``: so right is the kept share ``coverage`` (0 to 1)."""

    threshold: float
    coverage: float
    accuracy: float


def reliability(confidence: Scores, correct: Flags, bins: int = 15) -> Reliability:
    """(N,) confidences from 0 to 1, and whether each came true (N,), gathered in bins.

    For one class per image: the winner's probability, and whether it is right. For several labels: every label's
    probability, and whether the image carries it, both flattened.
    """
    edges = np.linspace(0, 1, bins + 1)
    place = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    counts = np.bincount(place, minlength=bins)
    sums = (np.bincount(place, weights=values, minlength=bins) for values in (confidence, correct))
    means = [np.divide(total, counts, out=np.full(bins, np.nan), where=counts > 0) for total in sums]
    return Reliability(edges, means[0], means[1], counts.astype(np.int64))


def fit_temperature(scores: Scores, truth: Indices) -> float:
    """The temperature T for which softmax(scores / T) has the smallest mean negative log-likelihood on (N,) truths.

    ``scores`` (N, C): logits or log-probabilities (-inf counts as -104, where float32 ends). Fit it on validation.
    T lies between 0.05 and 20. It is 1 where every image is right, or there is none: the loss then falls for ever with
    T, so that nothing determines it. For several labels pass (N C, 2) pairs of 0 and logit, and the flattened flags.
    """
    logits = np.maximum(scores.astype(np.float64), _LEAST_LOGARITHM) if np.isneginf(scores).any() else scores
    margins = logits - logits[np.arange(len(truth)), truth][:, None]
    if not (margins > 0).any():
        return 1.0
    low, high = 1 / _HOTTEST, 1 / _COLDEST
    if _slope(margins, low)[0] >= 0:
        return _HOTTEST
    return _COLDEST if _slope(margins, high)[0] <= 0 else 1 / _root(margins, low, high)


def with_temperature(scores: Scores, temperature: float) -> Shares:
    """(N, C) logits or log-probabilities to probabilities, softmax(scores / temperature)."""
    scaled = scores.astype(np.float64) / temperature
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def reject_threshold(scores: Scores, truth: Indices, wanted_accuracy: float) -> Reject | None:
    """The smallest confidence from which on the answers reach the wanted accuracy (0 to 1); 0 where all of them do.

    ``scores`` (N, C) probabilities, ``truth`` (N,): take both from validation. None where no threshold gets there.
    Raises `OptionError` when ``wanted_accuracy`` is no share.
    """
    if not 0 < wanted_accuracy <= 1:
        raise OptionError(f"A wanted accuracy lies between 0 and 1, {wanted_accuracy} does not; write 0.95 for 95 %.")
    order = np.argsort(-scores.max(axis=1), kind="stable")
    confidence = scores.max(axis=1)[order]
    right = np.cumsum((scores.argmax(axis=1) == truth)[order])
    kept = np.arange(1, len(right) + 1)
    last_of_equals = np.append(confidence[1:] != confidence[:-1], True)[: len(right)]
    reached = np.flatnonzero(last_of_equals & (right >= wanted_accuracy * kept - 1e-9))
    if not len(reached):
        return None
    last = int(reached[-1])
    everything = last == len(right) - 1
    threshold = 0.0 if everything else float(confidence[last])
    return Reject(threshold, (last + 1) / len(right), float(right[last] / kept[last]))


def _slope(margins: Scores, inverse: float) -> tuple[float, float]:
    """First and second derivative of the mean loss by 1/T: mean and variance of the margins under the softmax."""
    chances = with_temperature(margins, 1 / inverse)
    means = (chances * margins).sum(axis=1)
    return float(means.mean()), float(((chances * margins**2).sum(axis=1) - means**2).mean())


def _root(margins: Scores, low: float, high: float) -> float:
    """The 1/T between two where the slope of the loss, which is convex, is zero: Newton's steps inside a bracket."""
    inverse = 1.0
    for _ in range(100):
        slope, curvature = _slope(margins, inverse)
        low, high = (inverse, high) if slope < 0 else (low, inverse)
        step = inverse - slope / curvature if curvature > 0 else low
        if not low < step < high:
            step = (low + high) / 2
        if abs(step - inverse) <= 1e-7 * inverse:
            break
        inverse = step
    return inverse
