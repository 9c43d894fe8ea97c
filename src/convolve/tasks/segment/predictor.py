"""How a run's network segments images of any size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, final

from convolve.runtime import Runtime
from convolve.tasks.segment.options import SegmentPredictOptions
from convolve.tasks.segment.prediction import MaskPrediction, MaskPredictions
from convolve.tasks.segment.tiled_prediction import predict_image
from convolve.values import Images, Pixels, Preprocessing

if TYPE_CHECKING:
    from convolve.tasks.segment.task import Segment


@final
class MaskPredictor(MaskPredictions):
    """Predicts image after image, each whole and at its own size, and writes the files."""

    batch_size = 2

    def __init__(
        self, task: Segment, preprocessing: Preprocessing, runtime: Runtime, options: SegmentPredictOptions
    ) -> None:
        super().__init__(task.classes, task.colors, options)
        self._task, self._preprocessing, self._runtime = task, preprocessing, runtime

    def read(self, images: Images, index: int) -> Pixels:
        """(H, W, 1 or 3) at full size. Raises `ImageError`."""
        return images.read(index)

    def predict(self, names: Sequence[str], inputs: Sequence[Pixels]) -> Iterator[MaskPrediction]:
        """In order."""
        threshold = self._options.threshold or 0.0
        for name, image in zip(names, inputs, strict=True):
            mask = predict_image(image, image.shape[:2], self._task, self._runtime, self._preprocessing, threshold)
            yield self.describe(name, image, mask)
