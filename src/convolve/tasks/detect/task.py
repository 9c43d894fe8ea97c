"""What a detection network learns and predicts: boxes around objects, and the class of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, final, get_args

import torch
from torch import Tensor

from convolve.datasets.boxes import MIN_VISIBLE, Boxes
from convolve.errors import DataError, RunError
from convolve.layers.box_head import BoxHead, Candidates, Maps
from convolve.models import Card, Network
from convolve.runtime import Runtime
from convolve.targets import BoxTensors
from convolve.tasks.classes import conform
from convolve.tasks.detect.anchors import ANCHOR_SEED, FoundAnchors, box_sides, find_anchors
from convolve.tasks.detect.evaluation import BoxEvaluator, Evaluation, evaluate, find_threshold
from convolve.tasks.detect.options import INFO, DetectDataOptions, DetectOptions, DetectPredictOptions, Suppression
from convolve.tasks.detect.suppression import SuppressionRule, detect
from convolve.tasks.task import EvaluationData, Task, restore_classes
from convolve.training.defaults import Choice, Facts
from convolve.training.run import open_run
from convolve.values import Dataset, GroundTruth, Indices, Preprocessing, Splits

if TYPE_CHECKING:
    from convolve.explainers.explanation_targets import ExplanationTargets
    from convolve.reports.report import Headline, Section
    from convolve.tasks.detect.export import BoxExport
    from convolve.tasks.detect.predictor import BoxPredictor

THRESHOLD = 0.3
"""Minimum confidence of a prediction where the validation split does not say which."""
_CELLS = 8
"""Positions of the coarsest map along a side that small images are enlarged to."""
_COMPACT, _COMPACT_RATE = "yolo_compact", 0.002
"""With the usual rate one of three seeds hardly learned the rarest class of BCCD in 64 epochs."""


@final
@dataclass
class Detect(Task):
    """Boxes around objects, and the class of each. What is ignored (crowds, difficult objects) is not learned from.

    ``rule`` says which detections are suppressed. ``threshold`` is the confidence from which on a detection is worth
    showing: the one of the best F1 on the validation split, once that is known.
    """

    network: Network
    classes: tuple[str, ...]
    rule: SuppressionRule = field(default_factory=SuppressionRule)
    threshold: float = THRESHOLD
    monitored: str = "ap50"

    info = INFO

    @classmethod
    def accept(cls, dataset: Dataset, options: DetectOptions) -> Dataset:
        """The dataset with boxes that stay in the input as far as asked; images without an object teach too. Raises
        `DataError` without boxes.
        """
        boxes = cast(Boxes, dataset.for_ground_truth("boxes").ground_truths["boxes"])
        if not len(boxes.boxes):
            raise DataError(f"{dataset.root} has no box around any object; annotate some.")
        visible = MIN_VISIBLE if options.min_visible is None else options.min_visible
        boxes = replace(boxes, min_visible=visible)
        return replace(dataset, ground_truths={**dataset.ground_truths, "boxes": boxes})

    @classmethod
    def defaults(
        cls, known: Mapping[str, object], facts: Facts, card: Card, ground_truth: GroundTruth
    ) -> Iterator[Choice]:
        """All of an image in the input, objects at other places and sizes, and anchors of the data's own sizes."""
        del ground_truth
        yield "fit", "letterbox", "keeps all objects and their proportions"
        if not facts.photographs:
            yield "size", min(_CELLS * card.multiple, card.input[1]), "small images, enlarged so that objects lie apart"
        reason = "objects may be elsewhere, nearer or farther, and in other light"
        color = 0.3 if facts.channels == 3 else 0.0
        chosen = {"crop": 0.5, "scale": 0.2, "translate": 0.1, "flip": facts.channels == 3}
        chosen |= {"brightness": 0.3, "contrast": 0.3, "saturation": color}
        yield from ((name, value, reason) for name, value in chosen.items())
        if _is_detector(known.get("weights")):
            yield "anchors", "network", "the weights were trained with theirs"
        else:
            yield "anchors", "kmeans", "boxes of the sizes that the training images have"
        yield "min_visible", MIN_VISIBLE, "less of an object can hardly be recognized"
        yield "nms", "per-class", "objects of several classes may overlap"
        yield "nms_iou", SuppressionRule().iou, "as in YOLO v3"
        if card.name == _COMPACT and not known.get("weights") and known.get("optimizer") in (None, "adamw"):
            yield "learning_rate", _COMPACT_RATE, "twice the usual: rare classes are learned with any seed"

    @classmethod
    def examine(cls, dataset: Dataset, preprocessing: Preprocessing, options: DetectDataOptions) -> FoundAnchors | None:
        """Anchors for its boxes."""
        return find_anchors(dataset, preprocessing, options)

    @classmethod
    def outputs(cls, ground_truth: Boxes) -> int:
        """One score of each box for each class."""
        return len(ground_truth.classes)

    @classmethod
    def build(
        cls,
        network: Network,
        ground_truth: Boxes,
        options: DetectOptions,
        splits: Splits,
        preprocessing: Preprocessing,
    ) -> Detect:
        """The task of the boxes' classes; the network's anchors become those of the training split. Raises `DataError`
        where that has no box to learn from.
        """
        rows, _ = ground_truth.rows(splits.train)
        if (ground_truth.crowd[rows] | ground_truth.difficult[rows]).all():
            raise DataError(
                f"The training split has no object to learn from in its {len(splits.train)} images (crowds and "
                "difficult ones are not learned from); annotate some, or move images that show some there."
            )
        if options.anchors == "kmeans":
            sides = box_sides(ground_truth, splits.train, preprocessing)
            cast(BoxHead, network.head).fit_anchors(torch.from_numpy(sides), ANCHOR_SEED)
        default = SuppressionRule()
        iou = default.iou if options.nms_iou is None else options.nms_iou
        return cls(network, ground_truth.classes, SuppressionRule(options.nms or default.kind, iou))

    @classmethod
    def restore(cls, network: Network, state: Mapping[str, Any]) -> Detect:
        """The task of a run."""
        kind, iou, threshold = state["nms"], float(state["nms_iou"]), float(state["threshold"])
        if kind not in get_args(Suppression) or not 0 <= iou <= 1 or not 0 <= threshold <= 1:
            raise ValueError("non-maximum suppression is none that it can have")
        return cls(network, restore_classes(state), SuppressionRule(kind, iou), threshold)

    @classmethod
    def of_trained(cls, network: Network, classes: tuple[str, ...], *, multi_label: bool) -> Detect:
        """The detector, with the suppression that is usual."""
        del multi_label
        return cls(network, classes)

    def state(self) -> dict[str, Any]:
        """Classes, suppression, and the threshold of the best F1."""
        return {
            "classes": list(self.classes),
            "nms": self.rule.kind,
            "nms_iou": self.rule.iou,
            "threshold": self.threshold,
        }

    def with_network(self, network: Network) -> Detect:
        """The same task with another network."""
        return replace(self, network=network)

    def loss(self, images: Tensor, targets: BoxTensors, random: torch.Generator | None) -> dict[str, Tensor]:
        """(N, C, H, W) and the boxes in them to `loss` and its parts, means over the images."""
        del random
        return self._losses(self._outputs(images), targets, images)

    def predict(self, images: Tensor) -> Tensor:
        """(N, C, H, W) to (N, 100, 6) detections; see `suppression.detect`."""
        return detect(self.candidates(images), self.rule)

    def candidates(self, images: Tensor) -> Candidates:
        """(N, C, H, W) to all boxes that the network gives out, in pixels of the input."""
        return self._decode(self._outputs(images), images)

    def loss_and_predictions(self, images: Tensor, targets: BoxTensors) -> tuple[dict[str, Tensor], Tensor]:
        """Both from one forward pass."""
        outputs = self._outputs(images)
        return self._losses(outputs, targets, images), detect(self._decode(outputs, images), self.rule)

    def evaluator(self) -> BoxEvaluator:
        """AP at an IoU of 0.5 and over 0.5 to 0.95, in pixels of the input."""
        return BoxEvaluator(len(self.classes))

    def conform(self, dataset: Dataset) -> Dataset:
        """The dataset with this task's classes. Raises `DataError` when it has others."""
        return conform(dataset, "boxes", self.classes)

    def calibrate(self, validation: EvaluationData) -> Detect:
        """With the threshold of the best F1."""
        threshold = find_threshold(self, validation)
        return self if threshold is None else replace(self, threshold=threshold)

    def evaluate(self, data: EvaluationData) -> Evaluation:
        """Every metric of a split, in the images' own pixels."""
        return evaluate(self, data)

    def predictor(self, preprocessing: Preprocessing, runtime: Runtime, options: DetectPredictOptions) -> BoxPredictor:
        """How objects are found in images of any size."""
        from convolve.tasks.detect.predictor import BoxPredictor

        return BoxPredictor(self, preprocessing, runtime, options)

    def exported(self, preprocessing: Preprocessing, runtime: Runtime) -> BoxExport:
        """The network with boxes and non-maximum suppression after it. Raises `ExportError` for soft suppression."""
        from convolve.tasks.detect.export import BoxExport

        return BoxExport(self, preprocessing, runtime)

    def report(
        self, evaluation: Evaluation, dataset: Dataset, preprocessing: Preprocessing, runtime: Runtime
    ) -> tuple[tuple[Headline, ...], tuple[Section, ...]]:
        """Average precision by class and size, kinds of errors, worst images, confusion matrix, anchors."""
        from convolve.tasks.detect.report import report_sections

        return report_sections(self, evaluation, dataset, runtime, preprocessing)

    def explanation_targets(
        self, inputs: Tensor, sizes: Indices, classes: Sequence[int], preprocessing: Preprocessing
    ) -> ExplanationTargets:
        """The score of the best detection, or of the best one of each class."""
        from convolve.tasks.detect.explanation import explanation_targets

        return explanation_targets(self, inputs, sizes, classes, preprocessing)

    def explanation_method(self, stage: str | None) -> tuple[str, str]:
        """Layer-CAM, which weighs each position by its own gradient. The score of a box has gradients around the box
        alone, and their mean, by which Grad-CAM weighs a map, counts for the other objects in it too.
        """
        del stage
        return "layer-cam", "the score is that of one box, and only weights of each position's own keep to it"

    def probabilities(self, inputs: Tensor) -> Maps:
        """(N, C, H, W) to the network's own maps, whose scores an explanation's target reads."""
        return self._outputs(inputs)

    def _outputs(self, images: Tensor) -> Maps:
        return tuple(map_.float() for map_ in self.network(images))

    def _losses(self, outputs: Maps, targets: BoxTensors, images: Tensor) -> dict[str, Tensor]:
        with torch.autocast(images.device.type, enabled=False):
            return cast(BoxHead, self.network.head).loss(outputs, targets, _size(images))

    def _decode(self, outputs: Maps, images: Tensor) -> Candidates:
        with torch.autocast(images.device.type, enabled=False):
            return cast(BoxHead, self.network.head).decode(outputs, _size(images))


TASK = Detect


def _is_detector(weights: object) -> bool:
    """Whether weights are of a network that gives out boxes: a run's, or those of a file."""
    if weights is None or weights == "imagenet":
        return False
    with suppress(RunError):
        return open_run(Path(str(weights))).manifest.task == INFO.name
    return True


def _size(images: Tensor) -> tuple[int, int]:
    return images.shape[2], images.shape[3]
