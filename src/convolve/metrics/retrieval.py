"""How well the nearest neighbors of vectors are of their own class; every vector is a query among all the others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from convolve.values import Floats, Indices

BLOCK = 512
"""Queries whose similarities to all vectors are in memory together."""


@dataclass(frozen=True, eq=False)
class Retrieval:
    """Of N queries: ``neighbors`` (N, K) are the nearest others, nearest first, ``hits`` whether they are of the
    query's class; ``average_precision`` (N,) is AP@R, nan for a query that is alone in its class.
    """

    neighbors: Indices
    hits: npt.NDArray[np.bool_]
    average_precision: npt.NDArray[np.float64]

    @property
    def map_at_r(self) -> float:
        """The mean of AP@R; nan without any query that has others of its class."""
        known = self.average_precision[~np.isnan(self.average_precision)]
        return float(known.mean()) if len(known) else float("nan")

    def recall(self, count: int) -> float:
        """The fraction of queries, of those with others of their class, of whose ``count`` nearest neighbors at least
        one is of their class (recall@K, Jégou et al. 2011).
        """
        known = ~np.isnan(self.average_precision)
        return float(self.hits[known, :count].any(1).mean()) if known.any() else float("nan")


def retrieve(embeddings: Floats, labels: Indices, count: int = 10) -> Retrieval:
    """Rank all others for each of N vectors (N, D) of length 1 with their classes (N,), in blocks.

    AP@R of a query with R others of its class is the sum over the R nearest of precision@i where the i-th is of its
    class, divided by R. Musgrave, Belongie, Lim 2020, "A metric learning reality check", section 3.2.

    >>> found = retrieve(np.eye(3, dtype=np.float32)[[0, 0, 1, 1]], np.array([0, 0, 1, 1]))
    >>> found.neighbors[:, 0].tolist()
    [1, 0, 3, 2]
    """
    total = len(labels)
    counts = np.bincount(labels)[labels] - 1
    kept = min(count, total - 1)
    neighbors, hits = np.empty((total, kept), np.int64), np.empty((total, kept), bool)
    precision = np.full(total, np.nan)
    for start in range(0, total, BLOCK):
        queries = np.arange(start, min(start + BLOCK, total))
        similarity = embeddings[queries] @ embeddings.T
        similarity[np.arange(len(queries)), queries] = -np.inf
        deepest = min(max(kept, int(counts[queries].max())), total - 1)
        order = np.argsort(-similarity, axis=1, kind="stable")[:, :deepest]
        same = labels[order] == labels[queries, None]
        neighbors[queries], hits[queries] = order[:, :kept], same[:, :kept]
        within = same & (np.arange(deepest) < counts[queries, None])
        running = within.cumsum(1) / np.arange(1, deepest + 1)
        found = counts[queries] > 0
        precision[queries[found]] = (running * within).sum(1)[found] / counts[queries[found]]
    return Retrieval(neighbors, hits, precision)
