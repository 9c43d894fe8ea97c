"""What of a localization network's predictions is explained: the scores of classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from convolve.explainers.explanation_targets import ExplanationTargets
from convolve.explainers.score_targets import ClassScore
from convolve.tasks.localize.task import Localize


def explanation_targets(task: Localize, inputs: Tensor, classes: Sequence[int]) -> ExplanationTargets:
    """The score of each of ``classes`` (indices), or of the most likely class, for network inputs (N, C, H, W)."""
    with torch.inference_mode():
        scores = task.predict(inputs)[:, : len(task.classes)].cpu().numpy()
    best = np.asarray(scores.argmax(1), dtype=np.int64)
    explained = np.tile(np.array(classes, dtype=np.int64), (len(scores), 1)) if classes else best[:, None]
    return ExplanationTargets(
        predictions=tuple(task.classes[index] for index in best.tolist()),
        confidences=scores.max(1),
        names=tuple(tuple(task.classes[index] for index in row) for row in explained.tolist()),
        scores=np.take_along_axis(scores, explained, 1),
        targets=tuple(ClassScore(torch.from_numpy(column.copy()).to(inputs.device)) for column in explained.T),
    )
