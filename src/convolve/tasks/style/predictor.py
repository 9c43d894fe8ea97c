"""How a run's network gives images of any size its style."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, final

from convolve.runtime import Runtime
from convolve.tasks.style.options import StylePredictOptions
from convolve.tasks.style.prediction import StylizedFiles, StylizedImage
from convolve.tasks.style.stylization import stylize
from convolve.values import Images, Pixels

if TYPE_CHECKING:
    from convolve.tasks.style.task import Style


@final
class StylePredictor(StylizedFiles):
    """Gives image after image the style, and writes the files."""

    batch_size = 2

    def __init__(self, task: Style, runtime: Runtime, options: StylePredictOptions) -> None:
        super().__init__(options)
        self._task, self._runtime = task, runtime

    def read(self, images: Images, index: int) -> Pixels:
        """(H, W, 1 or 3) at full size. Raises `ImageError`."""
        return images.read(index)

    def predict(self, names: Sequence[str], inputs: Sequence[Pixels]) -> Iterator[StylizedImage]:
        """In order."""
        for name, image in zip(names, inputs, strict=True):
            yield self.write(name, stylize(image, self._task, self._runtime))
