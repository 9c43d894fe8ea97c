"""What an exported embedding predicts, and how good it is."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast, final

import numpy as np

from convolve.exports.card import ExportCard
from convolve.exports.images import FoundInImage, ReadImage
from convolve.tasks.embed.options import INFO, EmbedPredictOptions
from convolve.tasks.embed.prediction import EmbeddingPrediction, embedding_prediction
from convolve.tasks.exported_task import ExportedTask, read_small
from convolve.values import Dataset, Images

if TYPE_CHECKING:
    from convolve.datasets.labels import Labels
    from convolve.reports.report import Headline, Section
    from convolve.tasks.embed.evaluation import Evaluation

USAGE = (
    'print(found["embedding"][0].tolist())',
    'for index in found["distances"][0].argsort()[:3]:',
    "    print(f\"{classes[index]} {found['distances'][0, index]:.3f}\")",
)
FARTHEST = 2.0


@final
@dataclass(frozen=True)
class ExportedEmbedding(ExportedTask):
    """A network whose graph gives embeddings and their distances to the known identities."""

    limit: float = FARTHEST

    info = INFO
    usage = USAGE

    @classmethod
    def restore(cls, card: ExportCard) -> ExportedEmbedding:
        """From the identities and the threshold."""
        limit = float(card.state["threshold"]["distance"])
        if not card.classes or not 0 <= limit <= FARTHEST:
            raise ValueError("it has no identities, or its threshold is none")
        return cls(card, limit)

    @property
    def monitored(self) -> str:
        """As `Embed.monitored`."""
        return "map_at_r"

    def predictor(self, options: EmbedPredictOptions, outputs: Collection[str]) -> ExportedEmbeddingPredictor:
        """How images of any size are embedded."""
        del outputs
        return ExportedEmbeddingPredictor(self, options)

    def conform(self, dataset: Dataset) -> Dataset:
        """See `Embed.conform`."""
        from convolve.tasks.embed.identities import conform

        return conform(dataset, self.card.classes)

    def evaluate(self, split: str, dataset: Dataset, found: Iterable[FoundInImage]) -> Evaluation:
        """Every metric of a split."""
        from convolve.tasks.embed.evaluation import evaluate, parse_threshold

        rows = [(one.index, one.outputs["embedding"], one.outputs["distances"]) for one in found]
        indices = np.array([index for index, _, _ in rows], dtype=np.int64)
        labels = cast("Labels", dataset.ground_truths[INFO.ground_truth])
        # An identity without training images is at the greatest distance from every image.
        farther = np.stack([distances for _, _, distances in rows]) < FARTHEST
        gathered = np.stack([row for _, row, _ in rows]), labels.take(indices).values.astype(np.int64), indices
        known = frozenset(np.flatnonzero(farther.any(0)).tolist())
        return evaluate(split, labels.classes, known, gathered, parse_threshold(self.card.state["threshold"]))

    def report(self, evaluation: Evaluation, dataset: Dataset) -> tuple[tuple[Headline, ...], tuple[Section, ...]]:
        """As the run's own report."""
        from convolve.tasks.embed.report import report_sections

        return report_sections(evaluation, dataset)


@final
@dataclass(frozen=True)
class ExportedEmbeddingPredictor:
    """Predicts images."""

    task: ExportedEmbedding
    options: EmbedPredictOptions

    def read(self, images: Images, index: int) -> ReadImage:
        """An image. Raises `ImageError`."""
        return read_small(images, index, self.task.card)

    def predict(self, name: str, found: FoundInImage) -> EmbeddingPrediction:
        """From its embedding and distances."""
        own = self.options
        options = own if own.threshold is not None else replace(own, threshold=self.task.limit)
        outputs = found.outputs
        return embedding_prediction(name, outputs["embedding"], outputs["distances"], self.task.card.classes, options)

    def unreadable(self, name: str, error: str) -> EmbeddingPrediction:
        """Without an identity."""
        return EmbeddingPrediction(name, error=error)

    def total(self, predictions: Sequence[EmbeddingPrediction]) -> Mapping[str, str]:
        """No row."""
        del predictions
        return {}

    def finish(self, predictions: Sequence[EmbeddingPrediction]) -> None:
        """Nothing."""
        del predictions


EXPORTED = ExportedEmbedding
