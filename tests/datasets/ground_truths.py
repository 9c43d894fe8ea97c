"""The ground truths of a dataset under their own types."""

from __future__ import annotations

from convolve.datasets.labels import Labels
from convolve.datasets.masks import Masks
from convolve.values import Dataset


def labels_of(dataset: Dataset) -> Labels:
    """Its labels, which it must have."""
    found = dataset.ground_truths["labels"]
    assert isinstance(found, Labels)
    return found


def masks_of(dataset: Dataset) -> Masks:
    """Its masks, which it must have."""
    found = dataset.ground_truths["masks"]
    assert isinstance(found, Masks)
    return found
