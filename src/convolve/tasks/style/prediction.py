"""What is said of an image in the style, and the file that it becomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePath
from typing import Any

from PIL import Image

from convolve.errors import OptionError
from convolve.files import atomic_write, check_replaceable
from convolve.marks import has_mark, save_png
from convolve.tasks.style.options import StylePredictOptions
from convolve.values import Pixels


@dataclass(frozen=True)
class StylizedImage:
    """One image's ``size`` (height, width), and the ``file`` that was written; ``error`` says why an image could not be
    read.
    """

    image: str
    size: tuple[int, int] = (0, 0)
    file: str = ""
    error: str = ""

    @property
    def overlay(self) -> str:
        """The image in the style."""
        return self.file

    def cells(self) -> Mapping[str, str]:
        """For people."""
        return {"image": self.image, "size": _format_size(self.size), "stylized": self.file}

    def entries(self) -> Sequence[Mapping[str, str]]:
        """For programs."""
        return [{**self.cells(), "error": self.error}]

    def as_json(self) -> dict[str, Any]:
        """Plain numbers and text."""
        return {**asdict(self), "size": list(self.size)}


class StylizedFiles:
    """Writes images in the style, each to a file."""

    def __init__(self, options: StylePredictOptions) -> None:
        """Raises `OptionError` without a folder."""
        if options.out is None:
            raise OptionError("Give --out, the folder for the images in the style.")
        self._out = options.out
        self._taken: set[str] = set()

    def write(self, name: str, stylized: Pixels) -> StylizedImage:
        """What an image (H, W, 3) has become, once its file is written."""
        return StylizedImage(name, (stylized.shape[0], stylized.shape[1]), str(self._write(name, stylized)))

    def unreadable(self, name: str, error: str) -> StylizedImage:
        """Without a file."""
        return StylizedImage(name, error=error)

    def total(self, predictions: Sequence[StylizedImage]) -> Mapping[str, str]:
        """No row."""
        del predictions
        return {}

    def finish(self, predictions: Sequence[StylizedImage]) -> None:
        """No file of all images."""
        del predictions

    def _write(self, name: str, pixels: Pixels) -> Path:
        """The file, called as the image; numbered where several images have one name."""
        stem = f"{PurePath(name).stem}_stylized"
        number = 1
        while (own := f"{stem}-{number}" if number > 1 else stem) in self._taken:
            number += 1
        self._taken.add(own)
        path = self._out / f"{own}.png"
        check_replaceable(path, has_mark, "image that convolve wrote")
        with atomic_write(path) as draft:
            save_png(Image.fromarray(pixels), draft)
        return path


def _format_size(size: tuple[int, int]) -> str:
    return f"{size[1]}x{size[0]}"
