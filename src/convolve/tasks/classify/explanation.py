"""What of a classifier's predictions is explained: the scores of classes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress

import numpy as np
import torch
from torch import Tensor

from convolve.explainers.explanation_targets import ExplanationTargets
from convolve.explainers.score_targets import ClassScore
from convolve.tasks.classify.task import Classify
from convolve.values import Indices, Preprocessing

_PRESENT = 0.5


def explanation_targets(
    task: Classify, inputs: Tensor, sizes: Indices, classes: Sequence[int], preprocessing: Preprocessing
) -> ExplanationTargets:
    """The score of each of ``classes`` (indices), or of the most likely class, for network inputs (N, C, H, W).

    The prediction is the most likely class or, of several labels, all that are present joined by `;`; its confidence is
    the most likely one's probability.
    """
    del sizes, preprocessing
    with torch.inference_mode():
        scores = task.predict(inputs).cpu().numpy()
    best = np.asarray(scores.argmax(1), dtype=np.int64)
    explained = np.tile(np.array(classes, dtype=np.int64), (len(scores), 1)) if classes else best[:, None]
    if task.multi_label:
        predictions = [";".join(compress(task.classes, row >= _PRESENT)) for row in scores]
    else:
        predictions = [task.classes[index] for index in best.tolist()]
    return ExplanationTargets(
        predictions=tuple(predictions),
        confidences=scores.max(1),
        names=tuple(tuple(task.classes[index] for index in row) for row in explained.tolist()),
        scores=np.take_along_axis(scores, explained, 1),
        targets=tuple(ClassScore(torch.from_numpy(column.copy()).to(inputs.device)) for column in explained.T),
    )
