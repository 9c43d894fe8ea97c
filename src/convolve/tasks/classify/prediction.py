"""What a classifier predicts for images of any size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
import torch

from convolve.datasets.preprocess import fit_to_input, least_side, normalize
from convolve.runtime import Runtime
from convolve.tasks.classify.options import ClassifyPredictOptions
from convolve.values import Floats, Images, Pixels, Preprocessing

if TYPE_CHECKING:
    from convolve.tasks.classify.task import Classify

UNSURE = "unsure"
_MULTI_LABEL_THRESHOLD = 0.5


@dataclass(frozen=True)
class ClassPrediction:
    """One image's ``label`` (`unsure`, or several joined by `;`), its confidence, and the most likely classes.

    ``error`` says why an image could not be read; it has no label then.
    """

    image: str
    label: str = ""
    confidence: float = 0.0
    classes: tuple[tuple[str, float], ...] = ()
    error: str = ""

    @property
    def overlay(self) -> str:
        """Nothing, as no image is drawn."""
        return ""

    def cells(self) -> Mapping[str, str]:
        """For people."""
        likely = ", ".join(f"{name} {probability:.1%}" for name, probability in self.classes)
        return {"image": self.image, "label": self.label, "confidence": f"{self.confidence:.1%}", "most likely": likely}

    def entries(self) -> Sequence[Mapping[str, str]]:
        """For programs."""
        confidence = f"{self.confidence:.6f}" if self.label else ""
        return [{"image": self.image, "label": self.label, "confidence": confidence, "error": self.error}]

    def as_json(self) -> dict[str, Any]:
        """By the fields' names."""
        return asdict(self)


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
            yield self._prediction(name, row)

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

    def _prediction(self, name: str, scores: Floats) -> ClassPrediction:
        classes, threshold = self.task.classes, self.options.threshold
        order = np.argsort(-scores, kind="stable")[: self.options.top]
        likely = tuple((classes[index], float(scores[index])) for index in order.tolist())
        label, confidence = likely[0]
        if self.task.multi_label:
            least = _MULTI_LABEL_THRESHOLD if threshold is None else threshold
            present = [label for label, probability in zip(classes, scores, strict=True) if probability >= least]
            return ClassPrediction(name, ";".join(present), confidence, likely)
        return ClassPrediction(name, label if confidence >= (threshold or 0.0) else UNSURE, confidence, likely)
