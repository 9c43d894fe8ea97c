"""What a detector finds in images of any size: boxes with their classes and confidences, and drawings of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from convolve.datasets.class_colors import class_color
from convolve.datasets.drawn_boxes import DrawnBox, draw_boxes
from convolve.datasets.photo_time import photo_time
from convolve.files import atomic_write, check_replaceable, write_text
from convolve.marks import OVERLAY, has_mark, save_jpeg
from convolve.metrics.boxes import BoxArray
from convolve.tasks.detect.options import DetectPredictOptions
from convolve.tasks.detect.shelf import Region, read_regions
from convolve.tasks.detect.shelf_drawing import draw_regions
from convolve.tasks.detect.stock import Stock, count_stock, in_time, shortage_sentences
from convolve.tasks.info import class_columns
from convolve.values import Floats, Indices, Pixels

_QUALITY = 92
_COLUMNS = ("image", "size", "all", "overlay", "error")
_MOST_COLUMNS = 6  # of classes that a line of a terminal has room for


@dataclass(frozen=True)
class Detection:
    """An object: its class, the confidence, and left, top, right and bottom in the image's pixels."""

    name: str
    score: float
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class BoxPrediction:
    """One image's ``size`` (height, width), its detections, the most confident first, and the files written.
    ``error`` says why an image could not be read; ``names`` are those of all classes; ``stock`` is what the regions of
    a shelf have, where these are counted.
    """

    image: str
    size: tuple[int, int] = (0, 0)
    detections: tuple[Detection, ...] = ()
    overlay: str = ""
    error: str = ""
    names: tuple[str, ...] = field(default=(), repr=False)
    counted: bool = field(default=False, repr=False)
    stock: Stock | None = None

    @property
    def counts(self) -> dict[str, int]:
        """How many objects of each class there are, 0 included."""
        found = Counter(detection.name for detection in self.detections)
        return {name: found[name] for name in self.names}

    def cells(self) -> Mapping[str, str]:
        """For people: the number of objects of each class that occurs, or of each class with `--count`, in a column
        each where these are few.
        """
        found = {"image": self.image, "size": f"{self.size[1]}x{self.size[0]}" if any(self.size) else ""}
        words = [f"{count} {name}" for name, count in self.counts.items() if count]
        best = self.detections[0] if self.detections else None
        if self.stock:
            found |= self.stock.cells()
        elif self.counted and len(self.names) <= _MOST_COLUMNS:
            found |= self._counts()
        elif self.counted:
            found |= {"objects": ", ".join(words) or "none", "all": str(len(self.detections))}
        else:
            found |= {"objects": ", ".join(words) or "none"}
            found |= {"most confident": f"{best.name} {best.score:.1%}" if best else ""}
        return found | ({"overlay": self.overlay} if self.overlay else {})

    def entries(self) -> Sequence[Mapping[str, str]]:
        """For programs: a row for each object, or one without an object; with `--count` one row with the numbers of
        each class, or a row for each region and class of a shelf.
        """
        if self.stock:
            return [{"image": self.image, **row, "error": self.error} for row in self.stock.entries()]
        if self.counted:
            return [{"image": self.image, **self._counts(), "error": self.error}]
        empty = dict.fromkeys(("class", "confidence", "left", "top", "right", "bottom"), "")
        rows = [
            {
                "class": each.name,
                "confidence": f"{each.score:.6f}",
                **dict(zip(("left", "top", "right", "bottom"), (f"{edge:.2f}" for edge in each.box), strict=True)),
            }
            for each in self.detections
        ]
        return [{"image": self.image, **row, "error": self.error} for row in rows or [empty]]

    def _counts(self) -> dict[str, str]:
        columns = class_columns(self.names, _COLUMNS)
        return {columns[name]: str(count) for name, count in self.counts.items()} | {"all": str(len(self.detections))}

    def as_json(self) -> dict[str, Any]:
        """The detections, how many there are of each class, and the overlay."""
        return {
            "image": self.image,
            "size": list(self.size),
            "detections": [
                {"class": each.name, "confidence": each.score, "box": list(each.box)} for each in self.detections
            ],
            "counts": self.counts,
            **(self.stock.as_json() if self.stock else {}),
            "overlay": self.overlay,
            "error": self.error,
        }


class FoundBoxes(NamedTuple):
    """K boxes of one image, the highest scores first: (K, 4) left, top, right, bottom; (K,) scores; (K,) classes."""

    boxes: BoxArray
    scores: Floats
    classes: Indices


