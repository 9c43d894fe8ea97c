"""How a run's network finds the points of images of any size. It takes each image, or each part of one, as its object,
as in training.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np
import torch

from convolve.datasets.crops import ImagePart, decode_whole, part_of
from convolve.datasets.input_boxes import input_matrices
from convolve.datasets.preprocess import fit_to_input, least_side, normalize
from convolve.runtime import Runtime
from convolve.tasks.landmarks.evaluation import to_image
from convolve.tasks.landmarks.options import LandmarkPredictOptions
from convolve.tasks.landmarks.prediction import PointPrediction, PointPredictions
from convolve.values import Floats, Images, Pixels, Preprocessing

if TYPE_CHECKING:
    from convolve.tasks.landmarks.task import Landmarks


@dataclass(frozen=True)
class _Input:
    """An image as it was read: its size, what it is a part of, what the network sees, and the pixels of the whole image
    if it is drawn.
    """

    size: tuple[int, int]
    part: ImagePart
    fitted: Pixels
    pixels: Pixels | None


@final
class PointPredictor(PointPredictions):
    """Predicts images as a whole, and writes the files."""

    batch_size = 16

    def __init__(
        self, task: Landmarks, preprocessing: Preprocessing, runtime: Runtime, options: LandmarkPredictOptions
    ) -> None:
        super().__init__(task.point_set, options)
        self._task, self._preprocessing, self._runtime = task, preprocessing, runtime

    def read(self, images: Images, index: int) -> _Input:
        """The image as the network sees it. Raises `ImageError`."""
        encoded = images.open(index)
        small = encoded.decode(least_side(self._preprocessing))
        whole = decode_whole(encoded) if self._options.out else None
        part = part_of(images, index, encoded)
        return _Input(encoded.header.size, part, fit_to_input(small, self._preprocessing), whole)

    def predict(self, names: Sequence[str], inputs: Sequence[_Input]) -> Iterator[PointPrediction]:
        """The points of each image, in order."""
        if not inputs:
            return
        pixels = np.stack([one.fitted for one in inputs])
        images = self._runtime.images(normalize(pixels, self._preprocessing))
        with torch.inference_mode(), self._runtime.arithmetic():
            found = self._task.predict(images).double().cpu().numpy()
        sizes = np.array([one.size for one in inputs], dtype=np.int64)
        points = to_image(found[..., :2], input_matrices(sizes, self._preprocessing))
        says_confidence = self._task.has_heatmaps
        for name, one, position, confidence in zip(names, inputs, points, found[..., 2], strict=True):
            sure: Floats | None = confidence.astype(np.float32) if says_confidence else None
            yield self.describe(name, one.part, position, sure, one.pixels)
