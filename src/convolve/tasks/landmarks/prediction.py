"""What a network for landmarks predicts for images of any size: the positions of points, and drawings of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from PIL import Image

from convolve.datasets.crops import ImagePart
from convolve.datasets.images import to_channels
from convolve.datasets.point_sets import PointSet
from convolve.datasets.points import UNLABELED, VISIBLE, PointArray, draw_points
from convolve.files import atomic_write, check_replaceable
from convolve.marks import OVERLAY, has_mark, save_jpeg
from convolve.tasks.landmarks.options import LandmarkPredictOptions
from convolve.values import Floats, Pixels

_QUALITY = 92
_CROP = 1.5  # about how large what is cut out around an object is, to its points
_OBJECT = "object"  # what has the points is called so, since nothing says what it is


@dataclass(frozen=True)
class FoundPoint:
    """A point by its name, x and y in the image's pixels, and how sure it is, from 0 to 1 (None: it is not said)."""

    name: str
    x: float
    y: float
    confidence: float | None


@dataclass(frozen=True)
class PointPrediction:
    """One image's ``size`` (height, width), its points, and the file written. ``error`` says why an image could not be
    read; ``names`` are those of all points. Of a part of an image, such as `photo.jpg#2`, the size and the points are
    those in the ``whole`` image, `photo.jpg`.
    """

    image: str
    size: tuple[int, int] = (0, 0)
    points: tuple[FoundPoint, ...] = ()
    overlay: str = ""
    error: str = ""
    names: tuple[str, ...] = field(default=(), repr=False)
    whole: str = field(default="", repr=False)

    def cells(self) -> Mapping[str, str]:
        """For people: the size, the box around the points, and how sure the least sure one is."""
        found = {"image": self.image, "size": f"{self.size[1]}x{self.size[0]}", "points": str(len(self.points))}
        if self.points:
            xs, ys = [each.x for each in self.points], [each.y for each in self.points]
            found["from"] = f"{min(xs):.0f}, {min(ys):.0f}"
            found["to"] = f"{max(xs):.0f}, {max(ys):.0f}"
        known = [each for each in self.points if each.confidence is not None]
        if known:
            least = min(known, key=lambda each: each.confidence or 0.0)
            found["least sure"] = f"{least.name} {least.confidence:.1%}"
        return found | ({"overlay": self.overlay} if self.overlay else {})

    def entries(self) -> Sequence[Mapping[str, str]]:
        """For programs: a row for each point."""
        empty = dict.fromkeys(("point", "x", "y", "confidence"), "")
        rows = [
            {
                "point": each.name,
                "x": f"{each.x:.2f}",
                "y": f"{each.y:.2f}",
                "confidence": "" if each.confidence is None else f"{each.confidence:.6f}",
            }
            for each in self.points
        ]
        return [{"image": self.image, **row, "error": self.error} for row in rows or [empty]]

    def as_json(self) -> dict[str, Any]:
        """The points and the overlay."""
        return {
            "image": self.image,
            "size": list(self.size),
            "points": [
                {"name": each.name, "x": each.x, "y": each.y, "confidence": each.confidence} for each in self.points
            ],
            "overlay": self.overlay,
            "error": self.error,
        }


