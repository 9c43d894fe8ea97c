"""What a localization network predicts for images of any size: the class, the box, and drawings of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from PIL import Image

from convolve.datasets.class_colors import class_color
from convolve.datasets.drawn_boxes import DrawnBox, draw_boxes
from convolve.files import atomic_write, check_replaceable
from convolve.marks import OVERLAY, has_mark, save_jpeg
from convolve.metrics.boxes import BoxArray
from convolve.tasks.localize.options import LocalizePredictOptions
from convolve.values import Floats, Pixels

UNSURE = "unsure"
_QUALITY = 92
_EDGES = ("left", "top", "right", "bottom")


@dataclass(frozen=True)
class LocalizationPrediction:
    """One image's ``size`` (height, width), its ``label`` (or `unsure`), the confidence of the most likely class, the
    most likely ``classes``, and the ``box`` around its object: left, top, right and bottom in the image's pixels.

    ``error`` says why an image could not be read; it has no label and no box then.
    """

    image: str
    size: tuple[int, int] = (0, 0)
    label: str = ""
    confidence: float = 0.0
    classes: tuple[tuple[str, float], ...] = ()
    box: tuple[float, float, float, float] | None = None
    overlay: str = ""
    error: str = ""

    def cells(self) -> Mapping[str, str]:
        """For people."""
        likely = ", ".join(f"{name} {probability:.1%}" for name, probability in self.classes)
        box = " ".join(f"{edge:.0f}" for edge in self.box or ())
        found = {"image": self.image, "label": self.label, "confidence": f"{self.confidence:.1%}"}
        found |= {"box (left top right bottom)": box, "most likely": likely}
        return found | ({"overlay": self.overlay} if self.overlay else {})

    def entries(self) -> Sequence[Mapping[str, str]]:
        """For programs."""
        confidence = f"{self.confidence:.6f}" if self.label else ""
        edges = [f"{edge:.2f}" for edge in self.box] if self.box else [""] * len(_EDGES)
        found = {"image": self.image, "label": self.label, "confidence": confidence}
        return [found | dict(zip(_EDGES, edges, strict=True)) | {"error": self.error}]

    def as_json(self) -> dict[str, Any]:
        """The label, the most likely classes, the box, and the overlay."""
        return {
            "image": self.image,
            "size": list(self.size),
            "label": self.label,
            "confidence": self.confidence,
            "classes": [list(pair) for pair in self.classes],
            "box": list(self.box) if self.box else None,
            "overlay": self.overlay,
            "error": self.error,
        }


class LocalizationPredictions:
    """What the class and the box of images say, by the options, and the files that are written of them."""

    def __init__(self, classes: tuple[str, ...], options: LocalizePredictOptions) -> None:
        self._classes, self._options = classes, options
        self._taken: set[str] = set()
        if options.out:
            from convolve.tasks.coco_document import check_document

            check_document(options.out)

    def unreadable(self, name: str, error: str) -> LocalizationPrediction:
        """Without a label."""
        return LocalizationPrediction(name, error=error)

    def total(self, predictions: Sequence[LocalizationPrediction]) -> Mapping[str, str]:
        """No row."""
        del predictions
        return {}

    def finish(self, predictions: Sequence[LocalizationPrediction]) -> Path | None:
        """COCO annotations of all boxes, of the most likely class each, in the output folder."""
        if not self._options.out:
            return None
        from convolve.tasks.coco_document import build_document, write_document

        readable = [one for one in predictions if one.box]
        numbers = {name: number for number, name in enumerate(self._classes, 1)}
        annotations = []
        for number, one in enumerate(readable, 1):
            left, top, right, bottom = one.box or (0.0, 0.0, 0.0, 0.0)
            area = (right - left) * (bottom - top)
            annotation = {"image_id": number, "category_id": numbers[one.classes[0][0]], "score": one.confidence}
            annotations.append(
                annotation | {"bbox": [left, top, right - left, bottom - top], "area": area, "iscrowd": 0}
            )
        images = [(one.image, one.size) for one in readable]
        return write_document(self._options.out, build_document(images, self._classes, annotations))

    def describe(
        self, name: str, size: tuple[int, int], found: tuple[Floats, BoxArray], pixels: Pixels | None
    ) -> LocalizationPrediction:
        """What the probabilities (C,) and the box (4,) of an image of a ``size`` (height, width) say, the box clipped
        to it; draws the box where there are the image's ``pixels``.
        """
        scores, box = found
        order = np.argsort(-scores, kind="stable")[: self._options.top]
        likely = tuple((self._classes[index], float(scores[index])) for index in order.tolist())
        label, confidence = likely[0]
        left, top, right, bottom = np.clip(box, 0, [size[1], size[0]] * 2).tolist()
        shown = label if confidence >= (self._options.threshold or 0.0) else UNSURE
        plain = LocalizationPrediction(name, size, shown, confidence, likely, (left, top, right, bottom))
        return plain if pixels is None else replace(plain, overlay=self._draw(plain, pixels))

    def _draw(self, prediction: LocalizationPrediction, pixels: Pixels) -> str:
        """Write the drawn image, named after the image, and numbered where several images have one name; its path."""
        stem = PurePath(prediction.image).stem
        names = (stem if number == 1 else f"{stem}-{number}" for number in range(1, 10**9))
        stem = next(name for name in names if name not in self._taken)
        self._taken.add(stem)
        path = (self._options.out or Path()) / f"{stem}{OVERLAY}"
        check_replaceable(path, has_mark, "prediction that convolve wrote")
        index = self._classes.index(prediction.classes[0][0])
        label = f"{prediction.label} {prediction.confidence:.0%}"
        box = DrawnBox(prediction.box or (0.0, 0.0, 0.0, 0.0), label, class_color(index))
        with atomic_write(path) as draft:
            save_jpeg(Image.fromarray(draw_boxes(pixels, [box])), draft, _QUALITY)
        return str(path)
