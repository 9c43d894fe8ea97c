"""k nearest neighbors: no training, all the work in the distances; the same computed with two loops, one, and none.

Assignment 1 of CS231n, question 1, which the lecture sets as homework. x (N, D) is asked about, known (M, D) is known.
"""

from __future__ import annotations

import numpy as np

from convolve.from_scratch.arrays import Array, Labels


def distances_two_loops(x: Array, known: Array) -> Array:
    """Euclidean distances (N, M), √Σ(xᵢ - knownⱼ)², one at a time."""
    distances = np.zeros((len(x), len(known)), x.dtype)
    for i in range(len(x)):
        for j in range(len(known)):
            distances[i, j] = np.sqrt(np.square(x[i] - known[j]).sum())
    return distances


def distances_one_loop(x: Array, known: Array) -> Array:
    """Euclidean distances (N, M), one row at a time."""
    distances = np.zeros((len(x), len(known)), x.dtype)
    for i in range(len(x)):
        distances[i] = np.sqrt(np.square(x[i] - known).sum(1))
    return distances


def distances_no_loop(x: Array, known: Array) -> Array:
    """Euclidean distances (N, M) at once: |x - known|² = |x|² - 2 x·known + |known|², a matrix product.

    Of nearly equal points the difference is lost to rounding, and never less than 0.
    """
    squared: Array = np.square(x).sum(1)[:, None] - 2 * (x @ known.T) + np.square(known).sum(1)
    return np.sqrt(np.maximum(squared, 0))


def vote(distances: Array, labels: Labels, neighbors: int) -> Labels:
    """Distances (N, M) and the known labels (M,) to guesses (N,): the commonest class of the nearest ``neighbors``.

    Among equals the smaller class wins, and the neighbor that comes first. Raises `ValueError` when there are fewer
    known examples than neighbors.
    """
    if not 1 <= neighbors <= len(labels):
        raise ValueError(f"{neighbors} neighbors cannot be found among {len(labels)} examples; take 1 or more of them.")
    nearest = labels[np.argsort(distances, axis=1, kind="stable")[:, :neighbors]]
    votes = (nearest[:, :, None] == np.arange(labels.max() + 1)).sum(1)
    guesses: Labels = votes.argmax(1)
    return guesses
