"""How a run's network restores images of any size: they are taken as small, noisy or blurred already."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, final

from convolve.runtime import Runtime
from convolve.tasks.restore.options import RestorePredictOptions
from convolve.tasks.restore.prediction import RestoredFile, RestoredFiles, check_no_mask
from convolve.tasks.restore.tiled_restoration import restore_image
from convolve.values import Images, Pixels

if TYPE_CHECKING:
    from convolve.tasks.restore.task import Restore


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
        check_no_mask(mask, task.network.label)
        self._task, self._runtime = task, runtime

    def read(self, images: Images, index: int) -> tuple[Pixels]:
        """The image."""
        return (images.read(index),)

    def restore(self, read: tuple[Pixels]) -> Pixels:
        """Larger, without noise or blur."""
        return restore_image(read[0], self._task, self._runtime)


@final
class ImagePredictor(RestoredFiles):
    """Restores image after image, and writes the files."""

    batch_size = 2

    def __init__(self, restorer: Restorer, options: RestorePredictOptions) -> None:
        super().__init__(options)
        self._restorer = restorer

    def read(self, images: Images, index: int) -> Any:
        """As the restorer reads it. Raises `ImageError`."""
        return self._restorer.read(images, index)

    def predict(self, names: Sequence[str], inputs: Sequence[Any]) -> Iterator[RestoredFile]:
        """In order."""
        for name, read in zip(names, inputs, strict=True):
            yield self.write(name, read[0], self._restorer.restore(read))
