"""How a run's network restores images of any size: they are taken as small, noisy or blurred already."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, final

from convolve.runtime import Runtime
from convolve.tasks.restore.options import RestorePredictOptions
from convolve.tasks.restore.prediction import RestoredFile, RestoredFiles
from convolve.tasks.restore.tiled_restoration import restore_image
from convolve.values import Images, Pixels

if TYPE_CHECKING:
    from convolve.tasks.restore.task import Restore


@final
class ImagePredictor(RestoredFiles):
    """Restores image after image, and writes the files."""

    batch_size = 2

    def __init__(self, task: Restore, runtime: Runtime, options: RestorePredictOptions) -> None:
        super().__init__(options)
        self._task, self._runtime = task, runtime

    def read(self, images: Images, index: int) -> Pixels:
        """(H, W, 1 or 3) at full size. Raises `ImageError`."""
        return images.read(index)

    def predict(self, names: Sequence[str], inputs: Sequence[Pixels]) -> Iterator[RestoredFile]:
        """In order."""
        for name, image in zip(names, inputs, strict=True):
            yield self.write(name, image, restore_image(image, self._task, self._runtime))
