"""Other data in the classes of a segmentation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from convolve.datasets.masks import Masks
from convolve.errors import DataError
from convolve.values import Dataset


def conform(dataset: Dataset, classes: Sequence[str]) -> Dataset:
    """The dataset with these classes in their order. Raises `DataError` when it has others."""
    masks = cast(Masks, dataset.ground_truths["masks"])
    unknown = [name for name in masks.classes if name not in classes]
    if unknown:
        raise DataError(
            f"The run does not know the class '{unknown[0]}' of {dataset.root}; it knows {', '.join(classes)}."
        )
    return replace(dataset, ground_truths={**dataset.ground_truths, "masks": masks.with_classes(classes)})
