"""Other data in the classes of a detector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from convolve.datasets.boxes import Boxes
from convolve.errors import DataError
from convolve.values import Dataset


def conform(dataset: Dataset, classes: Sequence[str]) -> Dataset:
    """The dataset with these classes in their order. Raises `DataError` when it has others."""
    boxes = cast(Boxes, dataset.ground_truths["boxes"])
    unknown = [name for name in boxes.classes if name not in classes]
    if unknown:
        raise DataError(
            f"The run does not know the class '{unknown[0]}' of {dataset.root}; it knows {', '.join(classes)}."
        )
    return replace(dataset, ground_truths={**dataset.ground_truths, "boxes": boxes.with_classes(classes)})
