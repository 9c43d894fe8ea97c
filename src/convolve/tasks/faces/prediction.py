"""What is found in images of any size: faces with their points and confidences, and drawings of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any

import cv2
from PIL import Image

from convolve.datasets.class_colors import class_color
from convolve.datasets.drawn_boxes import DrawnBox, draw_boxes
from convolve.files import atomic_write, check_replaceable
from convolve.marks import OVERLAY, has_mark, save_jpeg
from convolve.tasks.coco_document import build_document, check_document, write_document
from convolve.tasks.faces.cascade import POINTS, FoundFaces
from convolve.tasks.faces.options import FacePredictOptions
from convolve.values import Pixels

_QUALITY = 92
_EDGES = ("left", "top", "right", "bottom")
_POINT, _RIM = (255, 221, 51), (0, 0, 0)
_SIDES_PER_RADIUS = 40.0
Box = tuple[float, float, float, float]
Point = tuple[float, float]


@dataclass(frozen=True)
class Face:
    """The confidence, left, top, right and bottom, and x and y of each of the `POINTS`, in the image's pixels. What is
    guessed outside of the image stays there.
    """

    score: float
    box: Box
    points: tuple[Point, ...]


@dataclass(frozen=True)
class FacePrediction:
    """One image's ``size`` (height, width), its faces, the most confident first, and the file written. ``error`` says
    why an image could not be read.
    """

    image: str
    size: tuple[int, int] = (0, 0)
    faces: tuple[Face, ...] = ()
    overlay: str = ""
    error: str = ""

    def cells(self) -> Mapping[str, str]:
        """For people: how many faces there are, and how sure the first one is."""
        found = {"image": self.image, "size": f"{self.size[1]}x{self.size[0]}", "faces": str(len(self.faces))}
        found |= {"most confident": f"{self.faces[0].score:.1%}" if self.faces else ""}
        return found | ({"overlay": self.overlay} if self.overlay else {})

    def entries(self) -> Sequence[Mapping[str, str]]:
        """For programs: a row for each face, or one without a face."""
        columns = [f"{name} {axis}" for name in POINTS for axis in ("x", "y")]
        empty = dict.fromkeys(("confidence", *_EDGES, *columns), "")
        rows = [
            {
                "confidence": f"{face.score:.6f}",
                **dict(zip(_EDGES, (f"{edge:.2f}" for edge in face.box), strict=True)),
                **dict(zip(columns, (f"{value:.2f}" for point in face.points for value in point), strict=True)),
            }
            for face in self.faces
        ]
        return [{"image": self.image, **row, "error": self.error} for row in rows or [empty]]

    def as_json(self) -> dict[str, Any]:
        """The faces, each with its points by name, and the overlay."""
        return {
            "image": self.image,
            "size": list(self.size),
            "faces": [
                {
                    "confidence": face.score,
                    "box": list(face.box),
                    "points": {name: list(point) for name, point in zip(POINTS, face.points, strict=True)},
                }
                for face in self.faces
            ],
            "overlay": self.overlay,
            "error": self.error,
        }


class FacePredictions:
    """What the faces found in images say, by the options, and the files that are written of them."""

    def __init__(self, options: FacePredictOptions) -> None:
        self._out = options.out
        self._taken: set[str] = set()
        if options.out:
            check_document(options.out)

    def unreadable(self, name: str, error: str) -> FacePrediction:
        """Without faces."""
        return FacePrediction(name, error=error)

    def total(self, predictions: Sequence[FacePrediction]) -> Mapping[str, str]:
        """No row."""
        del predictions
        return {}

    def finish(self, predictions: Sequence[FacePrediction]) -> Path | None:
        """COCO annotations of all images, with keypoints, in the output folder."""
        if not self._out:
            return None
        read = [one for one in predictions if not one.error]
        annotations = [each for number, one in enumerate(read, 1) for each in _annotations(one, number)]
        document = build_document([(each.image, each.size) for each in read], ("face",), annotations)
        document["categories"][0] |= {"keypoints": list(POINTS), "skeleton": []}
        return write_document(self._out, document)

    def describe(self, name: str, pixels: Pixels, found: FoundFaces) -> FacePrediction:
        """The faces found in an image (H, W, 3); writes the drawn image where there is an output folder."""
        rows = zip(found.scores.tolist(), found.boxes.tolist(), found.points.tolist(), strict=True)
        faces = tuple(
            Face(score, (left, top, right, bottom), tuple((x, y) for x, y in points))
            for score, (left, top, right, bottom), points in rows
        )
        plain = FacePrediction(name, (pixels.shape[0], pixels.shape[1]), faces)
        return replace(plain, overlay=self._write(plain, pixels, self._out)) if self._out else plain

    def _write(self, prediction: FacePrediction, pixels: Pixels, folder: Path) -> str:
        """Write the drawn image, named after the image, and numbered where several have one name; its path."""
        stem = PurePath(prediction.image).stem
        names = (stem if number == 1 else f"{stem}-{number}" for number in range(1, 10**9))
        stem = next(name for name in names if name not in self._taken)
        self._taken.add(stem)
        path = folder / f"{stem}{OVERLAY}"
        check_replaceable(path, has_mark, "prediction that convolve wrote")
        with atomic_write(path) as draft:
            save_jpeg(Image.fromarray(draw_faces(pixels, prediction.faces)), draft, _QUALITY)
        return str(path)


def draw_faces(pixels: Pixels, faces: Sequence[Face]) -> Pixels:
    """(H, W, 3) an image (h, w, 3), enlarged where it is small, with boxes, confidences and points."""
    boxes = [DrawnBox(face.box, f"{face.score:.0%}", class_color(0)) for face in faces]
    drawn = draw_boxes(pixels, boxes).copy()
    factor = drawn.shape[0] / pixels.shape[0]
    for face in faces:
        side = factor * max(face.box[2] - face.box[0], face.box[3] - face.box[1])
        radius = max(2, round(side / _SIDES_PER_RADIUS))
        for x, y in face.points:
            center = round(factor * (x + 0.5)), round(factor * (y + 0.5))
            cv2.circle(drawn, center, radius + 1, _RIM, cv2.FILLED, cv2.LINE_AA)
            cv2.circle(drawn, center, radius, _POINT, cv2.FILLED, cv2.LINE_AA)
    return drawn


def _annotations(prediction: FacePrediction, number: int) -> Iterator[dict[str, Any]]:
    for face in prediction.faces:
        left, top, right, bottom = face.box
        yield {
            "image_id": number,
            "category_id": 1,
            "bbox": [left, top, right - left, bottom - top],
            "area": (right - left) * (bottom - top),
            "iscrowd": 0,
            "score": face.score,
            "keypoints": [value for x, y in face.points for value in (x, y, 2)],
            "num_keypoints": len(face.points),
        }
