"""Other data in the classes of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from convolve.errors import DataError
from convolve.values import Dataset


def conform(dataset: Dataset, ground_truth: str, classes: Sequence[str]) -> Dataset:
    """The dataset with these classes of a ground truth in their order. Raises `DataError` when it has others."""
    own = dataset.ground_truths[ground_truth]
    unknown = [name for name in own.classes if name not in classes]
    if unknown:
        raise DataError(
            f"The run does not know the class '{unknown[0]}' of {dataset.root}; it knows {', '.join(classes)}."
        )
    return replace(dataset, ground_truths={**dataset.ground_truths, ground_truth: own.with_classes(classes)})
