"""Average precision of ranked detections, from the ranks of the true ones: the rules of VOC and COCO share it.

Precision at a recall is the greatest that is reached at this recall or a higher one. False detections change neither
recall nor this envelope by themselves, so that only the true detections have to be looked at.

>>> hits, counted = np.array([1, 2]), np.array([1, 4])  # of four detections the first and the last are true
>>> float(mean_precision_at(ELEVEN_POINTS, hits, counted, positives=2)), float(area_under_envelope(hits, counted, 2))
(0.7727272727272727, 0.75)
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from convolve.metrics.confusion import Fractions

ELEVEN_POINTS: Final = np.arange(0.0, 1.1, 0.1)
"""Recalls of VOC until 2009. They are sums of 0.1, so that the fourth is a little more than 0.3, as in its programs."""
COCO_POINTS: Final = np.linspace(0.0, 1.0, 101)

_Numbers = npt.NDArray[np.int64] | npt.NDArray[np.float64]


def mean_precision_at(points: Fractions, hits: _Numbers, counted: _Numbers, positives: npt.ArrayLike) -> Fractions:
    """The mean over recalls ``points``, which ascend, of the envelope of precision; 0 beyond the last recall.

    ``hits`` (K, …) and ``counted`` (K, …) are the numbers of true and of all detections up to each of K true ones, in
    descending order of score; ``positives`` (…) how many objects there are to find. Gives (…), nan for no object.
    """
    positives = np.asarray(positives, dtype=np.float64)
    recall = np.divide(hits, positives, out=np.zeros(np.shape(hits)), where=positives > 0)
    reached = np.searchsorted(points, recall, side="right")
    weights = np.diff(reached, axis=0, prepend=0)
    total = (precision_envelope(hits, counted) * weights).sum(axis=0)
    means: Fractions = np.where(positives > 0, total / len(points), np.nan)
    return means


def area_under_envelope(hits: _Numbers, counted: _Numbers, positives: npt.ArrayLike) -> Fractions:
    """The area under the envelope of precision over recall; arguments and result as in `mean_precision_at`."""
    positives = np.asarray(positives, dtype=np.float64)
    total = (precision_envelope(hits, counted) * np.diff(hits, axis=0, prepend=0)).sum(axis=0)
    area: Fractions = np.divide(total, positives, out=np.full(np.shape(total), np.nan), where=positives > 0)
    return area


def precision_envelope(hits: _Numbers, counted: _Numbers) -> Fractions:
    """(K, …) the greatest precision ``hits`` / ``counted`` at each row or a later one; 0 / 0 is 0."""
    precision = np.divide(hits, counted, out=np.zeros(np.shape(hits)), where=np.asarray(counted) > 0)
    envelope: Fractions = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
    return envelope
