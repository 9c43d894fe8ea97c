"""What a classifier says of images that no one has labeled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, final

import numpy as np
import torch

from convolve.datasets.preprocess import fit_to_input, least_side, normalize
from convolve.errors import OptionError
from convolve.runtime import Runtime
from convolve.tasks.classify.learning import Classify
from convolve.tasks.task import Wanted
from convolve.training.run import Manifest
from convolve.values import Floats, Images, Pixels, Preprocessing

UNSURE = "unsure"
_BATCH = 32


@dataclass(frozen=True)
class Answer:
    """One image's ``label`` (`unsure`, or several joined by `;`), its confidence, and the likeliest classes.

    ``error`` says why an image could not be read; it has no label then.
    """

    image: str
    label: str = ""
    confidence: float = 0.0
    classes: tuple[tuple[str, float], ...] = ()
    error: str = ""

    def cells(self) -> Mapping[str, str]:
        """For people."""
        likeliest = ", ".join(f"{name} {share:.1%}" for name, share in self.classes)
        confidence = f"{self.confidence:.1%}"
        return {"image": self.image, "label": self.label, "confidence": confidence, "likeliest": likeliest}

    def entries(self) -> Mapping[str, str]:
        """For programs."""
        confidence = f"{self.confidence:.6f}" if self.label else ""
        return {"image": self.image, "label": self.label, "confidence": confidence, "error": self.error}

    def as_json(self) -> dict[str, Any]:
        """By the fields' names."""
        return asdict(self)


@final
@dataclass(frozen=True)
class Answering:
    """Scores images a batch at a time."""

    task: Classify
    runtime: Runtime
    preprocessing: Preprocessing
    wanted: Wanted
    together: int = _BATCH

    def read(self, images: Images, index: int) -> Pixels:
        """(height, width, C) as the network sees it. Raises `ImageError`."""
        return fit_to_input(images.read(index, least_side(self.preprocessing)), self.preprocessing)

    def answers(self, names: Sequence[str], found: Sequence[Pixels]) -> Iterator[Answer]:
        """In order."""
        if not found:
            return
        with torch.inference_mode(), self.runtime.arithmetic():
            images = self.runtime.images(normalize(np.stack(found), self.preprocessing))
            scores = self.task.predict(images).cpu().numpy()
        for name, row in zip(names, scores, strict=True):
            yield _answer(name, row, self.task, self.wanted)

    def unread(self, name: str, error: str) -> Answer:
        """Without a label."""
        return Answer(name, error=error)

    def written(self, answers: Sequence[Answer]) -> None:
        """Nothing."""
        del answers


def answering(task: Classify, manifest: Manifest, runtime: Runtime, wanted: Wanted) -> Answering:
    """How a run's classifier answers. Raises `OptionError` where a folder of drawings is wanted."""
    if wanted.out:
        raise OptionError("A classifier draws nothing; leave --out out, or write a table with --csv.")
    return Answering(task, runtime, manifest.preprocessing, wanted)


def _answer(name: str, scores: Floats, task: Classify, wanted: Wanted) -> Answer:
    order = np.argsort(-scores, kind="stable")[: wanted.top]
    likeliest = tuple((task.classes[index], float(scores[index])) for index in order.tolist())
    if task.multiple:
        least = 0.5 if wanted.threshold is None else wanted.threshold
        present = [label for label, share in zip(task.classes, scores, strict=True) if share >= least]
        return Answer(name, ";".join(present), likeliest[0][1], likeliest)
    label, confidence = likeliest[0]
    return Answer(name, label if confidence >= (wanted.threshold or 0.0) else UNSURE, confidence, likeliest)
