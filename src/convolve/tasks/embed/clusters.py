"""Images that belong together by their embeddings alone, without any labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from convolve.values import Floats, Indices

MAPPED = 1000
"""Images that are clustered at most, as the time grows with their square."""


@dataclass(frozen=True, eq=False)
class Clusters:
    """The cluster (M,) of each of the ``images`` (M,), by index; how well clusters agree with identities: the adjusted
    ``rand`` index, 1 for the same partition and 0 for one by chance, and normalized mutual information ``nmi``.
    """

    images: Indices
    values: Indices
    rand: float
    nmi: float

    @property
    def count(self) -> int:
        """How many clusters there are."""
        return len(np.unique(self.values))

    def largest(self, count: int) -> list[Indices]:
        """The images of so many clusters, the largest first."""
        numbers, sizes = np.unique(self.values, return_counts=True)
        order = numbers[np.argsort(-sizes, kind="stable")][:count]
        return [self.images[self.values == number] for number in order]


def find_clusters(embeddings: Floats, labels: Indices, distance: float) -> Clusters:
    """Agglomerative clustering of embeddings (N, D), of N > 1, by average linkage (scipy's): two clusters are one where
    the mean distance of their images is below ``distance``. Of more than `MAPPED` images some are drawn.
    """
    from scipy.cluster.hierarchy import fcluster, linkage  # type: ignore[import-untyped]
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    images = np.arange(len(labels))
    if len(labels) > MAPPED:
        images = np.sort(np.random.default_rng(0).permutation(len(labels))[:MAPPED])
    tree = linkage(embeddings[images].astype(np.float64), "average")
    values = np.asarray(fcluster(tree, distance, "distance"), np.int64)
    own = labels[images]
    rand, nmi = float(adjusted_rand_score(own, values)), float(normalized_mutual_info_score(own, values))
    return Clusters(images.astype(np.int64), values, rand, nmi)
