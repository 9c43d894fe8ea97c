"""How well distances tell pairs of one class from pairs of two: ROC, and errors at a threshold.

A pair is accepted, taken for one class, where its distance is below the threshold. TAR is the fraction of pairs of one
class that are accepted, FRR = 1 - TAR; FAR the fraction of pairs of two classes that are accepted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from convolve.values import Floats, Indices

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Verification:
    """Sorted distances of pairs of one class, ``same``, and of two, ``different``."""

    same: Doubles
    different: Doubles

    @property
    def is_defined(self) -> bool:
        """Whether there are pairs of both kinds."""
        return bool(len(self.same) and len(self.different))

    def rates(self, threshold: float) -> tuple[float, float]:
        """FAR and TAR at a threshold; nan where there are no pairs."""
        accepted = (np.searchsorted(pairs, threshold, "left") for pairs in (self.different, self.same))
        far, tar = (
            float(count / len(pairs)) if len(pairs) else math.nan
            for count, pairs in zip(accepted, (self.different, self.same), strict=True)
        )
        return far, tar

    def curve(self) -> tuple[Doubles, Doubles]:
        """FAR and TAR at every threshold that tells pairs apart, from (0, 0) to (1, 1)."""
        thresholds = np.append(np.unique(np.concatenate([self.same, self.different])), np.inf)
        far = np.searchsorted(self.different, thresholds, "left") / len(self.different)
        tar = np.searchsorted(self.same, thresholds, "left") / len(self.same)
        return far, tar

    def roc_auc(self) -> float:
        """The probability that a pair of one class is nearer than a pair of two; ties count half."""
        if not self.is_defined:
            return math.nan
        nearer = np.searchsorted(self.same, self.different, "left").sum()
        ties = np.searchsorted(self.same, self.different, "right").sum() - nearer
        return float((nearer + 0.5 * ties) / (len(self.same) * len(self.different)))

    def equal_error_rate(self) -> float:
        """The mean of FAR and FRR at the threshold where they differ least."""
        if not self.is_defined:
            return math.nan
        far, tar = self.curve()
        index = int(np.abs(far - (1 - tar)).argmin())
        return float((far[index] + 1 - tar[index]) / 2)

    def threshold_at(self, far: float) -> float:
        """The greatest threshold at which at most this fraction of the pairs of two classes is accepted: the distance
        of the first of them that is not. 2 where all may be. There must be such pairs.
        """
        allowed = math.floor(far * len(self.different) + 1e-9)
        return float(self.different[allowed]) if allowed < len(self.different) else 2.0

    def tar_at(self, far: float) -> float:
        """TAR at that threshold; nan where there are fewer pairs of two classes than 1 / ``far``, so that no fraction
        so small can be measured.
        """
        if not self.is_defined or len(self.different) * far < 1 - 1e-9:
            return math.nan
        return self.rates(self.threshold_at(far))[1]


def distances_between(embeddings: Floats, others: Floats) -> Doubles:
    """(N, D) and (M, D) of length 1 to (N, M) Euclidean distances, from 0 to 2.

    >>> distances_between(np.array([[1, 0]]), np.array([[1, 0], [-1, 0]])).tolist()
    [[0.0, 2.0]]
    """
    similarity = embeddings.astype(np.float64) @ others.astype(np.float64).T
    return np.asarray(np.sqrt(np.clip(2 - 2 * similarity, 0, 4)))


def verify(embeddings: Floats, labels: Indices) -> Verification:
    """All pairs of N vectors (N, D) of length 1 with their classes (N,)."""
    rows, columns = np.triu_indices(len(labels), 1)
    distances = distances_between(embeddings, embeddings)[rows, columns]
    same = labels[rows] == labels[columns]
    return Verification(np.sort(distances[same]), np.sort(distances[~same]))
