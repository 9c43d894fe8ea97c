"""How well proposals cover the objects of an image: the best overlap of each, among the first proposals alone.

Recall is the fraction of objects whose best overlap is at least 0.5, say; its mean over the objects is the mean best
overlap.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from convolve.metrics.boxes import BoxArray, intersection_over_union
from convolve.values import Matrices

_BLOCK = 2**20  # overlaps that are computed at once


def best_overlaps_of_first(objects: BoxArray, proposals: BoxArray, first: Sequence[int]) -> Matrices:
    """(M, F) the greatest IoU of each of the objects (M, 4) with one of the first n proposals (K, 4), for each n of the
    ``first`` (F,); 0 where there is none.

    >>> objects = np.array([[0.0, 0, 2, 2]])
    >>> proposals = np.array([[0.0, 0, 2, 4], [0, 0, 2, 2]])
    >>> best_overlaps_of_first(objects, proposals, (0, 1, 2)).tolist()
    [[0.0, 0.5, 1.0]]
    """
    best = np.zeros((len(objects), len(first)))
    step = max(1, _BLOCK // max(1, len(proposals)))
    for start in range(0, len(objects), step):
        overlaps = intersection_over_union(objects[start : start + step], proposals)
        for column, count in enumerate(first):
            best[start : start + step, column] = overlaps[:, :count].max(axis=1, initial=0.0)
    return best
