"""A classifier as a graph that gives probabilities, and how these are held against the run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, final

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from convolve.datasets.labels import Labels
from convolve.interop.exportable import Exportable
from convolve.interop.graph_operations import Steps, Value, View
from convolve.runtime import Runtime
from convolve.tasks.classify.confidence import apply_temperature
from convolve.tasks.classify.evaluation import Evaluation, Predictions, evaluate
from convolve.tasks.classify.exported import USAGE
from convolve.tasks.classify.options import ClassifyPredictOptions
from convolve.tasks.classify.predictor import ClassPredictor
from convolve.tasks.task import AnswerDifference, EvaluationData
from convolve.values import Floats, Images, Preprocessing

if TYPE_CHECKING:
    from convolve.tasks.classify.task import Classify

_LEAST = 0.5
"""The probability from which on a label of several is said to be present."""


@final
class Probabilities(nn.Module):
    """Normalized images (N, C, H, W) to probabilities (N, classes) at the classifier's temperature."""

    def __init__(self, task: Classify) -> None:
        super().__init__()
        self.network = task.network
        self.temperature = task.confidence.temperature
        self.multi_label = task.multi_label

    def forward(self, images: Tensor) -> Tensor:
        """The probabilities."""
        scores: Tensor = self.network(images) / self.temperature
        return scores.sigmoid() if self.multi_label else scores.softmax(1)


@final
class ClassExport:
    """A classifier to be exported, and held against how the ``runtime`` runs it."""

    def __init__(self, task: Classify, preprocessing: Preprocessing, runtime: Runtime) -> None:
        self._task = task
        self._predictor = ClassPredictor(task, runtime, preprocessing, ClassifyPredictOptions(top=len(task.classes)))
        self.class_metric = "average_precision" if task.multi_label else "recall"
        self.part = Exportable(Probabilities(task), _finish, USAGE)

    def predict(self, images: Images, index: int) -> Floats:
        """(classes,) probabilities."""
        (found,) = self._predictor.predict([images.name(index)], [self._predictor.read(images, index)])
        by_name = dict(found.classes)
        return np.array([by_name[name] for name in self._task.classes], np.float32)

    def answer(self, found: Mapping[str, npt.NDArray[Any]]) -> Floats:
        """(classes,) probabilities."""
        return np.asarray(found["probabilities"][0], np.float32)

    def compare(self, run: Floats, export: Floats) -> AnswerDifference:
        """The class, or of multi-label each label."""
        largest = float(np.abs(run - export).max())
        if self._task.multi_label:
            return AnswerDifference(len(run), int(((run >= _LEAST) != (export >= _LEAST)).sum()), largest)
        return AnswerDifference(1, int(run.argmax() != export.argmax()), largest)

    def evaluate(self, data: EvaluationData, answers: Iterable[tuple[int, Floats]]) -> Evaluation:
        """As the run's own evaluation."""
        task, labels = self._task, data.dataset.ground_truths["labels"]
        assert isinstance(labels, Labels)  # noqa: S101 - `accept` checked it
        indices, rows = zip(*answers, strict=True)
        chosen = np.array(indices, np.int64)
        scores = apply_temperature(np.stack(rows), 1 / task.confidence.temperature, task.multi_label)
        predictions = Predictions(scores, labels.take(chosen).values, chosen, task.multi_label)
        return evaluate(task.classes, data.split, predictions, task.confidence)


def _finish(steps: Steps, outputs: tuple[Value, ...], view: View) -> Mapping[str, Value]:
    del steps, view
    return {"probabilities": outputs[0]}
