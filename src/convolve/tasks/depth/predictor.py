"""How a run's network finds the depth of images of any size: each as a whole, in one input."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, final

import numpy as np
import torch

from convolve.datasets.images import to_channels
from convolve.datasets.preprocess import fit_to_input, normalize
from convolve.runtime import Runtime
from convolve.tasks.depth.options import DepthPredictOptions
from convolve.tasks.depth.prediction import DepthPrediction, DepthPredictions, at_image_size
from convolve.values import Floats, Images, Pixels, Preprocessing

if TYPE_CHECKING:
    from convolve.tasks.depth.task import Depth

TOGETHER = 8
"""Images that go through the network together."""


def predict_images(
    images: Sequence[Pixels], task: Depth, runtime: Runtime, preprocessing: Preprocessing
) -> Iterator[Floats]:
    """(H, W) meters of each of some images (H, W, 1 or 3), at its own size."""
    inputs = [fit_to_input(to_channels(image, preprocessing.channels), preprocessing) for image in images]
    with torch.inference_mode(), runtime.arithmetic():
        found = task.predict(runtime.images(normalize(np.stack(inputs), preprocessing))).cpu().numpy()
    for image, depth in zip(images, found, strict=True):
        yield at_image_size(depth, (image.shape[0], image.shape[1]), preprocessing)


@final
class DepthPredictor(DepthPredictions):
    """Predicts a few images at once, and writes the files."""

    batch_size = TOGETHER

    def __init__(
        self, task: Depth, preprocessing: Preprocessing, runtime: Runtime, options: DepthPredictOptions
    ) -> None:
        super().__init__(task.per_meter, options)
        self._task, self._preprocessing, self._runtime = task, preprocessing, runtime

    def read(self, images: Images, index: int) -> Pixels:
        """(H, W, 1 or 3) at full size. Raises `ImageError`."""
        return images.read(index)

    def predict(self, names: Sequence[str], inputs: Sequence[Pixels]) -> Iterator[DepthPrediction]:
        """In order."""
        found = predict_images(inputs, self._task, self._runtime, self._preprocessing)
        for name, image, depth in zip(names, inputs, found, strict=True):
            yield self.describe(name, image, depth)