class PointPredictions:
    """What the points found in images say, by the options, and the files that are written of them."""

    def __init__(self, point_set: PointSet, options: LandmarkPredictOptions) -> None:
        self._point_set, self._options = point_set, options
        self._taken: set[str] = set()
        self._last: tuple[str, Path, Pixels] | None = None
        if options.out:
            from convolve.tasks.coco_document import check_document

            check_document(options.out)

    def unreadable(self, name: str, error: str) -> PointPrediction:
        """Without points."""
        return PointPrediction(name, error=error, names=self._point_set.names)

    def total(self, predictions: Sequence[PointPrediction]) -> Mapping[str, str]:
        """No row."""
        del predictions
        return {}

    def finish(self, predictions: Sequence[PointPrediction]) -> Path | None:
        """COCO's keypoints of all images, in the output folder; those of an image's parts are in the image."""
        if not self._options.out:
            return None
        from convolve.tasks.coco_document import build_document, write_document

        readable = [one for one in predictions if not one.error]
        sizes = {one.whole: one.size for one in readable}
        numbers = {name: number for number, name in enumerate(sizes, 1)}
        rows = [self._annotation(numbers[one.whole], one) for one in readable]
        document = build_document(list(sizes.items()), [_OBJECT], filter(None, rows))
        lines = [[one + 1, other + 1] for one, other in self._point_set.edges]
        document["categories"][0] |= {"keypoints": list(self._point_set.names), "skeleton": lines}
        return write_document(self._options.out, document)

    def describe(
        self, name: str, part: ImagePart, points: PointArray, confidences: Floats | None, pixels: Pixels | None
    ) -> PointPrediction:
        """The points (P, 2) found in an image, or in a part of one; writes the file where there are the ``pixels`` of
        the whole image.
        """
        sure = [None] * len(points) if confidences is None else confidences.tolist()
        found = tuple(
            FoundPoint(point, x, y, confidence)
            for point, (x, y), confidence in zip(
                self._point_set.names, (points + part.corner).tolist(), sure, strict=True
            )
        )
        plain = PointPrediction(name, part.size, found, names=self._point_set.names, whole=part.whole)
        return plain if pixels is None else replace(plain, overlay=self._write(plain, pixels))

    def _annotation(self, number: int, prediction: PointPrediction) -> dict[str, Any]:
        """The points of an image that are sure enough, as COCO has them; nothing where there are none."""
        sure = self._sure_enough(prediction)
        shown = [(each.x, each.y) for each, flag in zip(prediction.points, sure, strict=True) if flag]
        if not shown:
            return {}
        (left, right), (top, bottom) = ((min(values), max(values)) for values in zip(*shown, strict=True))
        rows = zip(prediction.points, sure, strict=True)
        known = [each.confidence for each in prediction.points if each.confidence is not None]
        return {
            "image_id": number,
            "category_id": 1,
            "keypoints": [
                value for each, flag in rows for value in ((each.x, each.y, VISIBLE) if flag else (0.0, 0.0, UNLABELED))
            ],
            "num_keypoints": len(shown),
            "score": sum(known) / len(known) if known else 1.0,
            "bbox": [left, top, right - left, bottom - top],
            "area": (right - left) * (bottom - top),
            "iscrowd": 0,
        }

    def _sure_enough(self, prediction: PointPrediction) -> list[bool]:
        """Which points are at least as sure as the options ask for."""
        least = self._options.threshold or 0.0
        return [each.confidence is None or each.confidence >= least for each in prediction.points]

    def _write(self, prediction: PointPrediction, pixels: Pixels) -> str:
        """Write the drawn image, named after the image, and numbered where several have one name; its path. The parts
        of an image, which follow one another, are drawn into one.
        """
        if self._last and self._last[0] == prediction.whole != prediction.image:
            _, path, pixels = self._last
        else:
            path = self._new_path(prediction.whole)
        visibility = np.where(self._sure_enough(prediction), VISIBLE, UNLABELED)
        points = np.array([(each.x, each.y) for each in prediction.points])
        side = float(np.ptp(points, axis=0).max()) * _CROP if prediction.whole != prediction.image else None
        drawn = draw_points(to_channels(pixels, 3), points, visibility, self._point_set, side)
        self._last = prediction.whole, path, drawn
        with atomic_write(path) as draft:
            save_jpeg(Image.fromarray(drawn), draft, _QUALITY)
        return str(path)

    def _new_path(self, name: str) -> Path:
        folder, stem = self._options.out or Path(), PurePath(name).stem
        names = (stem if number == 1 else f"{stem}-{number}" for number in range(1, 10**9))
        stem = next(name for name in names if name not in self._taken)
        self._taken.add(stem)
        path = folder / f"{stem}{OVERLAY}"
        check_replaceable(path, has_mark, "prediction that convolve wrote")
        return path
