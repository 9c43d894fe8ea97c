"""Other data in the classes of a classifier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import numpy as np

from convolve.datasets.labels import Labels
from convolve.errors import DataError
from convolve.values import Dataset


def conform(dataset: Dataset, classes: Sequence[str], multi_label: bool) -> Dataset:
    """The dataset with these classes in their order, as flags where they are multi-label. Raises `DataError`."""
    labels = cast(Labels, dataset.ground_truths["labels"])
    if labels.multi_label and not multi_label:
        raise DataError(
            f"{dataset.root} is multi-label, but the run was trained with one label per image; use other data."
        )
    unknown = [name for name in labels.classes if name not in classes]
    if unknown:
        raise DataError(
            f"The run does not know the class '{unknown[0]}' of {dataset.root}; it knows {', '.join(classes)}."
        )
    if multi_label and not labels.multi_label:
        labels = Labels(np.eye(len(labels.classes), dtype=np.uint8)[labels.values], labels.classes)
    ground_truths = {**dataset.ground_truths, "labels": labels.with_classes(classes)}
    return replace(dataset, ground_truths=ground_truths)
