"""A detector as a graph that gives boxes in the image's own pixels, and how these are held against the run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, cast, final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from convolve.datasets.boxes import Boxes
from convolve.errors import ExportError
from convolve.interop.exportable import Exportable
from convolve.interop.graph_operations import Steps, Value, View
from convolve.layers.box_head import BoxHead
from convolve.layers.faster_rcnn import TwoStageHead
from convolve.metrics.boxes import intersection_over_union
from convolve.metrics.detections import Detections
from convolve.runtime import Runtime
from convolve.tasks.detect.evaluation import Evaluation, measure_detections
from convolve.tasks.detect.exported import usage_from
from convolve.tasks.detect.options import MOST_DETECTIONS, DetectPredictOptions
from convolve.tasks.detect.predictor import BoxPredictor
from convolve.tasks.detect.suppression import CONSIDERED, LEAST_SCORE
from convolve.tasks.objects import objects_of
from convolve.tasks.task import AnswerDifference, EvaluationData
from convolve.values import Images, Preprocessing

if TYPE_CHECKING:
    from convolve.tasks.detect.task import Detect

_SAME = 0.5
"""IoU from which on two boxes of a class are the same answer."""
_SAME_EDGES = 0.5
"""Pixels: boxes whose edges are no farther apart are the same answer whatever their IoU."""
_NEAR = 0.05
"""How far below the threshold the other's score may lie."""


class _Boxes(NamedTuple):
    """(K, 4) boxes in an image's pixels, (K,) scores and (K,) classes, the highest scores first."""

    boxes: npt.NDArray[np.float64]
    scores: npt.NDArray[np.float64]
    classes: npt.NDArray[np.int64]

    def take(self, rows: npt.NDArray[Any]) -> _Boxes:
        return _Boxes(self.boxes[rows], self.scores[rows], self.classes[rows])


