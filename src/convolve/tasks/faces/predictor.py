"""How faces are found in images of any size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, final

import numpy as np
import torch

from convolve.datasets.images import to_channels
from convolve.runtime import Runtime
from convolve.tasks.faces.cascade import FoundFaces
from convolve.tasks.faces.options import FacePredictOptions
from convolve.tasks.faces.prediction import FacePrediction, FacePredictions
from convolve.values import Images, Pixels

if TYPE_CHECKING:
    from convolve.tasks.faces.task import Faces


@final
class FacePredictor(FacePredictions):
    """Finds the faces of one image after the other, each in its own size, and writes the files."""

    batch_size = 16

    def __init__(self, task: Faces, runtime: Runtime, options: FacePredictOptions) -> None:
        super().__init__(options)
        first, second, own = task.rule.thresholds
        thresholds = (first, second, own if options.threshold is None else options.threshold)
        self._task = replace(task, rule=replace(task.rule, smallest=options.min_face, thresholds=thresholds))
        self._runtime = runtime

    def read(self, images: Images, index: int) -> Pixels:
        """The image in RGB. Raises `ImageError`."""
        return to_channels(images.read(index), 3)

    def predict(self, names: Sequence[str], inputs: Sequence[Pixels]) -> Iterator[FacePrediction]:
        """What is found in each image, in order."""
        for name, pixels in zip(names, inputs, strict=True):
            yield self.describe(name, pixels, find_in_pixels(self._task, pixels, self._runtime))


def find_in_pixels(task: Faces, pixels: Pixels, runtime: Runtime) -> FoundFaces:
    """The faces of an image (H, W, 3), in main memory."""
    image = runtime.images(pixels[None].astype(np.float32))
    with torch.inference_mode(), runtime.arithmetic():
        (found,) = task.predict(image)
    return FoundFaces(*(column.cpu() for column in found))
