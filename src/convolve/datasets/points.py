"""Points: where the parts of one object are in each image, such as the corners of the eyes. They follow the pixels by
the same matrices; where an image is flipped, left and right points exchange their places.
"""

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
from convolve.datasets.point_sets import PointSet
from convolve.errors import DataError
from convolve.targets import PointTargets
from convolve.values import Color, Dataset, Flags, GroundTruthFindings, Indices, Pixels, Placement, Remark, Targets

UNLABELED, HIDDEN, VISIBLE = 0, 1, 2
"""Visibility of a point, as in COCO."""
PointArray = npt.NDArray[np.float64]
"""(…, P, 2) x and y in pixels, counted from the outer edge of the first one."""
_PIXELS_PER_DOT = 90  # of the longer side of an image for the radius of a dot
_AGREE = 0.9  # of the images, which have left and right points on the same sides
_FEW = 10  # images, of which none can be said to be swapped
_EDGE_COLOR: Color = (255, 255, 255)


@final
@dataclass(frozen=True, eq=False)
class Points:
    """A `GroundTruth`: the P points of a ``point_set`` in each of N images.

    ``points`` (N, P, 2) are x and y in the pixels of the upright image, whose (height, width) is in ``sizes`` (N, 2);
    ``visibility`` (N, P) is 0 where a point is not labeled, 1 where it is hidden, 2 where it is visible. ``boxes``
    (N, 4) are left, top, right, bottom of the objects, and ``areas`` (N,) theirs in pixels, which an outline may make
    smaller than the box. ``failed`` says by index why the points of an image cannot be read.
    """

    points: PointArray
    visibility: Indices
    sizes: Indices
    point_set: PointSet
    boxes: PointArray
    areas: npt.NDArray[np.float64]
    failed: Mapping[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises `DataError` where the arrays do not fit together."""
        images, count = len(self.points), len(self.point_set.names)
        if self.points.shape != (images, count, 2) or self.visibility.shape != (images, count):
            raise DataError(f"The points of {images} images do not fit to {count} names.")
        if self.sizes.shape != (images, 2) or self.boxes.shape != (images, 4) or self.areas.shape != (images,):
            raise DataError(f"The points of {images} images do not fit to their sizes and boxes.")

    def __len__(self) -> int:
        return len(self.points)

    @property
    def classes(self) -> tuple[str, ...]:
        """None: every image has the same points."""
        return ()

    @property
    def covers(self) -> Flags:
        """(N,) which images have a labeled point."""
        return np.asarray((self.visibility > UNLABELED).any(1), dtype=bool)

    @property
    def lengths(self) -> npt.NDArray[np.float64]:
        """(N,) what errors are measured in, in pixels: see `PointSet.length`; nan where that is unknown or 0."""
        eyes = self.point_set.eyes
        if eyes is None:
            sides = np.maximum(self.boxes[:, 2:] - self.boxes[:, :2], 0)
            found = np.sqrt(sides.prod(1))
        else:
            found = np.linalg.norm(self.points[:, eyes[0]] - self.points[:, eyes[1]], axis=1)
            found = np.where((self.visibility[:, list(eyes)] > UNLABELED).all(1), found, np.nan)
        return np.where(found > 0, found, np.nan)

    @property
    def findings(self) -> GroundTruthFindings:
        """The points that cannot be read, how many there are of each visibility, and those that are likely wrong."""
        labeled = np.count_nonzero(self.visibility > UNLABELED, axis=1)
        each = np.sort(labeled) if len(self) else np.zeros(1, dtype=np.int64)
        pairs = len(self.point_set.pairs)
        facts = {
            "points": f"{len(self.point_set.names):,}, of which {pairs:,} pairs of left and right",
            "labeled": f"{labeled.sum():,}, {each[0]:,} to {each[-1]:,} per image (median {each[len(each) // 2]:,})",
            "hidden": f"{np.count_nonzero(self.visibility == HIDDEN):,}",
            "errors in": self.point_set.length,
        }
        return GroundTruthFindings(self.failed, facts=facts, remarks=self._remarks())

    def presence(self) -> Flags:
        """(N, 0): there are no classes."""
        return np.zeros((len(self), 0), dtype=bool)

    def digest(self, index: int) -> bytes:
        """BLAKE2b of an image's points, their visibility and the object's box."""
        columns = (self.points, self.visibility, self.boxes, self.areas)
        content = b"".join(np.ascontiguousarray(column[index]).tobytes() for column in columns)
        return hashlib.blake2b(content, digest_size=DIGEST_BYTES).digest()

    def take(self, indices: Indices) -> Points:
        """The points of some images, in the order asked."""
        return replace(
            self,
            points=self.points[indices],
            visibility=self.visibility[indices],
            sizes=self.sizes[indices],
            boxes=self.boxes[indices],
            areas=self.areas[indices],
            failed={row: self.failed[index] for row, index in enumerate(indices.tolist()) if index in self.failed},
        )

    def with_classes(self, names: Sequence[str]) -> Points:
        """The same; raises `DataError` for classes, of which points have none."""
        if names:
            raise DataError("Points have no classes; give a dataset with the same points.")
        return self

    def targets(self, indices: Indices, placement: Placement) -> PointTargets:
        """The points in pixels of the input. One that lies outside of it is not learned from. Where a matrix flips an
        image, partners exchange their places.
        """
        scales = placement.sizes[:, ::-1] / np.maximum(self.sizes[indices][:, ::-1], 1)
        moved = move_points(self.points[indices] * scales[:, None], placement.matrices)
        visibility, lengths = self.visibility[indices], self.lengths[indices]
        determinants = np.linalg.det(placement.matrices[:, :, :2])
        flipped = determinants < 0
        order = list(self.point_set.partners)
        moved[flipped], visibility[flipped] = moved[flipped][:, order], visibility[flipped][:, order]
        extent = placement.preprocessing.width, placement.preprocessing.height
        inside = ((moved >= 0) & (moved <= extent)).all(2)
        grown = np.sqrt(np.abs(determinants) * scales.prod(1))
        return PointTargets(
            moved.astype(np.float32), np.where(inside, visibility, UNLABELED), (lengths * grown).astype(np.float32)
        )

    def draw(self, images: Pixels, targets: Targets) -> tuple[Pixels, list[str]]:
        """(N, H, W, 3) the images with their points and the lines between them, and how many of them are labeled."""
        found = cast(PointTargets, targets)
        rgb = np.broadcast_to(images, (*images.shape[:3], 3))
        drawn = [
            draw_points(image, points, visibility, self.point_set)
            for image, points, visibility in zip(rgb, found.points, found.visibility, strict=True)
        ]
        count, labeled = len(self.point_set.names), np.count_nonzero(found.visibility > UNLABELED, axis=1)
        return np.stack(drawn), [f"{number} of {count} points" for number in labeled.tolist()]

    def sides(self) -> npt.NDArray[np.float64]:
        """(N,) from -1 to 1: of the pairs that are labeled, how many more have the left point on the right."""
        pairs = np.array(self.point_set.pairs, dtype=np.int64).reshape(-1, 2)
        lefts = np.array([self.point_set.side(one) == "left" for one, _ in pairs.tolist()], dtype=bool)
        pairs = np.where(lefts[:, None], pairs, pairs[:, ::-1])
        known = (self.visibility[:, pairs] > UNLABELED).all(2)
        apart = np.sign(self.points[:, pairs[:, 0], 0] - self.points[:, pairs[:, 1], 0])
        totals: npt.NDArray[np.float64] = (apart * known).sum(1) / np.maximum(known.sum(1), 1)
        return totals

    def _remarks(self) -> tuple[Remark, ...]:
        """What is odd about points."""
        labeled = self.visibility > UNLABELED
        outside = ((self.points < 0) | (self.points > self.sizes[:, None, ::-1])).any(2) & labeled
        found = [
            (outside.any(1), "a point outside of the image", "correct it, or mark it as not labeled"),
            (
                labeled.any(1) & ~(self.visibility == VISIBLE).any(1),
                "only hidden points",
                "check whether that is meant",
            ),
            (self._swapped(), "left and right on other sides than nearly all others", "exchange them"),
        ]
        return tuple(
            Remark(
                f"{flags.sum():,} image{'s have' if flags.sum() > 1 else ' has'} {what}",
                tuple(np.flatnonzero(flags).tolist()),
                remedy,
            )
            for flags, what, remedy in found
            if flags.any()
        )

    def _swapped(self) -> Flags:
        """(N,) images whose pairs are mostly on other sides, where nearly all images agree on them."""
        sides = np.sign(self.sides())
        told = sides != 0
        usual = np.sign(sides.sum())
        count, agree = int(told.sum()), int((sides == usual).sum())
        certain = count >= _FEW and agree >= _AGREE * count
        return np.asarray(told & (sides == -usual) & certain, dtype=bool)


def conform_points(dataset: Dataset, point_set: PointSet) -> Dataset:
    """A dataset whose points are those of a set. Raises `DataError` where it has others."""
    points = cast(Points, dataset.ground_truths["points"])
    names = points.point_set.names
    if names != point_set.names:
        differing = next((name for name in names if name not in point_set.names), "")
        what = f"a point '{differing}'" if differing else f"{len(names)} points in another order or number"
        raise DataError(f"{dataset.root} has {what}; the run knows {', '.join(point_set.names)}.")
    own = replace(points, point_set=point_set)
    return replace(dataset, ground_truths={**dataset.ground_truths, "points": own})


def move_points(points: PointArray, matrices: npt.NDArray[np.float64]) -> PointArray:
    """(N, P, 2) points as their matrices (N, 2, 3) move them."""
    moved: PointArray = points @ matrices[:, :, :2].transpose(0, 2, 1) + matrices[:, None, :, 2]
    return moved


def draw_points(
    image: Pixels,
    points: npt.NDArray[np.floating],
    visibility: Indices,
    point_set: PointSet,
    side: float | None = None,
) -> Pixels:
    """(H, W, 3) a copy of an image with its labeled points (P, 2) and the lines between them; hidden ones are rings.
    Dots are as large as is right for an object of a ``side`` in pixels, by default of the image's longer one.
    """
    canvas = np.ascontiguousarray(image).copy()
    radius = max(1, round((side or max(image.shape[:2])) / _PIXELS_PER_DOT))
    corners = np.rint(np.nan_to_num(points) - 0.5).astype(int).clip(-(2**14), 2**14).tolist()
    for one, other in point_set.edges:
        if visibility[one] and visibility[other]:
            cv2.line(canvas, tuple(corners[one]), tuple(corners[other]), _EDGE_COLOR, max(1, radius // 2), cv2.LINE_AA)
    for index, corner in enumerate(corners):
        if visibility[index]:
            filled = -1 if visibility[index] == VISIBLE else max(1, radius // 2)
            cv2.circle(canvas, tuple(corner), radius, point_color(point_set, index), filled, cv2.LINE_AA)
    return canvas


def point_color(point_set: PointSet, index: int) -> Color:
    """One color for the left points, one for the right ones, and one for those without a partner."""
    return class_color(("left", "right", "").index(point_set.side(index)))
