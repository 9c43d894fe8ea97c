"""What a classifier predicts for images of any size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from convolve.tasks.classify.options import ClassifyPredictOptions
from convolve.values import Floats

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


def class_prediction(
    name: str, scores: Floats, classes: Sequence[str], multi_label: bool, options: ClassifyPredictOptions
) -> ClassPrediction:
    """What the probabilities (classes,) of an image say, by the options."""
    threshold = options.threshold
    order = np.argsort(-scores, kind="stable")[: options.top]
    likely = tuple((classes[index], float(scores[index])) for index in order.tolist())
    label, confidence = likely[0]
    if multi_label:
        least = _MULTI_LABEL_THRESHOLD if threshold is None else threshold
        present = [label for label, probability in zip(classes, scores, strict=True) if probability >= least]
        return ClassPrediction(name, ";".join(present), confidence, likely)
    return ClassPrediction(name, label if confidence >= (threshold or 0.0) else UNSURE, confidence, likely)
