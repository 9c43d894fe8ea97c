"""One object for each image, out of boxes of any number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import numpy as np

from convolve.datasets.boxes import Boxes
from convolve.errors import DataError
from convolve.metrics.boxes import box_areas
from convolve.values import Dataset, Flags, Images, Indices

_LEFT_OUT, _LARGEST = "left out, as they show no object: ", "of several objects in an image only the largest counts: "
_NAMED = 3


def with_one_object(dataset: Dataset) -> Dataset:
    """The images that show an object, each with the box of its largest one alone; notes say what that changed.

    Crowds and difficult objects do not count, nor boxes without area. An image whose annotation or file cannot be read
    stays, for the doctor to name. Raises `DataError` where no image has a box.
    """
    dataset = dataset.for_ground_truth("boxes")
    boxes = cast(Boxes, dataset.ground_truths["boxes"])
    largest, several = _largest_objects(boxes)
    unknown = np.isin(np.arange(len(boxes)), list(boxes.failed)) | (boxes.sizes == 0).any(1)
    chosen = np.flatnonzero((largest >= 0) | unknown).astype(np.int64)
    if not (largest >= 0).any():
        raise DataError(f"{dataset.root} has no box around any object; annotate some.")
    if len(chosen) == len(boxes) and len(boxes.boxes) == np.count_nonzero(largest >= 0):
        return dataset
    notes = [
        f"{what}{_some(dataset.images, np.flatnonzero(images))}"
        for what, images in ((_LEFT_OUT, (largest < 0) & ~unknown), (_LARGEST, several))
        if images.any()
    ]
    ground_truths = {**dataset.ground_truths, "boxes": _only(boxes, largest)}
    reduced = replace(dataset, ground_truths=ground_truths, notes=(*dataset.notes, *notes))
    return reduced if len(chosen) == len(boxes) else reduced.take(chosen)


def notes_on_objects(dataset: Dataset) -> tuple[str, ...]:
    """The notes of `with_one_object`."""
    return tuple(note for note in dataset.notes if note.startswith((_LEFT_OUT, _LARGEST)))


def _largest_objects(boxes: Boxes) -> tuple[Indices, Flags]:
    """(N,) the row of each image's largest object, the first of equal ones, -1 without any; (N,) where are more."""
    areas = np.where(boxes.crowd | boxes.difficult, 0.0, box_areas(boxes.boxes))
    image = np.repeat(np.arange(len(boxes)), np.diff(boxes.first))
    order = np.lexsort((np.arange(len(areas)), -areas, image))
    order = order[areas[order] > 0]
    images, starts, counts = np.unique(image[order], return_index=True, return_counts=True)
    largest = np.full(len(boxes), -1, dtype=np.int64)
    largest[images] = order[starts]
    several = np.zeros(len(boxes), dtype=bool)
    several[images] = counts > 1
    return largest, several


def _only(boxes: Boxes, largest: Indices) -> Boxes:
    """The boxes of these rows (N,) alone, one of each image, or none where it is -1."""
    rows = largest[largest >= 0]
    return replace(
        boxes,
        boxes=boxes.boxes[rows],
        class_indices=boxes.class_indices[rows],
        areas=boxes.areas[rows],
        crowd=boxes.crowd[rows],
        difficult=boxes.difficult[rows],
        first=np.concatenate([[0], np.cumsum(largest >= 0)]).astype(np.int64),
    )


def _some(images: Images, indices: Sequence[int] | Indices) -> str:
    names = ", ".join(images.name(int(index)) for index in indices[:_NAMED])
    return f"{len(indices):,} image{'' if len(indices) == 1 else 's'}, such as {names}"
