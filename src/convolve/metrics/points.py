"""How far predicted points are from true ones, as fractions of a length of the object itself.

The normalized mean error is the mean over the images of the mean over each image's labeled points (Sagonas,
Antonakos, Tzimiropoulos, Zafeiriou, Pantic 2016, equation 3). PCK@a is the fraction of all labeled points whose error
is at most a (Yang, Ramanan 2013, "Articulated human detection with flexible mixtures of parts", section 6.2). The mean
of PCK over all a from 0 to 1 is the mean of 1 - error, or of 0 where the error is more than 1.

>>> true = np.array([[[0.0, 0.0], [10.0, 0.0]]])
>>> errors = point_errors(true + [[3.0, 4.0]], true, np.ones((1, 2), bool), lengths=np.array([10.0]))
>>> errors.tolist(), normalized_mean_error(errors), pck(errors, 0.5), pck(errors, 0.4), mean_pck(errors)
([[0.5, 0.5]], 0.5, 1.0, 0.0, 0.5)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from convolve.metrics.intervals import Interval
from convolve.values import Flags

Errors = npt.NDArray[np.float64]
"""(N, P) errors of N images' points; nan for what is not labeled or has no length to measure it in."""
_ENDS = (2.5, 97.5)


def point_errors(predicted: npt.ArrayLike, true: npt.ArrayLike, labeled: Flags, lengths: npt.ArrayLike) -> Errors:
    """(N, P) distances of (N, P, 2) points over the ``lengths`` (N,), nan for points that are not ``labeled`` (N, P)
    and for images whose length is unknown.
    """
    distances = np.linalg.norm(np.asarray(predicted, dtype=np.float64) - np.asarray(true, dtype=np.float64), axis=-1)
    errors: Errors = np.where(labeled, distances / np.asarray(lengths, dtype=np.float64)[:, None], np.nan)
    return errors


def image_errors(errors: Errors) -> Errors:
    """(N,) the mean error of each image's points; nan where it has none."""
    known = ~np.isnan(errors)
    totals = np.where(known, errors, 0.0).sum(1)
    each: Errors = np.divide(totals, known.sum(1), out=np.full(len(errors), np.nan), where=known.any(1))
    return each


def normalized_mean_error(errors: Errors) -> float:
    """The mean of the images' mean errors; nan without a labeled point."""
    each = image_errors(errors)
    return float(each[~np.isnan(each)].mean()) if (~np.isnan(each)).any() else float("nan")


def pck(errors: Errors, threshold: float) -> float:
    """The fraction of the labeled points whose error is at most the threshold; nan without any."""
    known = errors[~np.isnan(errors)]
    return float((known <= threshold).mean()) if len(known) else float("nan")


def mean_pck(errors: Errors) -> float:
    """PCK averaged over all thresholds from 0 to 1; nan without a labeled point."""
    known = errors[~np.isnan(errors)]
    return float(np.maximum(1 - known, 0).mean()) if len(known) else float("nan")


def error_intervals(
    errors: Errors, metrics: Mapping[str, Callable[[Errors], float]], *, replicates: int = 1000, seed: int = 0
) -> dict[str, Interval]:
    """95 % intervals of metrics of the errors by the bootstrap over images (percentiles): points of one image are not
    independent of each other. nan at both ends where there is nothing to measure.
    """
    random = np.random.default_rng(seed)
    known = errors[~np.isnan(errors).all(1)] if len(errors) else errors
    if not len(known):
        return dict.fromkeys(metrics, Interval(float("nan"), float("nan")))
    draws = [known[random.integers(len(known), size=len(known))] for _ in range(replicates)]
    found = {name: np.percentile([metric(draw) for draw in draws], _ENDS) for name, metric in metrics.items()}
    return {name: Interval(float(low), float(high)) for name, (low, high) in found.items()}
