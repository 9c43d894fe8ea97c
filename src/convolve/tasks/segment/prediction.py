"""What a segmentation network predicts for images of any size: the pixels of each class, and drawings of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from PIL import Image

from convolve.datasets.images import to_channels
from convolve.datasets.masks import count_pixels, overlay
from convolve.datasets.rle import decode, encode, from_text, to_text
from convolve.files import atomic_write, check_replaceable
from convolve.marks import OVERLAY, has_mark, save_jpeg, save_png
from convolve.tasks.info import class_columns
from convolve.tasks.segment.options import SegmentPredictOptions
from convolve.tasks.segment.polygons import Polygon, find_polygons
from convolve.values import IGNORE, Color, Pixels

_QUALITY = 92


@dataclass(frozen=True)
class Region:
    """A class's pixels in an image: their number, their fraction, and where they are, as COCO's compressed RLE."""

    pixels: int
    fraction: float
    counts: str


@dataclass(frozen=True)
class MaskPrediction:
    """One image's ``size`` (height, width), the regions of its classes, largest first, and the files
    written. ``error`` says why an image could not be read.
    """

    image: str
    size: tuple[int, int] = (0, 0)
    classes: Mapping[str, Region] = field(default_factory=dict)
    mask: str = ""
    overlay: str = ""
    error: str = ""
    names: tuple[str, ...] = field(default=(), repr=False)
    top: int = field(default=3, repr=False)

    def cells(self) -> Mapping[str, str]:
        """For people."""
        largest = list(self.classes.items())[: self.top]
        fractions = ", ".join(f"{name} {region.fraction:.1%}" for name, region in largest)
        found = {"image": self.image, "size": f"{self.size[1]}x{self.size[0]}", "largest": fractions}
        return found | ({"mask": self.mask} if self.mask else {})

    def entries(self) -> Sequence[Mapping[str, str]]:
        """For programs: every class's fraction."""
        columns = class_columns(self.names, ("image", "mask", "error"))
        fractions = {
            column: f"{self.classes[name].fraction:.6f}" if name in self.classes else "0"
            for name, column in columns.items()
        }
        return [{"image": self.image, "mask": self.mask, **fractions, "error": self.error}]

    def polygons(self, name: str) -> list[Polygon]:
        """The polygon of each connected region of a class, the largest first."""
        return find_polygons(decode(from_text(self.classes[name].counts), self.size) > 0)

    def as_json(self) -> dict[str, Any]:
        """Each class's pixels, fraction, ``polygons`` and COCO's ``rle``, which says height and width itself."""
        regions = {
            name: {
                "pixels": region.pixels,
                "fraction": region.fraction,
                "rle": {"size": list(self.size), "counts": region.counts},
                "polygons": [polygon.flat() for polygon in self.polygons(name)],
            }
            for name, region in self.classes.items()
        }
        plain = {name: value for name, value in asdict(self).items() if name not in ("names", "top")}
        return plain | {"size": list(self.size), "classes": regions}


class MaskPredictions:
    """What masks of images say, by the options, and the files that are written of them."""

    def __init__(self, classes: tuple[str, ...], colors: Sequence[Color], options: SegmentPredictOptions) -> None:
        self._classes, self._colors, self._options = classes, colors, options
        self._taken: set[str] = set()
        if options.out:
            from convolve.tasks.coco_document import check_document

            check_document(options.out)

    def unreadable(self, name: str, error: str) -> MaskPrediction:
        """Without regions."""
        return MaskPrediction(name, error=error, names=self._classes)

    def total(self, predictions: Sequence[MaskPrediction]) -> Mapping[str, str]:
        """No row."""
        del predictions
        return {}

    def finish(self, predictions: Sequence[MaskPrediction]) -> Path | None:
        """COCO annotations of all regions, in the output folder."""
        if not self._options.out:
            return None
        from convolve.tasks.segment.annotations import AnnotatedImage, write_annotations

        readable = [prediction for prediction in predictions if not prediction.error]
        images = [
            AnnotatedImage(one.image, one.size, {name: one.polygons(name) for name in one.classes}) for one in readable
        ]
        return write_annotations(self._options.out, images, self._classes)

    def describe(self, name: str, image: Pixels, mask: Pixels) -> MaskPrediction:
        """The regions of an image's mask; writes the files."""
        regions = dict(sorted(_regions(mask, self._classes), key=lambda entry: -entry[1].pixels))
        size = (mask.shape[0], mask.shape[1])
        paths = self._draw(name, image, mask) if self._options.out else ("", "")
        return MaskPrediction(name, size, regions, *paths, names=self._classes, top=self._options.top)

    def _draw(self, name: str, image: Pixels, mask: Pixels) -> tuple[str, str]:
        """The files of a mask and its overlay, called as the image; numbered where several images have one name."""
        stem = PurePath(name).stem
        number = next(number for number in range(1, 10**9) if _numbered(stem, number) not in self._taken)
        self._taken.add(_numbered(stem, number))
        bare = (self._options.out or Path()) / _numbered(stem, number)
        paths = bare.with_name(f"{bare.name}_mask.png"), bare.with_name(f"{bare.name}{OVERLAY}")
        for path in paths:
            check_replaceable(path, has_mark, "prediction that convolve wrote")
        with atomic_write(paths[0]) as draft:
            save_png(to_indexed_image(mask, self._colors), draft, optimize=True)
        with atomic_write(paths[1]) as draft:
            over = overlay(to_channels(image, 3), mask, self._colors)
            save_jpeg(Image.fromarray(over), draft, _QUALITY)
        return str(paths[0]), str(paths[1])


def to_indexed_image(mask: Pixels, colors: Sequence[Color]) -> Image.Image:
    """A mask (H, W) as an indexed image whose values are class indices, in the classes' colors; `IGNORE` is white."""
    image = Image.fromarray(mask, "P")
    table = np.full((IGNORE + 1, 3), 255, np.uint8)
    table[: len(colors)] = colors
    image.putpalette(table.tobytes())
    return image


def _regions(mask: Pixels, names: Sequence[str]) -> Iterator[tuple[str, Region]]:
    """Of the classes that occur."""
    for number, pixels in enumerate(count_pixels(mask, len(names)).tolist()):
        if pixels:
            yield names[number], Region(pixels, pixels / mask.size, to_text(encode(mask == number)))


def _numbered(stem: str, number: int) -> str:
    return stem if number == 1 else f"{stem}-{number}"
