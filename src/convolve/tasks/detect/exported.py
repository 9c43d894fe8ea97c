"""What an exported detector finds, and how good it is."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast, final, get_args

import numpy as np

from convolve.errors import OptionError
from convolve.exports.card import ExportCard
from convolve.exports.images import FoundInImage, ReadImage
from convolve.tasks.detect.options import INFO, DetectPredictOptions, Suppression
from convolve.tasks.detect.prediction import BoxPrediction, BoxPredictions, FoundBoxes
from convolve.tasks.exported_task import ExportedTask, read_small
from convolve.values import Dataset, Images

if TYPE_CHECKING:
    from convolve.datasets.boxes import Boxes
    from convolve.reports.report import Headline, Section
    from convolve.tasks.detect.evaluation import Evaluation


def usage_from(threshold: float) -> tuple[str, ...]:
    """The lines of Python that print the objects whose score reaches a threshold."""
    return (
        'for box, score, index in zip(found["boxes"], found["scores"], found["classes"]):',
        f"    if score >= {threshold:.4f}:",
        '        print(f"{classes[index]} {score:.1%}", *box.round().astype(int))  # left, top, right, bottom',
    )


@final
@dataclass(frozen=True)
class ExportedDetector(ExportedTask):
    """A detector whose graph suppresses overlapping boxes by the run's rule, ``nms`` and ``nms_iou``. ``threshold`` is
    the confidence from which on a detection is worth showing.
    """

    nms: Suppression = "per-class"
    nms_iou: float = 0.45
    threshold: float = 0.0

    info = INFO
    monitored = "ap50"

    @property
    def usage(self) -> tuple[str, ...]:
        """See `usage_from`."""
        return usage_from(self.threshold)

    @classmethod
    def restore(cls, card: ExportCard) -> ExportedDetector:
        """From the classes, the suppression and the threshold."""
        state = card.state
        kind, iou, threshold = state["nms"], float(state["nms_iou"]), float(state["threshold"])
        if kind not in get_args(Suppression) or not 0 <= iou <= 1 or not 0 <= threshold <= 1:
            raise ValueError("non-maximum suppression is none that it can have")
        if not card.classes:
            raise ValueError("it has no names of classes")
        return cls(card, kind, iou, threshold)

    def predictor(self, options: DetectPredictOptions, outputs: Collection[str]) -> ExportedBoxPredictor:
        """How objects are found in images of any size. Raises `OptionError` for what is fixed in the graph."""
        del outputs
        rule = f"by {self.nms} suppression above an overlap of {self.nms_iou:g}"
        if options.nms not in (None, self.nms):
            raise OptionError(f"An export finds objects {rule}; omit --nms, or predict with the run.")
        if options.nms_iou not in (None, self.nms_iou):
            raise OptionError(f"An export finds objects {rule}; omit --nms-iou, or predict with the run.")
        if options.svd:
            raise OptionError("The layers of an export are fixed; omit --svd, or predict with the run.")
        if options.tile is not None:
            raise OptionError("An export sees an image as a whole; omit --tile, or predict with the run.")
        return ExportedBoxPredictor(self, options)

    def conform(self, dataset: Dataset) -> Dataset:
        """The dataset with this detector's classes. Raises `DataError` when it has others."""
        from convolve.tasks.classes import conform

        return conform(dataset, "boxes", self.card.classes)

    def evaluate(self, split: str, dataset: Dataset, found: Iterable[FoundInImage]) -> Evaluation:
        """Every metric of a split, in the images' own pixels, of as many boxes of each image as a run's."""
        from convolve.metrics.detections import Detections
        from convolve.tasks.detect.evaluation import join_detections, measure_detections
        from convolve.tasks.detect.suppression import SuppressionRule
        from convolve.tasks.objects import objects_of

        parts, indices = [], []
        for number, one in enumerate(found):
            own = boxes_in_image(one, SuppressionRule().most)
            boxes = np.clip(own.boxes, 0, [one.image.size[1], one.image.size[0]] * 2)
            parts.append(Detections(boxes, own.scores.astype(np.float64), own.classes, np.full(len(boxes), number)))
            indices.append(one.index)
        images = np.array(indices, dtype=np.int64)
        objects = objects_of(cast("Boxes", dataset.ground_truths[INFO.ground_truth]), images)
        return measure_detections(self.card.classes, split, self.threshold, objects, join_detections(parts), images)

    def report(self, evaluation: Evaluation, dataset: Dataset) -> tuple[tuple[Headline, ...], tuple[Section, ...]]:
        """Average precision by class and size, kinds of errors, worst images, confusion matrix."""
        from convolve.tasks.detect.report import headlines, plain_sections

        return headlines(evaluation), plain_sections(evaluation, dataset)


@final
class ExportedBoxPredictor(BoxPredictions):
    """Predicts images as a whole, and writes the files."""

    def __init__(self, task: ExportedDetector, options: DetectPredictOptions) -> None:
        super().__init__(task.card.classes, options)
        self._card = task.card
        self._threshold = task.threshold if options.threshold is None else options.threshold

    def read(self, images: Images, index: int) -> ReadImage:
        """An image, also at full size where it is drawn. Raises `ImageError`."""
        if not self._options.out:
            return read_small(images, index, self._card)
        small = read_small(images, index, self._card)
        whole = images.read(index)
        return ReadImage(small.pixels, (whole.shape[0], whole.shape[1]), whole)

    def predict(self, name: str, found: FoundInImage) -> BoxPrediction:
        """From the boxes that reach the threshold."""
        boxes, scores, classes = boxes_in_image(found)
        chosen = np.flatnonzero(scores >= self._threshold)[: self._options.top]
        shown = FoundBoxes(boxes[chosen], scores[chosen], classes[chosen])
        return self.describe(name, found.image.size, shown, found.image.whole)


EXPORTED = ExportedDetector


def boxes_in_image(found: FoundInImage, most: int | None = None) -> FoundBoxes:
    """What left the network for an image, the ``most`` confident of it, in the pixels of the image itself, which the
    network may have seen smaller.
    """
    (height, width), seen = found.image.size, found.image.pixels.shape
    scales = np.tile([width / seen[1], height / seen[0]], 2)
    boxes, scores, classes = (found.outputs[name][:most] for name in ("boxes", "scores", "classes"))
    return FoundBoxes(boxes.astype(np.float64) * scales, scores, classes.astype(np.int64))
