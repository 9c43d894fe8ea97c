"""How a run's network finds the object in images of any size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np
import torch

from convolve.datasets.input_boxes import input_matrices, undo_matrices
from convolve.datasets.preprocess import fit_to_input, least_side, normalize
from convolve.runtime import Runtime
from convolve.tasks.localize.options import LocalizePredictOptions
from convolve.tasks.localize.prediction import LocalizationPrediction, LocalizationPredictions
from convolve.values import Images, Pixels, Preprocessing

if TYPE_CHECKING:
    from convolve.tasks.localize.task import Localize


@dataclass(frozen=True)
class _Input:
    """The network's input of an image, the image's size, and its pixels if it is drawn."""

    pixels: Pixels
    size: tuple[int, int]
    whole: Pixels | None


@final
class LocalizationPredictor(LocalizationPredictions):
    """Predicts images a batch at a time, and writes the files."""

    batch_size = 32

    def __init__(
        self, task: Localize, preprocessing: Preprocessing, runtime: Runtime, options: LocalizePredictOptions
    ) -> None:
        super().__init__(task.classes, options)
        self._task, self._preprocessing, self._runtime = task, preprocessing, runtime

    def read(self, images: Images, index: int) -> _Input:
        """The image as the network takes it, and at full size where it is drawn. Raises `ImageError`."""
        encoded = images.open(index)
        pixels = fit_to_input(encoded.decode(least_side(self._preprocessing)), self._preprocessing)
        whole = encoded.decode() if self._options.out else None
        size = encoded.header.size if whole is None else (whole.shape[0], whole.shape[1])
        return _Input(pixels, size, whole)

    def predict(self, names: Sequence[str], inputs: Sequence[_Input]) -> Iterator[LocalizationPrediction]:
        """In order."""
        if not inputs:
            return
        with torch.inference_mode(), self._runtime.arithmetic():
            pixels = normalize(np.stack([one.pixels for one in inputs]), self._preprocessing)
            found = self._task.predict(self._runtime.images(pixels)).float().cpu().numpy()
        count = len(self._task.classes)
        matrices = input_matrices(np.array([one.size for one in inputs]), self._preprocessing)
        boxes = undo_matrices(found[:, count:].astype(np.float64), matrices)
        for name, one, scores, box in zip(names, inputs, found[:, :count], boxes, strict=True):
            yield self.describe(name, one.size, (scores, box), one.whole)