class BoxPredictions:
    """What the objects found in images say, by the options, and the files that are written of them."""

    def __init__(self, classes: tuple[str, ...], options: DetectPredictOptions) -> None:
        self._classes, self._options = classes, options
        self._taken: set[str] = set()
        self._regions: tuple[Region, ...] = ()
        if options.counts_stock:
            from convolve.reports.figure_file import check_figure

            check_figure(options.figure)
            self._regions = read_regions(options.regions, options.minimum, classes)
        if options.out:
            from convolve.tasks.detect.output_files import check_files

            check_files(options.out)

    def unreadable(self, name: str, error: str) -> BoxPrediction:
        """Without objects."""
        stock = Stock() if self._regions else None
        return BoxPrediction(name, error=error, names=self._classes, counted=self._options.count, stock=stock)

    def total(self, predictions: Sequence[BoxPrediction]) -> Mapping[str, str]:
        """With `--count` how many objects of each class there are in all images, unless they show one shelf."""
        if not self._options.count or self._regions:
            return {}
        every = tuple(detection for prediction in predictions for detection in prediction.detections)
        return dict(BoxPrediction("all images", (0, 0), every, names=self._classes, counted=True).cells())

    def finish(self, predictions: Sequence[BoxPrediction]) -> Path | None:
        """COCO annotations and results of all images, in the output folder, and the figure of a shelf over time."""
        if self._options.figure:
            from convolve.reports.figure_file import write_figure
            from convolve.tasks.detect.stock_figure import stock_figure

            write_figure(self._options.figure, stock_figure([stock for _, stock in in_time(predictions)]), "stock")
        if not self._options.out:
            return None
        from convolve.tasks.detect.output_files import write_files

        return write_files(self._options.out, [one for one in predictions if not one.error], self._classes)

    def remarks(self, predictions: Sequence[BoxPrediction]) -> Iterator[str]:
        """What a shelf has too little of."""
        return shortage_sentences(predictions)

    def describe(self, name: str, size: tuple[int, int], found: FoundBoxes, pixels: Pixels | None) -> BoxPrediction:
        """The objects found in an image of a ``size`` (height, width), whose boxes are clipped to it; writes the files
        where there are the image's ``pixels``.
        """
        edges = np.clip(found.boxes, 0, [size[1], size[0]] * 2)
        rows = zip(edges.tolist(), found.scores.tolist(), found.classes.tolist(), strict=True)
        detections = tuple(
            Detection(self._classes[index], score, (left, top, right, bottom))
            for (left, top, right, bottom), score, index in rows
        )
        plain = BoxPrediction(name, size, detections, names=self._classes, counted=self._options.count)
        if self._regions:
            plain = replace(plain, stock=count_stock(photo_time(Path(name)), self._regions, plain))
        return plain if pixels is None else replace(plain, overlay=self._write(plain, pixels))

    def _write(self, prediction: BoxPrediction, pixels: Pixels) -> str:
        """Write the drawn image and the text file, named after the image, and numbered where several images have one
        name. The path of the former.
        """
        from convolve.tasks.detect.output_files import yolo_lines

        folder, stem = self._options.out or Path(), PurePath(prediction.image).stem
        names = (stem if number == 1 else f"{stem}-{number}" for number in range(1, 10**9))
        stem = next(name for name in names if name not in self._taken)
        self._taken.add(stem)
        path, text = folder / f"{stem}{OVERLAY}", folder / f"{stem}.txt"
        own = has_mark(path)  # the text can have no mark: it is convolve's own where the drawing is
        check_replaceable(path, lambda _: own, "prediction that convolve wrote")
        check_replaceable(text, lambda _: own, "prediction that convolve wrote")
        with atomic_write(path) as draft:
            drawn = draw_regions(draw_boxes(pixels, drawn_boxes(prediction)), self._regions)
            save_jpeg(Image.fromarray(drawn), draft, _QUALITY)
        write_text(text, yolo_lines(prediction))
        return str(path)


def drawn_boxes(prediction: BoxPrediction) -> list[DrawnBox]:
    """The detections with their classes and confidences, in the classes' colors."""
    colors = {name: class_color(index) for index, name in enumerate(prediction.names)}
    return [DrawnBox(each.box, f"{each.name} {each.score:.0%}", colors[each.name]) for each in prediction.detections]
