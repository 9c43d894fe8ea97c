"""A localization network as a graph with the box in the image's own pixels, and how it is held against the run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, final

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from convolve.interop.exportable import Exportable
from convolve.interop.graph_operations import Steps, Value, View
from convolve.metrics.boxes import BoxArray
from convolve.runtime import Runtime
from convolve.tasks.localize.evaluation import Evaluation, summarize
from convolve.tasks.localize.exported import USAGE
from convolve.tasks.localize.options import LocalizePredictOptions
from convolve.tasks.localize.predictor import LocalizationPredictor
from convolve.tasks.localize.task import Localize
from convolve.tasks.task import AnswerDifference, EvaluationData
from convolve.values import Floats, Images, Preprocessing


class _Answer(NamedTuple):
    """(C,) probabilities, and (4,) the box in the image's pixels."""

    scores: Floats
    box: BoxArray


@final
class ProbabilitiesAndBox(nn.Module):
    """Normalized images (N, C, H, W) to probabilities (N, classes) and boxes (N, 4) in pixels of the input."""

    def __init__(self, task: Localize) -> None:
        super().__init__()
        self.network, self.task = task.network, task
        self.classes = len(task.classes)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Both."""
        found = self.task.predict(images)
        return found[:, : self.classes], found[:, self.classes :]


@final
class LocalizationExport:
    """A localization network to be exported, and held against how the ``runtime`` runs it."""

    class_metric = "localization_accuracy"

    def __init__(self, task: Localize, preprocessing: Preprocessing, runtime: Runtime) -> None:
        self._task = task
        options = LocalizePredictOptions(top=len(task.classes))
        self._predictor = LocalizationPredictor(task, preprocessing, runtime, options)
        self.part = Exportable(ProbabilitiesAndBox(task), _finish, USAGE)

    def predict(self, images: Images, index: int) -> _Answer:
        """What the run predicts."""
        (found,) = self._predictor.predict([images.name(index)], [self._predictor.read(images, index)])
        by_name = dict(found.classes)
        return _Answer(np.array([by_name[name] for name in self._task.classes], np.float32), np.array(found.box))

    def answer(self, found: Mapping[str, npt.NDArray[Any]]) -> _Answer:
        """What the export predicts."""
        return _Answer(np.asarray(found["probabilities"][0], np.float32), found["boxes"][0].astype(np.float64))

    def compare(self, run: _Answer, export: _Answer) -> AnswerDifference:
        """The class, and how far the edges are apart."""
        changed, largest = int(run.scores.argmax() != export.scores.argmax()), np.abs(run.scores - export.scores).max()
        return AnswerDifference(1, changed, float(largest), float(np.abs(run.box - export.box).max()))

    def evaluate(self, data: EvaluationData, answers: Iterable[tuple[int, _Answer]]) -> Evaluation:
        """As the run's own evaluation."""
        indices, found = zip(*answers, strict=True)
        columns = np.stack([each.scores for each in found]), np.stack([each.box for each in found])
        return summarize(self._task.classes, data.split, data.dataset, np.array(indices, np.int64), columns)


def _finish(steps: Steps, outputs: tuple[Value, ...], view: View) -> Mapping[str, Value]:
    probabilities, boxes = outputs
    return {"probabilities": probabilities, "boxes": steps.in_images(boxes, view)}
