"""Detected boxes and the objects they are measured against: what the metrics of object detection take.

Boxes are (…, 4) left, top, right, bottom in pixels, counted continuously from the outer edge of the first pixel, as in
`convolve.metrics.boxes`. A box may have no area, and may reach beyond its image. Images and classes are indices from 0.

>>> objects = ObjectBoxes.of(np.array([[0.0, 0, 4, 4], [2, 2, 8, 6]]), np.array([0, 2]), images=np.array([0, 1]))
>>> objects.areas.tolist(), objects.counts(classes=3).tolist()
([16.0, 24.0], [1, 0, 1])
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from convolve.errors import DataError
from convolve.metrics.boxes import BoxArray, box_areas
from convolve.values import Flags, Indices


@final
@dataclass(frozen=True, eq=False)
class ObjectBoxes:
    """M objects that are in the images: ``boxes`` (M, 4) float64, ``classes`` (M,) and ``images`` (M,) int64.

    ``areas`` (M,) in square pixels are those of the objects, which a mask may make smaller than the box. ``crowd`` (M,)
    boxes hold any number of objects; ``difficult`` (M,) ones need not be found. What either means is each metric's own
    rule. The order of an image's objects decides between equal overlaps. Arrays of other widths, such as float32, are
    converted. Raises `DataError` for arrays that do not fit together, edges or areas that are not finite, a right or
    bottom edge before its left or top, negative indices.
    """

    boxes: BoxArray
    classes: Indices
    images: Indices
    areas: BoxArray
    crowd: Flags
    difficult: Flags

    @classmethod
    def of(
        cls,
        boxes: BoxArray,
        classes: Indices,
        images: Indices,
        crowd: Flags | None = None,
        difficult: Flags | None = None,
    ) -> ObjectBoxes:
        """Objects whose areas are those of their boxes; none is a crowd or difficult unless flags (M,) say so."""
        none = np.zeros(len(boxes), dtype=np.bool_)
        areas = box_areas(boxes)
        return cls(
            boxes, classes, images, areas, none if crowd is None else crowd, none if difficult is None else difficult
        )

    def __post_init__(self) -> None:
        _convert(self, floats=("boxes", "areas"))
        _check_boxes("objects", self.boxes, self.classes, self.images)
        count = len(self.boxes)
        if any(column.shape != (count,) for column in (self.areas, self.crowd, self.difficult)):
            raise DataError(f"{count} objects need an area and two flags each.")
        if not (np.isfinite(self.areas) & (self.areas >= 0)).all():
            raise DataError("The area of an object is negative or not a number.")

    def __len__(self) -> int:
        return len(self.boxes)

    @property
    def ignored(self) -> Flags:
        """(M,) crowds and difficult objects: whether they are found neither adds to a count nor takes from it."""
        return self.crowd | self.difficult

    def take(self, rows: Indices | Flags) -> ObjectBoxes:
        """Some of the objects, in the order asked."""
        return ObjectBoxes(
            self.boxes[rows],
            self.classes[rows],
            self.images[rows],
            self.areas[rows],
            self.crowd[rows],
            self.difficult[rows],
        )

    def counts(self, classes: int) -> Indices:
        """(classes,) how many objects of each class there are, without those that are `ignored`."""
        return np.bincount(self.classes[~self.ignored], minlength=classes).astype(np.int64)


@final
@dataclass(frozen=True, eq=False)
class Detections:
    """D detected boxes: ``boxes`` (D, 4) and ``scores`` (D,) float64, ``classes`` (D,) and ``images`` (D,) int64.

    They may be in any order; it decides between equal scores. Arrays of other widths, such as float32, are converted.
    Raises `DataError` for arrays that do not fit together, edges or scores that are not finite, a right or bottom edge
    before its left or top, negative indices.
    """

    boxes: BoxArray
    scores: BoxArray
    classes: Indices
    images: Indices

    def __post_init__(self) -> None:
        _convert(self, floats=("boxes", "scores"))
        _check_boxes("detections", self.boxes, self.classes, self.images)
        if self.scores.shape != (len(self.boxes),):
            raise DataError(f"{len(self.boxes)} detections need a score each.")
        if not np.isfinite(self.scores).all():
            raise DataError("The score of a detection is not a finite number.")

    def __len__(self) -> int:
        return len(self.boxes)

    def take(self, rows: Indices | Flags) -> Detections:
        """Some of the detections, in the order asked."""
        return Detections(self.boxes[rows], self.scores[rows], self.classes[rows], self.images[rows])


def check_indices(objects: ObjectBoxes, detections: Detections, classes: int) -> None:
    """Raises `DataError` where a class index is not below ``classes``."""
    for name, indices in (("an object", objects.classes), ("a detection", detections.classes)):
        if len(indices) and int(indices.max()) >= classes:
            raise DataError(f"The class index {int(indices.max())} of {name} is none of the {classes} classes.")


def _convert(values: ObjectBoxes | Detections, floats: tuple[str, str]) -> None:
    """Give columns and indices their types; indices are not made of fractions."""
    for name, kind in (*((name, np.float64) for name in floats), ("classes", np.int64), ("images", np.int64)):
        object.__setattr__(values, name, getattr(values, name).astype(kind, casting="same_kind", copy=False))


def _check_boxes(name: str, boxes: BoxArray, classes: Indices, images: Indices) -> None:
    count = len(boxes)
    if boxes.shape != (count, 4) or classes.shape != (count,) or images.shape != (count,):
        raise DataError(f"{count} {name} need four edges, a class and an image each.")
    if not np.isfinite(boxes).all():
        raise DataError(f"An edge of the {name} is not a finite number.")
    if (boxes[:, 2:] < boxes[:, :2]).any():
        raise DataError(f"The right or bottom edge of one of the {name} is before its left or top edge.")
    if count and min(int(classes.min()), int(images.min())) < 0:
        raise DataError(f"The class and image indices of {name} count from 0.")
