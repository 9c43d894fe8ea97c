"""A network for landmarks as a graph that gives points in the image's own pixels, and how these are held against the
run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, final

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from convolve.datasets.points import PointArray
from convolve.interop.exportable import Exportable
from convolve.interop.graph_operations import Steps, Value, View
from convolve.runtime import Runtime
from convolve.tasks.landmarks.evaluation import Evaluation, measure_points
from convolve.tasks.landmarks.exported import USAGE
from convolve.tasks.landmarks.options import LandmarkPredictOptions
from convolve.tasks.landmarks.predictor import PointPredictor
from convolve.tasks.task import AnswerDifference, EvaluationData
from convolve.values import Images, Preprocessing

if TYPE_CHECKING:
    from convolve.tasks.landmarks.task import Landmarks

_SAME = 0.02
"""Of the image's longer side: two points that are no farther apart are the same answer."""


class _Points(NamedTuple):
    """(P, 2) points in an image's pixels, (P,) confidences, and the image's longer side."""

    points: PointArray
    confidences: npt.NDArray[np.float64]
    side: float = 0.0


@final
class PointPositions(nn.Module):
    """Normalized images (N, C, H, W) to points (N, P, 2) in pixels of the input, and confidences (N, P)."""

    def __init__(self, task: Landmarks) -> None:
        super().__init__()
        self.network = task.network
        self._positions = task.positions

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The points."""
        outputs = self.network(images)
        output = outputs[-1] if isinstance(outputs, tuple) else outputs
        found = self._positions(output.float(), (images.shape[2], images.shape[3]))
        return found[..., :2], found[..., 2]


@final
class PointExport:
    """A network for landmarks to be exported, and held against how the ``runtime`` runs it."""

    class_metric = ""

    def __init__(self, task: Landmarks, preprocessing: Preprocessing, runtime: Runtime) -> None:
        self._predictor = PointPredictor(task, preprocessing, runtime, LandmarkPredictOptions())
        self.part = Exportable(PointPositions(task), _finish, USAGE)

    def predict(self, images: Images, index: int) -> _Points:
        """What the run finds."""
        (found,) = self._predictor.predict([images.name(index)], [self._predictor.read(images, index)])
        points = np.array([(each.x, each.y) for each in found.points], dtype=np.float64)
        sure = np.array([1.0 if each.confidence is None else each.confidence for each in found.points])
        return _Points(points, sure, float(max(found.size)))

    def answer(self, found: Mapping[str, npt.NDArray[Any]]) -> _Points:
        """What the export finds."""
        return _Points(found["points"][0].astype(np.float64), found["confidence"][0].astype(np.float64))

    def compare(self, run: _Points, export: _Points) -> AnswerDifference:
        """Each point; those that are nearly at the same position are the same answer."""
        apart = np.linalg.norm(run.points - export.points, axis=1)
        changed = apart > _SAME * run.side
        difference = np.abs(run.confidences - export.confidences)
        return AnswerDifference(len(apart), int(changed.sum()), float(difference.max()), float(apart.max()))

    def evaluate(self, data: EvaluationData, answers: Iterable[tuple[int, _Points]]) -> Evaluation:
        """As the run's own evaluation."""
        indices, found = zip(*answers, strict=True)
        points, sure = np.stack([each.points for each in found]), np.stack([each.confidences for each in found])
        return measure_points(data.split, data.dataset, np.array(indices, dtype=np.int64), points, sure)


def _finish(steps: Steps, outputs: tuple[Value, ...], view: View) -> Mapping[str, Value]:
    points, confidence = outputs
    return {"points": steps.points_in_images(points, view), "confidence": confidence}
