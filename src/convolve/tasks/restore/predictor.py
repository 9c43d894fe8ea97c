"""How a run's network restores images of any size: they are taken as small, noisy or blurred already."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Protocol, final

from PIL import Image

from convolve.errors import OptionError
from convolve.files import atomic_write, check_replaceable
from convolve.marks import has_mark, save_png
from convolve.runtime import Runtime
from convolve.tasks.restore.options import RestorePredictOptions
from convolve.tasks.restore.tiled_restoration import restore_image
from convolve.values import Images, Pixels

if TYPE_CHECKING:
    from convolve.tasks.restore.task import Restore


@dataclass(frozen=True)
class RestoredImage:
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


class Restorer(Protocol):
    """How one image is restored, from what was read of it."""

    def read(self, images: Images, index: int) -> tuple[Any, ...]:
        """A tuple that begins with the image (H, W, 1 or 3) at full size. Raises `ImageError`."""
        ...

    def restore(self, read: Any) -> Pixels:
        """(H, W, 1 or 3)."""
        ...


@final
class DetailRestorer:
    """Takes an image as it is."""

    def __init__(self, task: Restore, runtime: Runtime, mask: Path | None) -> None:
        """Raises `OptionError` where a mask is given."""
        if mask is not None:
            raise OptionError(f"{task.network.label} fills no holes; leave out --mask.")
        self._task, self._runtime = task, runtime

    def read(self, images: Images, index: int) -> tuple[Pixels]:
        """The image."""
        return (images.read(index),)

    def restore(self, read: tuple[Pixels]) -> Pixels:
        """Larger, without noise or blur."""
        return restore_image(read[0], self._task, self._runtime)


@final
class ImagePredictor:
    """Restores image after image, and writes the files."""

    batch_size = 2

    def __init__(self, restorer: Restorer, options: RestorePredictOptions) -> None:
        """Raises `OptionError` without a folder."""
        if options.out is None:
            raise OptionError("Give --out, the folder for the restored images.")
        self._restorer, self._out = restorer, options.out
        self._taken: set[str] = set()

    def read(self, images: Images, index: int) -> Any:
        """As the restorer reads it. Raises `ImageError`."""
        return self._restorer.read(images, index)

    def predict(self, names: Sequence[str], inputs: Sequence[Any]) -> Iterator[RestoredImage]:
        """In order."""
        for name, read in zip(names, inputs, strict=True):
            restored = self._restorer.restore(read)
            size, restored_size = ((each.shape[0], each.shape[1]) for each in (read[0], restored))
            yield RestoredImage(name, size, restored_size, str(self._write(name, restored)))

    def unreadable(self, name: str, error: str) -> RestoredImage:
        """Without a file."""
        return RestoredImage(name, error=error)

    def total(self, predictions: Sequence[RestoredImage]) -> Mapping[str, str]:
        """No row."""
        del predictions
        return {}

    def finish(self, predictions: Sequence[RestoredImage]) -> None:
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


def _numbered(stem: str, number: int) -> str:
    return stem if number == 1 else f"{stem}-{number}"


def _format_size(size: tuple[int, int]) -> str:
    return f"{size[1]}x{size[0]}"
