"""Boxes: where each object of an image is, and its class. They follow the pixels by the same matrices."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast, final

import cv2
import numpy as np
import numpy.typing as npt

from convolve.datasets.class_colors import class_color
from convolve.datasets.images import DIGEST_BYTES
from convolve.datasets.mosaic import PARTS
from convolve.errors import DataError
from convolve.targets import BoxTargets
from convolve.values import (
    Flags,
    Floats,
    GroundTruthFindings,
    Indices,
    Matrices,
    Pixels,
    Placement,
    Remark,
    Targets,
)

MIN_VISIBLE = 0.25
"""Fraction of a box's area that must stay in the input; a box of which less is visible is dropped."""
SIZE_CLASSES = {"small": 0.0, "medium": 32.0**2, "large": 96.0**2}
"""COCO's classes of objects by the least area in pixels (the largest ones of a class belong to it too)."""
_NEARLY_ALL = 0.95  # of an image
_PIXELS_PER_LINE = 110  # of the longer side of an image with frames
_REPEATED = 1e-3  # pixels: boxes that differ by less are the same


@final
@dataclass(frozen=True, eq=False)
class Boxes:
    """A `GroundTruth`: M boxes of N images, those of image i from ``first[i]`` to ``first[i + 1]``; ``first`` (N + 1,).

    ``boxes`` (M, 4) are left, top, right, bottom in the pixels of the upright image, whose (height, width) is in
    ``sizes`` (N, 2); ``class_indices`` (M,) say what they hold. ``areas`` (M,) in pixels are those of the objects,
    which a mask may make smaller than the box. ``crowd`` (M,) boxes hold many objects; those and the ``difficult`` (M,)
    ones are not learned from. An image without boxes has no object. ``failed`` says by index why an image's annotation
    cannot be read. Of a box that is moved out of the input at least ``min_visible`` of the area must stay.
    """

    boxes: npt.NDArray[np.float64]
    class_indices: Indices
    first: Indices
    sizes: Indices
    classes: tuple[str, ...]
    areas: npt.NDArray[np.float64]
    crowd: Flags
    difficult: Flags
    covers: Flags
    min_visible: float = MIN_VISIBLE
    failed: Mapping[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises `DataError` where the arrays do not fit together, or a class index is out of range."""
        count, images = len(self.boxes), len(self.first) - 1
        rows = (self.class_indices, self.areas, self.crowd, self.difficult)
        if self.boxes.shape != (count, 4) or any(row.shape != (count,) for row in rows):
            raise DataError(f"{count} boxes need four edges, a class, an area and two flags each.")
        if self.sizes.shape != (images, 2) or self.covers.shape != (images,) or int(self.first[-1]) != count:
            raise DataError(f"The boxes of {images} images do not fit to their sizes.")
        if count and not 0 <= int(self.class_indices.min()) <= int(self.class_indices.max()) < len(self.classes):
            raise DataError(f"A box is of none of the {len(self.classes)} classes; they count from 0.")

    def __len__(self) -> int:
        return len(self.first) - 1

    @property
    def findings(self) -> GroundTruthFindings:
        """The annotations that cannot be read; how many objects there are of each class and size; and boxes that are
        likely wrong.
        """
        counts = {"objects": self.counts()}
        bounds = [*SIZE_CLASSES.values(), np.inf]
        for name, least, most in zip(SIZE_CLASSES, bounds[:-1], bounds[1:], strict=True):
            counts[name] = self._count((self.areas <= most) & ((self.areas > least) | (least == 0)))
        counts |= {
            name: self._count(flags)
            for name, flags in (("crowd", self.crowd), ("difficult", self.difficult))
            if flags.any()
        }
        each = np.sort(counts["objects"].sum(1)) if len(self) else np.zeros(1, dtype=np.int64)
        facts = {
            "objects": f"{len(self.boxes):,}",
            "per image": f"{each[0]:,} to {each[-1]:,} (median {each[len(each) // 2]:,})",
            "images without objects": f"{np.count_nonzero(each == 0):,}",
        }
        return GroundTruthFindings(self.failed, counts, facts=facts, remarks=self._remarks())

    def rows(self, indices: Indices) -> tuple[Indices, Indices]:
        """(K,) the boxes of some images, image after image, and (K,) each one's position in ``indices``."""
        counts = np.where(indices >= 0, self.first[indices + 1] - self.first[indices], 0)
        before = np.cumsum(counts) - counts
        rows = np.arange(counts.sum()) + np.repeat(self.first[indices] - before, counts)
        return rows.astype(np.int64), np.repeat(np.arange(len(indices)), counts)

    def counts(self) -> Indices:
        """(N, C) how many objects of each class each image has; crowds count once."""
        return self._count(np.ones(len(self.boxes), dtype=bool))

    def presence(self) -> Flags:
        """(N, C) which classes occur in which images."""
        return self.counts() > 0

    def digest(self, index: int) -> bytes:
        """BLAKE2b of an image's boxes and their classes."""
        part = slice(int(self.first[index]), int(self.first[index + 1]))
        columns = (self.boxes, self.class_indices, self.areas, self.crowd, self.difficult)
        content = b"".join(np.ascontiguousarray(column[part]).tobytes() for column in columns)
        return hashlib.blake2b(content, digest_size=DIGEST_BYTES).digest()

    def take(self, indices: Indices) -> Boxes:
        """The boxes of some images, in the order asked; -1 stands for an image of which nothing is known."""
        rows, image = self.rows(indices)
        first = np.concatenate([[0], np.cumsum(np.bincount(image, minlength=len(indices)))]).astype(np.int64)
        return self._with_rows(rows, first, indices)

    def with_classes(self, names: Sequence[str]) -> Boxes:
        """The boxes with the classes ``names`` in that order; those of any other class are left out."""
        positions = {name: position for position, name in enumerate(names)}
        table = np.array([positions.get(name, -1) for name in self.classes], dtype=np.int64)
        rows = np.flatnonzero(table[self.class_indices] >= 0)
        first = np.searchsorted(rows, self.first).astype(np.int64)
        chosen = self._with_rows(rows, first, np.arange(len(self)))
        return replace(chosen, class_indices=table[chosen.class_indices], classes=tuple(names))

    def targets(self, indices: Indices, placement: Placement) -> BoxTargets:
        """The boxes in pixels of the input: each is the one around the four corners of the old box as the matrix moves
        them, so that one that is rotated grows, and is clipped to the input, or to its image's region of a mosaic; one
        of which less than ``min_visible`` of the area is left is dropped.
        """
        rows, image = self.rows(indices)
        scales = placement.sizes[:, ::-1] / np.maximum(self.sizes[indices][:, ::-1], 1)
        edges, remains = boxes_in_input(self.boxes[rows], image, scales, placement, self.min_visible)
        rows, image = rows[remains], image[remains]
        ignored = self.crowd[rows] | self.difficult[rows]
        parts = 1 if placement.regions is None else PARTS
        return BoxTargets(edges, self.class_indices[rows], image // parts, len(indices) // parts, ignored)

    def draw(self, images: Pixels, targets: Targets) -> tuple[Pixels, list[str]]:
        """(N, H, W, 3) the images with a frame around each object, which is also seen where they are reduced to a small
        size, and the number of objects of each class.
        """
        found = cast(BoxTargets, targets)
        drawn = np.broadcast_to(images, (*images.shape[:3], 3)).copy()
        counts = np.zeros((len(images), len(self.classes)), dtype=np.int64)
        width = max(1, round(max(images.shape[1:3]) / _PIXELS_PER_LINE))
        for box, kind, image in zip(found.boxes, found.classes, found.image, strict=True):
            left, top, right, bottom = np.rint(box).astype(int).tolist()
            for inset in range(min(width, max(1, (right - left) // 2), max(1, (bottom - top) // 2))):
                corners = (left + inset, top + inset), (right - 1 - inset, bottom - 1 - inset)
                cv2.rectangle(drawn[image], *corners, class_color(int(kind)), 1)
            counts[image, kind] += 1
        names = [" + ".join(f"{row[kind]} {self.classes[kind]}" for kind in np.flatnonzero(row)) for row in counts]
        return drawn, [name or "no object" for name in names]

    def _images(self) -> Indices:
        """(M,) the image of each box."""
        return np.repeat(np.arange(len(self)), np.diff(self.first))

    def _count(self, chosen: Flags) -> Indices:
        """(N, C) how many of the chosen (M,) objects of each class each image has."""
        found = np.zeros((len(self), len(self.classes)), dtype=np.int64)
        np.add.at(found, (self._images()[chosen], self.class_indices[chosen]), 1)
        return found

    def _remarks(self) -> tuple[Remark, ...]:
        """What is odd about boxes, without those that a reader has left out already."""
        image = self._images()
        rounded = np.rint(self.boxes / _REPEATED).astype(np.int64)
        keys = np.column_stack([image, self.class_indices, rounded])
        repeated = np.ones(len(keys), dtype=bool)
        repeated[np.unique(keys, axis=0, return_index=True)[1]] = False
        sides = self.boxes[:, 2:] - self.boxes[:, :2]
        nearly = (sides.prod(1) >= _NEARLY_ALL * np.maximum(self.sizes[image].prod(1), 1)) & ~self.crowd
        found = (
            (repeated, "the class and the box of another one in the same image", "remove the duplicates"),
            (nearly, "a box that covers nearly all of the image", "check whether that is meant"),
        )
        return tuple(
            Remark(
                f"{rows.sum():,} object{'s have' if rows.sum() > 1 else ' has'} {what}",
                tuple(np.unique(image[rows]).tolist()),
                remedy,
            )
            for rows, what, remedy in found
            if rows.any()
        )

    def _with_rows(self, rows: Indices, first: Indices, images: Indices) -> Boxes:
        """Some of the boxes, of some of the images, those of image i from ``first[i]``."""
        there = images >= 0
        return replace(
            self,
            boxes=self.boxes[rows],
            class_indices=self.class_indices[rows],
            areas=self.areas[rows],
            crowd=self.crowd[rows],
            difficult=self.difficult[rows],
            first=first,
            sizes=self.sizes[images],
            covers=self.covers[images] & there,
            failed={row: self.failed[index] for row, index in enumerate(images.tolist()) if index in self.failed},
        )


def boxes_in_input(
    boxes: npt.NDArray[np.float64],
    image: Indices,
    scales: npt.NDArray[np.float64],
    placement: Placement,
    min_visible: float,
) -> tuple[Floats, Flags]:
    """Boxes (M, 4) of images ``image`` (M,) in pixels of the input, without those that are hardly visible there, and
    which of them are left (M,); see `Boxes.targets`. ``scales`` (N, 2; across, down) take pixels of the boxes to those
    of ``placement.sizes``.
    """
    moved = move_boxes(boxes * np.tile(scales, 2)[image], placement.matrices[image])
    extent = np.array([[0, 0, placement.preprocessing.width, placement.preprocessing.height]])
    visible_part = np.tile(extent, (len(scales), 1)) if placement.regions is None else placement.regions
    low, high = (np.tile(corner[image], 2) for corner in (visible_part[:, :2], visible_part[:, 2:]))
    clipped = np.clip(moved, low, high)
    sides, visible = moved[:, 2:] - moved[:, :2], clipped[:, 2:] - clipped[:, :2]
    remains: Flags = (visible > 0).all(1) & (visible.prod(1) >= min_visible * sides.prod(1))
    return clipped[remains].astype(np.float32), remains


def move_boxes(boxes: npt.NDArray[np.float64], matrices: Matrices) -> npt.NDArray[np.float64]:
    """(M, 4) boxes around the corners of boxes (M, 4) as their matrices (M, 2, 3) move them."""
    corners = boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2)
    moved = corners @ matrices[:, :, :2].transpose(0, 2, 1) + matrices[:, None, :, 2]
    return np.concatenate([moved.min(1), moved.max(1)], axis=1)
