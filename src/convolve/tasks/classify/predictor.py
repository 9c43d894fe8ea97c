"""How a run's network classifies images of any size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np
import torch

from convolve.datasets.preprocess import fit_to_input, least_side, normalize
from convolve.runtime import Runtime
from convolve.tasks.classify.options import ClassifyPredictOptions
from convolve.tasks.classify.prediction import ClassPrediction, class_prediction
from convolve.values import Images, Pixels, Preprocessing

if TYPE_CHECKING:
    from convolve.tasks.classify.task import Classify


@final
@dataclass(frozen=True)
class ClassPredictor:
    """Predicts images a batch at a time."""

    task: Classify
    runtime: Runtime
    preprocessing: Preprocessing
    options: ClassifyPredictOptions
    batch_size: int = 32

    def read(self, images: Images, index: int) -> Pixels:
        """(height, width, C) as the network takes it. Raises `ImageError`."""
        return fit_to_input(images.read(index, least_side(self.preprocessing)), self.preprocessing)

    def predict(self, names: Sequence[str], inputs: Sequence[Pixels]) -> Iterator[ClassPrediction]:
        """In order."""
        if not inputs:
            return
        with torch.inference_mode(), self.runtime.arithmetic():
            images = self.runtime.images(normalize(np.stack(inputs), self.preprocessing))
            scores = self.task.predict(images).cpu().numpy()
        for name, row in zip(names, scores, strict=True):
            yield class_prediction(name, row, self.task.classes, self.task.multi_label, self.options)

    def unreadable(self, name: str, error: str) -> ClassPrediction:
        """Without a label."""
        return ClassPrediction(name, error=error)

    def total(self, predictions: Sequence[ClassPrediction]) -> Mapping[str, str]:
        """No row."""
        del predictions
        return {}

    def finish(self, predictions: Sequence[ClassPrediction]) -> None:
        """Nothing."""
        del predictions
