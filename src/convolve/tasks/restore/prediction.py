"""What is said of a restored image, and the file that it becomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePath
from typing import Any

from PIL import Image

from convolve.errors import OptionError
from convolve.files import atomic_write, check_replaceable
from convolve.marks import has_mark, save_png
from convolve.tasks.restore.options import RestorePredictOptions
from convolve.values import Pixels


@dataclass(frozen=True)
class RestoredFile:
    """One image's ``size`` (height, width), that of the ``restored_size``, and the ``file`` that was written; ``error``
    says why an image could not be read.
    """

    image: str
    size: tuple[int, int] = (0, 0)
    restored_size: tuple[int, int] = (0, 0)
    file: str = ""
    error: str = ""

    @property
    def overlay(self) -> str:
        """The restored image."""
        return self.file

    def cells(self) -> Mapping[str, str]:
        """For people."""
        sizes = {"size": _format_size(self.size), "restored size": _format_size(self.restored_size)}
        return {"image": self.image, **sizes, "restored": self.file}

    def entries(self) -> Sequence[Mapping[str, str]]:
        """For programs."""
        sizes = {"size": _format_size(self.size), "restored_size": _format_size(self.restored_size)}
        return [{"image": self.image, **sizes, "restored": self.file, "error": self.error}]

    def as_json(self) -> dict[str, Any]:
        """Plain numbers and text."""
        return {**asdict(self), "size": list(self.size), "restored_size": list(self.restored_size)}


class RestoredFiles:
    """Writes restored images, each to a file."""

    def __init__(self, options: RestorePredictOptions) -> None:
        """Raises `OptionError` without a folder."""
        if options.out is None:
            raise OptionError("Give --out, the folder for the restored images.")
        self._out = options.out
        self._taken: set[str] = set()

    def write(self, name: str, image: Pixels, restored: Pixels) -> RestoredFile:
        """What an image has become, once its file is written."""
        size, restored_size = ((each.shape[0], each.shape[1]) for each in (image, restored))
        return RestoredFile(name, size, restored_size, str(self._write(name, restored)))

    def unreadable(self, name: str, error: str) -> RestoredFile:
        """Without a file."""
        return RestoredFile(name, error=error)

    def total(self, predictions: Sequence[RestoredFile]) -> Mapping[str, str]:
        """No row."""
        del predictions
        return {}

    def finish(self, predictions: Sequence[RestoredFile]) -> None:
        """No file of all images."""
        del predictions

    def _write(self, name: str, restored: Pixels) -> Path:
        """The file, called as the image; numbered where several images have one name."""
        stem = f"{PurePath(name).stem}_restored"
        number = next(number for number in range(1, 10**9) if _numbered(stem, number) not in self._taken)
        self._taken.add(_numbered(stem, number))
        path = self._out / f"{_numbered(stem, number)}.png"
        check_replaceable(path, has_mark, "prediction that convolve wrote")
        with atomic_write(path) as draft:
            save_png(Image.fromarray(restored[..., 0] if restored.shape[2] == 1 else restored), draft)
        return path


def check_no_mask(mask: Path | None, label: str) -> None:
    """Raise `OptionError` where a mask is given to a network that fills no holes."""
    if mask is not None:
        raise OptionError(f"{label} fills no holes; leave out --mask.")


def _numbered(stem: str, number: int) -> str:
    return stem if number == 1 else f"{stem}-{number}"


def _format_size(size: tuple[int, int]) -> str:
    return f"{size[1]}x{size[0]}"
