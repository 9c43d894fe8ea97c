"""An embedding as a graph that gives vectors and distances, and how these are held against the run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, final

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn
from torch.nn import functional as F

from convolve.datasets.labels import Labels
from convolve.interop.exportable import Exportable
from convolve.interop.graph_operations import Steps, Value, View
from convolve.runtime import Runtime
from convolve.tasks.embed.evaluation import Evaluation, evaluate
from convolve.tasks.embed.exported import USAGE
from convolve.tasks.embed.options import EmbedPredictOptions
from convolve.tasks.embed.predictor import EmbeddingPredictor
from convolve.tasks.task import AnswerDifference, EvaluationData
from convolve.values import Floats, Images, Preprocessing

if TYPE_CHECKING:
    from convolve.tasks.embed.task import Embed


@final
class EmbeddingWithDistances(nn.Module):
    """Normalized images (N, C, H, W) to embeddings (N, D) and distances (N, identities)."""

    def __init__(self, task: Embed) -> None:
        super().__init__()
        self.network = task.network
        self.distances = task.distances

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Both."""
        embeddings = F.normalize(self.network(images))
        return embeddings, self.distances(embeddings)


@final
class EmbeddingExport:
    """An embedding to be exported, and held against how the ``runtime`` runs it."""

    class_metric = ""

    def __init__(self, task: Embed, preprocessing: Preprocessing, runtime: Runtime) -> None:
        self._task = task
        self._predictor = EmbeddingPredictor(task, runtime, preprocessing, EmbedPredictOptions())
        self.part = Exportable(EmbeddingWithDistances(task), _finish, USAGE)

    def predict(self, images: Images, index: int) -> tuple[Floats, Floats]:
        """(D,) the embedding, and (identities,) distances."""
        embeddings, distances = self._predictor.embed([self._predictor.read(images, index)])
        return embeddings[0], distances[0]

    def answer(self, found: Mapping[str, npt.NDArray[Any]]) -> tuple[Floats, Floats]:
        """The same of the export."""
        return np.asarray(found["embedding"][0], np.float32), np.asarray(found["distances"][0], np.float32)

    def compare(self, run: tuple[Floats, Floats], export: tuple[Floats, Floats]) -> AnswerDifference:
        """The nearest known identity, and the distances."""
        changed = int(run[1].argmin() != export[1].argmin())
        return AnswerDifference(1, changed, float(np.abs(run[1] - export[1]).max()))

    def evaluate(self, data: EvaluationData, answers: Iterable[tuple[int, tuple[Floats, Floats]]]) -> Evaluation:
        """As the run's own evaluation."""
        task, labels = self._task, data.dataset.ground_truths["labels"]
        assert isinstance(labels, Labels)  # noqa: S101 - `accept` checked it
        indices, found = zip(*answers, strict=True)
        chosen = np.array(indices, np.int64)
        embeddings = np.stack([embedding for embedding, _ in found])
        gathered = embeddings, labels.take(chosen).values.astype(np.int64), chosen
        return evaluate(data.split, labels.classes, task.known, gathered, task.threshold)


def _finish(steps: Steps, outputs: tuple[Value, ...], view: View) -> Mapping[str, Value]:
    del steps, view
    return {"embedding": outputs[0], "distances": outputs[1]}
