"""A segmentation network as a graph that gives the class of each pixel, and how it is held against the run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, final

import cv2
import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from convolve.errors import ExportError, ImageError
from convolve.interop.exportable import Exportable
from convolve.interop.graph_operations import Steps, Value, View
from convolve.runtime import Runtime
from convolve.tasks.segment.evaluation import Evaluation, measure_masks
from convolve.tasks.segment.exported import USAGE
from convolve.tasks.segment.tiled_prediction import predict_image
from convolve.tasks.segment.view_size import most_at_once, view_pixels
from convolve.tasks.task import AnswerDifference, EvaluationData
from convolve.values import Images, Pixels, Preprocessing

if TYPE_CHECKING:
    from convolve.tasks.segment.task import Segment

_MOST_IN_BYTES = 256


class _Mask(NamedTuple):
    """(H, W) class indices, and how probable these are, where that is known."""

    classes: npt.NDArray[Any]
    confidence: npt.NDArray[np.float32] | None = None


@final
class PixelProbabilities(nn.Module):
    """Normalized images (N, C, H, W) to probabilities (N, classes, H, W)."""

    def __init__(self, task: Segment) -> None:
        super().__init__()
        self.network = task.network

    def forward(self, images: Tensor) -> Tensor:
        """The probabilities."""
        scores: Tensor = self.network(images)
        return scores.softmax(1)


@final
class MaskExport:
    """A segmentation network to be exported, and held against how the ``runtime`` runs it."""

    class_metric = "iou"

    def __init__(self, task: Segment, preprocessing: Preprocessing, runtime: Runtime) -> None:
        self._task, self._preprocessing, self._runtime = task, preprocessing, runtime
        kind: Any = "uint8" if len(task.classes) <= _MOST_IN_BYTES else "int32"

        def finish(steps: Steps, outputs: tuple[Value, ...], view: View) -> Mapping[str, Value]:
            classes, confidence = steps.most_likely_classes(outputs[0], view, kind)
            return {"classes": classes, "confidence": confidence}

        any_size = preprocessing.fit in ("crop", "tiles")
        notes = tuple(_notes(preprocessing))
        self.part = Exportable(PixelProbabilities(task), finish, USAGE, any_size=any_size, notes=notes)

    def predict(self, images: Images, index: int) -> _Mask:
        """The mask at the image's own size."""
        image = images.read(index)
        size = (image.shape[0], image.shape[1])
        return _Mask(predict_image(image, size, self._task, self._runtime, self._preprocessing))

    def answer(self, found: Mapping[str, npt.NDArray[Any]]) -> _Mask:
        """The mask at the image's own size."""
        return _Mask(found["classes"][0], found["confidence"][0])

    def compare(self, run: _Mask, export: _Mask) -> AnswerDifference:
        """Each pixel. The run gives out no probabilities: the largest one of a pixel that is of another class."""
        if run.classes.shape != export.classes.shape:
            raise ExportError(
                f"The exported network gives a mask of another size than the image, {run.classes.shape}; export a run "
                "trained with --fit letterbox or --fit stretch."
            )
        changed = run.classes != export.classes
        assert export.confidence is not None  # noqa: S101 - `answer` gave it
        largest, (height, width) = float(export.confidence[changed].max(initial=0)), changed.shape
        pixels = view_pixels(height, width, self._preprocessing)
        return AnswerDifference(changed.size, int(changed.sum()), largest, view_pixels=pixels)

    def evaluate(self, data: EvaluationData, answers: Iterable[tuple[int, _Mask]]) -> Evaluation:
        """As the run's own evaluation; where a mask has another size than its image, at that."""
        return measure_masks(self._task.classes, data.split, _with_targets(data, answers))


def _with_targets(data: EvaluationData, answers: Iterable[tuple[int, _Mask]]) -> Iterator[tuple[int, Pixels, Pixels]]:
    masks: Any = data.dataset.ground_truths["masks"]
    for index, found in answers:
        with suppress(ImageError):
            target = masks.read(index)
            classes = np.ascontiguousarray(found.classes, np.uint8)
            if classes.shape != target.shape:
                classes = np.asarray(cv2.resize(classes, target.shape[::-1], interpolation=cv2.INTER_NEAREST), np.uint8)
            yield index, target, classes


def _notes(preprocessing: Preprocessing) -> Iterator[str]:
    if preprocessing.fit in ("crop", "tiles"):
        yield (
            "The export takes an image through the network at once; the run blends tiles where that is more than "
            f"{most_at_once(preprocessing):,} pixels. `convolve predict` refuses an image that is larger than those "
            "compared with the run and than that."
        )
    if preprocessing.fit == "letterbox":
        yield "Along the edges of the image the export does not blend in the padding, as the run does for half a pixel."
