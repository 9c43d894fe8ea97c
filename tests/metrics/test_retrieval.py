"""Nearest neighbors, against plain loops and scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from convolve.metrics import retrieval
from convolve.metrics.retrieval import retrieve
from convolve.values import Floats, Indices


def vectors(count: int, classes: int, seed: int = 0) -> tuple[Floats, Indices]:
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, count)
    means = random.normal(size=(classes, 6))
    found = means[labels] + random.normal(0, 1.0, (count, 6))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32), labels


def loops(embeddings: Floats, labels: Indices) -> tuple[float, float, float]:
    """mAP@R, recall@1 and recall@5, as the papers write them."""
    precisions, first, five = [], [], []
    for query in range(len(labels)):
        others = [index for index in range(len(labels)) if index != query]
        others.sort(key=lambda index: float(np.linalg.norm(embeddings[index] - embeddings[query])))
        relevant = sum(labels[index] == labels[query] for index in others)
        if not relevant:
            continue
        hits = [bool(labels[index] == labels[query]) for index in others]
        total = sum(sum(hits[: rank + 1]) / (rank + 1) for rank in range(relevant) if hits[rank])
        precisions.append(total / relevant)
        first.append(hits[0])
        five.append(any(hits[:5]))
    return float(np.mean(precisions)), float(np.mean(first)), float(np.mean(five))


@pytest.mark.parametrize("block", [7, 512])
def test_it_is_what_plain_loops_count(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrieval, "BLOCK", block)
    embeddings, labels = vectors(60, 7)
    labels[3] = 7  # alone in its class
    found = retrieve(embeddings, labels)
    assert (found.map_at_r, found.recall(1), found.recall(5)) == pytest.approx(loops(embeddings, labels))
    assert math.isnan(found.average_precision[3])


def test_neighbors_are_scikit_learns() -> None:
    embeddings, labels = vectors(80, 5, seed=1)
    search = NearestNeighbors(n_neighbors=11).fit(embeddings)
    expected = search.kneighbors(embeddings, return_distance=False)[:, 1:]
    assert np.array_equal(retrieve(embeddings, labels).neighbors, expected)


def test_by_hand() -> None:
    """A query with R = 2: its neighbors are of its class, of another, of its class. AP@R = (1/1) / 2."""
    angles = np.deg2rad([0, 10, 20, 30, 180])
    embeddings = np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)
    found = retrieve(embeddings, np.array([0, 0, 1, 0, 1]))
    assert found.average_precision[0] == pytest.approx(0.5)
    assert found.hits[0].tolist() == [True, False, True, False]


def test_without_anything_to_find_it_is_undefined() -> None:
    embeddings, _ = vectors(3, 2)
    found = retrieve(embeddings, np.arange(3))
    assert math.isnan(found.map_at_r)
    assert math.isnan(found.recall(1))
    assert retrieve(embeddings[:1], np.zeros(1, np.int64)).neighbors.shape == (1, 0)
