"""Which identities are learned, and which are held out; other data in the identities of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import numpy as np

from convolve.datasets.labels import Labels
from convolve.values import Dataset


def conform(dataset: Dataset, identities: Sequence[str]) -> Dataset:
    """The dataset with these identities first, in their order, and then others, which it may well have."""
    labels = cast(Labels, dataset.ground_truths["labels"])
    names = (*identities, *(name for name in labels.classes if name not in identities))
    return replace(dataset, ground_truths={**dataset.ground_truths, "labels": labels.with_classes(names)})


def hold_out(dataset: Dataset, labels: Labels, fraction: float) -> Dataset:
    """The dataset whose test split has all images of a fraction of the identities, always the same ones, and whose
    training split has those of the others; as it is where fewer than two would be on either side.
    """
    present = np.flatnonzero(labels.counts() > 1)
    count = max(2, round(fraction * len(present)))
    if len(present) - count < 2:
        return dataset
    held = np.random.default_rng(0).permutation(present)[:count]
    test = np.isin(labels.values, held)
    splits = {"train": np.flatnonzero(~test).astype(np.int64), "test": np.flatnonzero(test).astype(np.int64)}
    return replace(dataset, given_splits=splits)
