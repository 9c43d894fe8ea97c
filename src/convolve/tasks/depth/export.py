"""A network for depth as a graph that gives the meters of each pixel, and how it is held against the run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, final

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from convolve.errors import ImageError
from convolve.interop.exportable import Exportable
from convolve.interop.graph_operations import Steps, Value, View
from convolve.runtime import Runtime
from convolve.tasks.depth.evaluation import Evaluation, measure_depths
from convolve.tasks.depth.exported import DEPTH, USAGE
from convolve.tasks.depth.predictor import predict_images
from convolve.tasks.task import AnswerDifference, EvaluationData
from convolve.values import Floats, Images, Preprocessing

if TYPE_CHECKING:
    from convolve.tasks.depth.task import Depth

SAME = 0.02
"""Up to this fraction two depths are the same: bfloat16 and 8-bit arithmetic are no nearer to each other."""


@final
class Meters(nn.Module):
    """Normalized images (N, C, H, W) to meters (N, 1, H, W)."""

    def __init__(self, task: Depth) -> None:
        super().__init__()
        self.task = task
        self.network = task.network

    def forward(self, images: Tensor) -> Tensor:
        """The depth of each pixel."""
        return self.task.predict(images)[:, None]


@final
class DepthExport:
    """A network for depth to be exported, and held against how the ``runtime`` runs it."""

    class_metric = ""

    def __init__(self, task: Depth, preprocessing: Preprocessing, runtime: Runtime) -> None:
        self._task, self._preprocessing, self._runtime = task, preprocessing, runtime

        def finish(steps: Steps, outputs: tuple[Value, ...], view: View) -> Mapping[str, Value]:
            do = steps.do
            resized = steps.at_own_size(outputs[0], view)
            shape = do.join([do.integers(-1), view.own.height, view.own.width])
            return {DEPTH: do.reshape(resized, shape)}

        self.part = Exportable(Meters(task), finish, USAGE)

    def predict(self, images: Images, index: int) -> Floats:
        """(H, W) meters at the image's own size."""
        (depth,) = predict_images([images.read(index)], self._task, self._runtime, self._preprocessing)
        return depth

    def answer(self, found: Mapping[str, npt.NDArray[Any]]) -> Floats:
        """(H, W) meters at the image's own size."""
        return np.asarray(found[DEPTH][0], np.float32)

    def compare(self, run: Floats, export: Floats) -> AnswerDifference:
        """Each pixel: another answer is one that differs by more than `SAME`; the largest difference is a fraction of
        the run's depth.
        """
        difference = np.abs(export - run) / run
        return AnswerDifference(run.size, int((difference > SAME).sum()), float(difference.max()))

    def evaluate(self, data: EvaluationData, answers: Iterable[tuple[int, Floats]]) -> Evaluation:
        """As the run's own evaluation."""
        return measure_depths(data.split, self._task.center, data.dataset.images.name, _with_targets(data, answers))


def _with_targets(data: EvaluationData, answers: Iterable[tuple[int, Floats]]) -> Iterator[tuple[int, Floats, Floats]]:
    maps: Any = data.dataset.ground_truths["depth"]
    for index, found in answers:
        with suppress(ImageError):
            yield index, maps.read(index), found
