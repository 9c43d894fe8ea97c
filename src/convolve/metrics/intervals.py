"""How sure a measured proportion is: the score interval of Wilson.

Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", Journal of the American Statistical
Association 22 (1927), 209-212. Unlike p ± 1.96 √(p (1 - p) / n) it stays between 0 and 1 and says something where all
of the images, or none, are right.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class Interval(NamedTuple):
    """The two ends of a confidence interval."""

    lower: float
    upper: float


def wilson_interval(
    successes: npt.ArrayLike, trials: npt.ArrayLike, confidence: float = 0.95
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The lower and the upper ends of the intervals for ``successes`` of ``trials``; nan for no trials.

    With p = successes / trials, n = trials and z the normal quantile of (1 + confidence) / 2:
    (p + z²/2n ± z √(p (1 - p) / n + z²/4n²)) / (1 + z²/n).

    >>> lower, upper = wilson_interval([3, 300], [3, 300])
    >>> lower.round(3).tolist(), upper.tolist()
    ([0.439, 0.987], [1.0, 1.0])
    """
    # Not scipy's `binomtest(...).proportion_ci`, which takes one pair of numbers at a time.
    count, total = np.asarray(successes, dtype=np.float64), np.asarray(trials, dtype=np.float64)
    squared = _quantile(confidence) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        fraction = count / total
        middle = fraction + squared / (2 * total)
        spread = np.sqrt(squared * (fraction * (1 - fraction) / total + squared / (4 * total**2)))
        lower, upper = (middle - spread) / (1 + squared / total), (middle + spread) / (1 + squared / total)
    # At the ends rounding would leave 1e-17 where the formula gives exactly 0 or 1.
    some = total > 0
    return np.where(some & (count == 0), 0.0, lower), np.where(some & (count == total), 1.0, upper)


def accuracy_interval(correct: int, total: int, confidence: float = 0.95) -> Interval:
    """The interval for the accuracy of which ``correct`` of ``total`` images were measured; nan for no images.

    >>> accuracy_interval(3, 3).lower > 0.43  # three right answers of three say little
    True
    """
    lower, upper = wilson_interval(correct, total, confidence)
    return Interval(float(lower), float(upper))


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """The interval for the mean of which ``values`` are a sample, by Student's t; nan for less than two.

    >>> tuple(round(end, 3) for end in mean_interval([0.1, 0.2, 0.3]))  # 0.2 ± 4.303 · 0.1 / √3
    (-0.048, 0.448)
    """
    from scipy.stats import t  # type: ignore[import-untyped]

    if len(values) < 2:
        return Interval(math.nan, math.nan)
    middle = statistics.mean(values)
    reach = float(t.ppf((1 + confidence) / 2, len(values) - 1)) * statistics.stdev(values) / math.sqrt(len(values))
    return Interval(middle - reach, middle + reach)


def least_images(accuracy: float, confidence: float = 0.95) -> int:
    """How many images must be right, and none wrong, for the interval's lower end to reach an accuracy below 1.

    The lower end is then n / (n + z²).

    >>> [least_images(accuracy) for accuracy in (0.9, 0.95, 0.99, 0.999)]
    [35, 73, 381, 3838]
    """
    return math.ceil(accuracy / (1 - accuracy) * _quantile(confidence) ** 2)


def _quantile(confidence: float) -> float:
    return NormalDist().inv_cdf((1 + confidence) / 2)