@final
class BestCandidates(nn.Module):
    """Normalized images (N, C, H, W) to what is left to be suppressed, as `suppression.best_candidates` chooses it, a
    fixed number K for each image: boxes (N, K, 4), in pixels of the input; the same boxes as they are compared, those
    of each class where those of no other are, if a box suppresses only its own class; scores (N, K), 0 for what is no
    candidate; and classes (N, K).
    """

    def __init__(self, task: Detect) -> None:
        super().__init__()
        self.network = task.network
        self.per_class = task.rule.kind == "per-class"

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The candidates."""
        head = cast(BoxHead, self.network.head)
        found = head.decode(self.network(images), (images.shape[2], images.shape[3]))
        proper = torch.isfinite(found.boxes).all(-1) & (found.boxes[..., 2:] > found.boxes[..., :2]).all(-1)
        every = found.scores.where(proper[..., None], 0.0).nan_to_num().flatten(1)
        count = found.scores.shape[2]
        scores, order = every.topk(min(CONSIDERED, every.shape[1]))
        classes = order % count
        rows = (order // count)[..., None].expand(-1, -1, 4)
        boxes = found.boxes.where(proper[..., None], 0.0).gather(1, rows)
        scores = scores.where(scores >= LEAST_SCORE, 0.0)
        span = boxes.amax((1, 2)) - boxes.amin((1, 2)) + 1
        moved = classes * span[:, None] if self.per_class else torch.zeros_like(scores)
        apart = boxes + moved[..., None]  # of its own also where nothing moves: OpenVINO wants each output once
        return boxes, apart, scores, classes


@final
class BoxExport:
    """A detector to be exported, and held against how the ``runtime`` runs it."""

    class_metric = "ap50"

    def __init__(self, task: Detect, preprocessing: Preprocessing, runtime: Runtime) -> None:
        if task.rule.kind == "soft":
            raise ExportError(
                "Soft non-maximum suppression has no operation in any format; export a run trained with "
                "--nms per-class or --nms agnostic."
            )
        if task.proposals:
            raise ExportError(
                f"{task.network.card.name} scores regions that are proposed outside of it, which no format can do; "
                "export a network that finds regions by itself, such as yolo_compact."
            )
        if isinstance(task.network.head, TwoStageHead):
            raise ExportError(
                f"{task.network.card.name} pools the regions that it proposes, which is not exported yet; export a "
                "network of one stage, such as yolo_compact."
            )
        self._task = task
        self._predictor = BoxPredictor(task, preprocessing, runtime, DetectPredictOptions(threshold=LEAST_SCORE))
        self.part = Exportable(BestCandidates(task), self._finish, usage_from(task.threshold))

    def predict(self, images: Images, index: int) -> _Boxes:
        """Everything that the run finds."""
        (found,) = self._predictor.predict([images.name(index)], [self._predictor.read(images, index)])
        names = {name: position for position, name in enumerate(self._task.classes)}
        return _Boxes(
            np.array([each.box for each in found.detections], np.float64).reshape(-1, 4),
            np.array([each.score for each in found.detections], np.float64),
            np.array([names[each.name] for each in found.detections], np.int64),
        )

    def answer(self, found: Mapping[str, npt.NDArray[Any]]) -> _Boxes:
        """Everything that the export finds."""
        return _Boxes(found["boxes"].astype(np.float64), found["scores"].astype(np.float64), found["classes"])

    def compare(self, run: _Boxes, export: _Boxes) -> AnswerDifference:
        """The boxes worth showing, of the run and of the export: those that the other has too, of the same class and an
        IoU of at least 0.5, are the same answer; its score may be a little below the threshold.
        """
        matches = [(*_matched(one, other, self._task.threshold),) for one, other in ((run, export), (export, run))]
        answers = sum(len(found) for found, _, _ in matches)
        missed = sum(int((found < 0).sum()) for found, _, _ in matches)
        differences = np.concatenate([apart for _, apart, _ in matches])
        shifts = np.concatenate([shift for _, _, shift in matches])
        return AnswerDifference(answers, missed, float(differences.max(initial=0)), float(shifts.max(initial=0)))

    def evaluate(self, data: EvaluationData, answers: Iterable[tuple[int, _Boxes]]) -> Evaluation:
        """As the run's own evaluation, of the same number of boxes for each image."""
        most = self._task.rule.most
        indices, found = zip(*answers, strict=True)
        boxes = [each.take(np.arange(min(most, len(each.scores)))) for each in found]
        images = np.array(indices, np.int64)
        detections = Detections(
            np.concatenate([each.boxes for each in boxes]),
            np.concatenate([each.scores for each in boxes]),
            np.concatenate([each.classes for each in boxes]),
            np.repeat(np.arange(len(boxes)), [len(each.scores) for each in boxes]),
        )
        objects = objects_of(cast(Boxes, data.dataset.ground_truths["boxes"]), images)
        task = self._task
        return measure_detections(task.classes, data.split, task.threshold, objects, detections, images)

    def _finish(self, steps: Steps, outputs: tuple[Value, ...], view: View) -> Mapping[str, Value]:
        do = steps.do
        boxes, apart, scores, classes = outputs
        chosen = do.suppress(apart, scores, self._task.rule.iou, MOST_DETECTIONS)
        image = do.reshape(do.part(chosen, do.integers(0), do.integers(1), (1,)), do.integers(-1))
        return {
            "boxes": steps.in_images(do.gather(boxes, chosen), view),
            "scores": do.gather(scores, chosen),
            "classes": do.cast(do.gather(classes, chosen), "int64"),
            "image": image,
        }


def _matched(
    found: _Boxes, others: _Boxes, threshold: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Of each box worth showing the one of the others that overlaps it most, of the same class: its row, -1 where none
    does; and of those that have one how far apart the scores are and the farthest edges.
    """
    shown = found.take(np.flatnonzero(found.scores >= threshold))
    others = others.take(np.flatnonzero(others.scores >= threshold - _NEAR))
    if not len(shown.scores) or not len(others.scores):
        return np.full(len(shown.scores), -1, np.int64), np.zeros(0), np.zeros(0)
    overlaps = intersection_over_union(shown.boxes, others.boxes)
    edges = np.abs(shown.boxes[:, None] - others.boxes).max(2)
    overlaps[edges < _SAME_EDGES] = 1.0  # also of what lies outside of the image, and has no area in it
    overlaps *= shown.classes[:, None] == others.classes
    best = overlaps.argmax(1)
    same = overlaps[np.arange(len(best)), best] >= _SAME
    apart = np.abs(shown.scores - others.scores[best])[same]
    shift = np.abs(shown.boxes - others.boxes[best]).max(1)[same]
    return np.where(same, best, -1), apart, shift
