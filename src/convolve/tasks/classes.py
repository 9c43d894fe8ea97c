"""The classes of a run: as its state has them, and other data in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

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


def restore_classes(state: Mapping[str, Any]) -> tuple[str, ...]:
    """The `classes` of a run's state. Raises `ValueError`."""
    classes = state.get("classes")
    if not isinstance(classes, list) or not classes or not all(isinstance(name, str) for name in classes):
        raise ValueError("it has no names of classes")
    return tuple(classes)
