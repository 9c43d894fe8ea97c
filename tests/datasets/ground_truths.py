"""Ground truths and targets under their own types."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from convolve.datasets.boxes import Boxes
from convolve.datasets.labels import Labels
from convolve.datasets.masks import Masks
from convolve.datasets.preprocess import box_matrices, source_boxes
from convolve.targets import ArrayTargets
from convolve.values import Batch, Dataset, Placement, Preprocessing


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


def boxes_of(dataset: Dataset) -> Boxes:
    """Its boxes, which it must have."""
    found = dataset.ground_truths["boxes"]
    assert isinstance(found, Boxes)
    return found


def boxes_by_row(dataset: Dataset) -> list[list[tuple[str, tuple[float, ...]]]]:
    """The class and the edges of each object of each image."""
    boxes = boxes_of(dataset)
    found = []
    for index in range(len(dataset)):
        rows, _ = boxes.rows(np.array([index]))
        names = [boxes.classes[kind] for kind in boxes.class_indices[rows].tolist()]
        edges = [tuple(each) for each in boxes.boxes[rows].round(6).tolist()]
        found.append(list(zip(names, edges, strict=True)))
    return found


def boxes_by_image(dataset: Dataset) -> dict[str, list[tuple[str, tuple[float, ...]]]]:
    """The class and the edges of each object, by the image."""
    return {dataset.images.name(index): found for index, found in enumerate(boxes_by_row(dataset))}


def values(batch: Batch) -> npt.NDArray[Any]:
    """(N, …) the targets of a batch, which must be an array."""
    assert isinstance(batch.targets, ArrayTargets)
    return batch.targets.values


def placement(sizes: list[tuple[int, int]], preprocessing: Preprocessing) -> Placement:
    """Where images of those heights and widths are in the input when nothing is varied."""
    array = np.array(sizes, dtype=np.int64).reshape(-1, 2)
    return Placement(box_matrices(source_boxes(array, preprocessing), preprocessing), array, preprocessing)
