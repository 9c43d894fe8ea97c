"""What of a classifier's answers is explained: the scores of classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor

from convolve.tasks.classify.learning import Classify
from convolve.tasks.task import Said
from convolve.values import Floats, Indices, Labels, Preprocessing

_PRESENT = 0.5


@final
@dataclass(frozen=True)
class Explaining:
    """One score of an image for each class."""

    task: Classify
    taken_for: str = "taken for"

    def said(self, inputs: Tensor, sizes: Indices, asked: Sequence[int]) -> Said:
        """The likeliest class or, of several labels, all that are present joined by `;`; with the likeliest's score."""
        del sizes
        with torch.inference_mode():
            scores = self.shares(inputs).cpu().numpy()
        best = np.asarray(scores.argmax(1), dtype=np.int64)
        classes = np.tile(np.array(asked, dtype=np.int64), (len(scores), 1)) if asked else best[:, None]
        return Said(
            labels=tuple(self._label(row) for row in scores),
            confidences=scores.max(1),
            classes=classes,
            scores=np.take_along_axis(scores, classes, 1),
        )

    def shares(self, inputs: Tensor) -> Tensor:
        """(N, C, H, W) to (N, classes)."""
        return self.task.predict(inputs)

    def truths(self, labels: Labels) -> tuple[str, ...]:
        """The class, or all labels joined by `;`."""
        rows = [np.flatnonzero(row) if labels.multiple else [row] for row in labels.values]
        return tuple(";".join(labels.classes[place] for place in row) for row in rows)

    def _label(self, scores: Floats) -> str:
        if not self.task.multiple:
            return self.task.classes[int(scores.argmax())]
        return ";".join(name for name, score in zip(self.task.classes, scores, strict=True) if score >= _PRESENT)


def explaining(task: Classify, preprocessing: Preprocessing) -> Explaining:
    """What of a run's answers is explained."""
    del preprocessing
    return Explaining(task)
