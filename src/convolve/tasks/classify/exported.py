"""What an exported classifier predicts, and how good it is."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast, final

import numpy as np

from convolve.exports.card import ExportCard
from convolve.exports.images import FoundInImage, ReadImage
from convolve.tasks.classify.options import INFO, ClassifyPredictOptions
from convolve.tasks.classify.prediction import ClassPrediction, class_prediction
from convolve.tasks.exported_task import ExportedTask, read_small
from convolve.values import Dataset, Images

if TYPE_CHECKING:
    from convolve.datasets.labels import Labels
    from convolve.reports.report import Headline, Section
    from convolve.tasks.classify.evaluation import Evaluation

USAGE = (
    'for index in found["probabilities"][0].argsort()[::-1][:3]:',
    "    print(f\"{classes[index]} {found['probabilities'][0, index]:.1%}\")",
)
_PROBABILITIES = "probabilities"


@final
@dataclass(frozen=True)
class ExportedClassifier(ExportedTask):
    """A classifier whose graph gives calibrated probabilities."""

    multi_label: bool = False

    info = INFO
    usage = USAGE

    @classmethod
    def restore(cls, card: ExportCard) -> ExportedClassifier:
        """From the classes and whether they are multi-label."""
        multi_label = card.state["multi_label"]
        if not card.classes or not isinstance(multi_label, bool):
            raise ValueError("it has no classes, or multi_label is neither true nor false")
        return cls(card, multi_label)

    @property
    def monitored(self) -> str:
        """As `Classify.monitored`."""
        return "average_precision" if self.multi_label else "accuracy"

    def predictor(self, options: ClassifyPredictOptions, outputs: Collection[str]) -> ExportedClassPredictor:
        """How images of any size are classified."""
        del outputs
        return ExportedClassPredictor(self, options)

    def conform(self, dataset: Dataset) -> Dataset:
        """The dataset with this classifier's classes. Raises `DataError`."""
        from convolve.tasks.classify.classes import conform

        return conform(dataset, self.card.classes, self.multi_label)

    def evaluate(self, split: str, dataset: Dataset, found: Iterable[FoundInImage]) -> Evaluation:
        """Every metric of a split."""
        from convolve.tasks.classify.confidence import Confidence, apply_temperature
        from convolve.tasks.classify.evaluation import Predictions, evaluate

        rows = [(one.index, one.outputs[_PROBABILITIES]) for one in found]
        indices = np.array([index for index, _ in rows], dtype=np.int64)
        confidence = Confidence.from_json(self.card.state["confidence"])
        scores = np.stack([row for _, row in rows])
        plain = apply_temperature(scores, 1 / confidence.temperature, self.multi_label)
        targets = cast("Labels", dataset.ground_truths[INFO.ground_truth]).take(indices).values
        predictions = Predictions(plain, targets, indices, self.multi_label)
        return evaluate(self.card.classes, split, predictions, confidence)

    def report(self, evaluation: Evaluation, dataset: Dataset) -> tuple[tuple[Headline, ...], tuple[Section, ...]]:
        """Confusion matrix, worst mistakes, metrics of each class, calibration; without heatmaps."""
        from convolve.tasks.classify.report import headlines, plain_sections

        return headlines(evaluation), plain_sections(evaluation, dataset)


@final
@dataclass(frozen=True)
class ExportedClassPredictor:
    """Predicts images."""

    task: ExportedClassifier
    options: ClassifyPredictOptions

    def read(self, images: Images, index: int) -> ReadImage:
        """An image. Raises `ImageError`."""
        return read_small(images, index, self.task.card)

    def predict(self, name: str, found: FoundInImage) -> ClassPrediction:
        """From its probabilities."""
        scores = found.outputs[_PROBABILITIES]
        return class_prediction(name, scores, self.task.card.classes, self.task.multi_label, self.options)

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


EXPORTED = ExportedClassifier
