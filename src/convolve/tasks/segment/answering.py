"""What a segmentation says of images that have no masks: each class's share and pixels, and pictures of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePath
from typing import Any, final

import numpy as np
from PIL import Image

from convolve.datasets.decode import to_channels
from convolve.datasets.masks import laid_over, pixels_by_class
from convolve.datasets.run_lengths import decoded, encoded, from_text, to_text
from convolve.files import beside
from convolve.runtime import Runtime
from convolve.tasks.segment.annotations import Outlined, write_annotations
from convolve.tasks.segment.learning import Segment
from convolve.tasks.segment.polygons import Ring, rings
from convolve.tasks.segment.whole import answered
from convolve.tasks.task import Wanted
from convolve.training.run import Manifest
from convolve.values import IGNORE, Color, Images, Pixels, Preprocessing

_QUALITY = 92


@dataclass(frozen=True)
class Region:
    """A class's pixels in an image: their number, their share, and where they are, as COCO's compressed run lengths."""

    pixels: int
    share: float
    counts: str


@dataclass(frozen=True)
class Answer:
    """One image's ``size`` (height, width), the regions of the classes that were found, largest first, and the files
    that were written. ``error`` says why an image could not be read.
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
        shares = ", ".join(f"{name} {region.share:.1%}" for name, region in largest)
        found = {"image": self.image, "size": f"{self.size[1]}x{self.size[0]}", "largest": shares}
        return found | ({"mask": self.mask} if self.mask else {})

    def entries(self) -> Mapping[str, str]:
        """For programs: every class's share."""
        shares = {name: f"{self.classes[name].share:.6f}" if name in self.classes else "0" for name in self.names}
        return {"image": self.image, "mask": self.mask, **shares, "error": self.error}

    def rings(self, name: str) -> list[Ring]:
        """The outline of each connected region of a class that was found, the largest first."""
        return rings(decoded(from_text(self.classes[name].counts), self.size) > 0)

    def as_json(self) -> dict[str, Any]:
        """Each class's pixels, share, ``polygons`` and COCO's ``rle``, which says height and width itself."""
        regions = {
            name: {
                "pixels": region.pixels,
                "share": region.share,
                "rle": {"size": list(self.size), "counts": region.counts},
                "polygons": [ring.flat() for ring in self.rings(name)],
            }
            for name, region in self.classes.items()
        }
        plain = {name: value for name, value in asdict(self).items() if name not in ("names", "top")}
        return plain | {"size": list(self.size), "classes": regions}


@final
class Answering:
    """Answers image after image, each whole and at its own size, and writes what is asked for."""

    together = 2

    def __init__(self, task: Segment, manifest: Manifest, runtime: Runtime, wanted: Wanted) -> None:
        self._task, self._runtime, self._wanted = task, runtime, wanted
        self._preprocessing: Preprocessing = manifest.preprocessing
        self._colors = manifest.colors
        self._taken: set[str] = set()

    def read(self, images: Images, index: int) -> Pixels:
        """(H, W, 1 or 3) at full size. Raises `ImageError`."""
        return images.read(index)

    def answers(self, names: Sequence[str], found: Sequence[Pixels]) -> Iterator[Answer]:
        """In order."""
        for name, picture in zip(names, found, strict=True):
            least = self._wanted.threshold or 0.0
            mask = answered(picture, picture.shape[:2], self._task, self._runtime, self._preprocessing, least)
            regions = dict(sorted(_regions(mask, self._task.classes), key=lambda entry: -entry[1].pixels))
            size = (mask.shape[0], mask.shape[1])
            written = self._drawn(name, picture, mask) if self._wanted.out else ("", "")
            yield Answer(name, size, regions, *written, names=self._task.classes, top=self._wanted.top)

    def unread(self, name: str, error: str) -> Answer:
        """Without regions."""
        return Answer(name, error=error, names=self._task.classes)

    def written(self, answers: Sequence[Answer]) -> Path | None:
        """COCO's annotations of all regions, in the folder that is wanted."""
        if not self._wanted.out:
            return None
        read = [answer for answer in answers if not answer.error]
        images = [
            Outlined(answer.image, answer.size, {name: answer.rings(name) for name in answer.classes})
            for answer in read
        ]
        return write_annotations(self._wanted.out, images, self._task.classes)

    def _drawn(self, name: str, picture: Pixels, mask: Pixels) -> tuple[str, str]:
        """The files of a mask and its overlay, called as the image; of several images of one name, numbered."""
        stem = PurePath(name).stem
        number = next(number for number in range(1, 10**9) if _numbered(stem, number) not in self._taken)
        self._taken.add(_numbered(stem, number))
        bare = (self._wanted.out or Path()) / _numbered(stem, number)
        places = bare.with_name(f"{bare.name}_mask.png"), bare.with_name(f"{bare.name}_overlay.jpg")
        with beside(places[0]) as draft:
            indexed(mask, self._colors).save(draft, "PNG", optimize=True)
        with beside(places[1]) as draft:
            over = laid_over(to_channels(picture, 3), mask, self._colors)
            Image.fromarray(over).save(draft, "JPEG", quality=_QUALITY, subsampling=0)
        return str(places[0]), str(places[1])


def answering(task: Segment, manifest: Manifest, runtime: Runtime, wanted: Wanted) -> Answering:
    """How a run's network answers."""
    return Answering(task, manifest, runtime, wanted)


def indexed(mask: Pixels, colors: Sequence[Color]) -> Image.Image:
    """A mask (H, W) as a picture whose values are class numbers, shown in the classes' colors; `IGNORE` is white."""
    picture = Image.fromarray(mask, "P")
    table = np.full((IGNORE + 1, 3), 255, np.uint8)
    table[: len(colors)] = colors
    picture.putpalette(table.tobytes())
    return picture


def _regions(mask: Pixels, names: Sequence[str]) -> Iterator[tuple[str, Region]]:
    """Of the classes that occur."""
    for number, pixels in enumerate(pixels_by_class(mask, len(names)).tolist()):
        if pixels:
            yield names[number], Region(pixels, pixels / mask.size, to_text(encoded(mask == number)))


def _numbered(stem: str, number: int) -> str:
    return stem if number == 1 else f"{stem}-{number}"
