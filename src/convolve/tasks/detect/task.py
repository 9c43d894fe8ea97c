"""What a detection network learns and predicts: boxes around objects, and the class of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast, final, get_args

import torch
from torch import Tensor

from convolve.datasets.batches import Examples
from convolve.datasets.boxes import MIN_VISIBLE, Boxes
from convolve.datasets.cache import PixelSource
from convolve.datasets.proposed_boxes import MOST_REGIONS, ProposalRule, ProposedBoxes
from convolve.errors import DataError, OptionError
from convolve.layers.box_head import BoxHead, Candidates, Maps
from convolve.layers.region_head import RegionHead
from convolve.models import Card, Network, create, freeze_normalization
from convolve.progress import Listener
from convolve.runtime import Runtime
from convolve.targets import BoxTensors
from convolve.tasks.classes import conform, restore_classes
from convolve.tasks.detect.anchors import ANCHOR_SEED, FoundAnchors, box_sides, find_anchors
from convolve.tasks.detect.evaluation import BoxEvaluator, Evaluation, evaluate, find_threshold
from convolve.tasks.detect.options import INFO, DetectDataOptions, DetectOptions, DetectPredictOptions, Suppression
from convolve.tasks.detect.suppression import SuppressionRule, detect
from convolve.tasks.task import EvaluationData, Task
from convolve.training.defaults import Choice, Facts
from convolve.values import Dataset, GroundTruth, Indices, Preprocessing, Splits

if TYPE_CHECKING:
    from convolve.explainers.explanation_targets import ExplanationTargets
    from convolve.reports.report import Headline, Section
    from convolve.tasks.detect.alternating_training import AlternatingTraining
    from convolve.tasks.detect.export import BoxExport
    from convolve.tasks.detect.predictor import BoxPredictor

THRESHOLD = 0.3
"""Minimum confidence of a prediction where the validation split does not say which."""
_CELLS = 8
"""Positions of the coarsest map along a side that small images are enlarged to."""
_REGION_BATCH = 2
_FEWEST_EPOCHS = 4  # of alternating training: one for each step


@final
@dataclass
class Detect(Task):
    """Boxes around objects, and the class of each. What is ignored (crowds, difficult objects) is not learned from.

    ``rule`` says which detections are suppressed. ``threshold`` is the confidence from which on a detection is worth
    showing: the one of the best F1 on the validation split, once that is known. ``proposals`` says how regions are
    proposed, where the network scores such.
    """

    network: Network
    classes: tuple[str, ...]
    rule: SuppressionRule = field(default_factory=SuppressionRule)
    threshold: float = THRESHOLD
    monitored: str = "ap50"
    proposals: ProposalRule | None = None
    phases: AlternatingTraining | None = None

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
        _check_alternating(known, card)
        if card.two_stages:
            yield from _two_stage_defaults(known)
        yield "fit", "letterbox", "keeps all objects and their proportions"
        if not facts.photographs:
            yield "size", min(_CELLS * card.multiple, card.input[1]), "small images, enlarged so that objects lie apart"
        reason = "objects may be elsewhere, nearer or farther, and in other light"
        color = 0.3 if facts.channels == 3 else 0.0
        chosen = {"crop": 0.5, "scale": 0.2, "translate": 0.1, "flip": facts.channels == 3}
        chosen |= {"brightness": 0.3, "contrast": 0.3, "saturation": color}
        yield from ((name, value, reason) for name, value in chosen.items())
        yield from _region_defaults(known, card)
        if facts.head:
            yield "anchors", "network", "the weights were trained with theirs"
        else:
            yield "anchors", "kmeans", "boxes of the sizes that the training images have"
        yield "min_visible", MIN_VISIBLE, "less of an object can hardly be recognized"
        yield "nms", "per-class", "objects of several classes may overlap"
        yield "nms_iou", *(card.nms_iou or (SuppressionRule().iou, "as in YOLO v3"))
        if card.learning_rate and not known.get("weights") and known.get("optimizer") in (None, "adamw"):
            yield "learning_rate", card.learning_rate, "twice the usual: rare classes are learned with any seed"

    @classmethod
    def examine(cls, dataset: Dataset, preprocessing: Preprocessing, options: DetectDataOptions) -> FoundAnchors | None:
        """Anchors for its boxes."""
        return find_anchors(dataset, preprocessing, options)

    @classmethod
    def outputs(cls, ground_truth: Boxes, card: Card) -> int:
        """One score of each box for each class."""
        del card
        return len(ground_truth.classes)

    @classmethod
    def examples(
        cls,
        dataset: Dataset,
        source: PixelSource,
        preprocessing: Preprocessing,
        options: DetectOptions,
        cache_bytes: int,
    ) -> Examples:
        """Every image with its boxes, and where the network scores regions that are proposed, with these."""
        del preprocessing, cache_bytes
        boxes, rule = cast(Boxes, dataset.ground_truths["boxes"]), proposal_rule(options)
        if rule is None:
            return Examples(source, boxes)
        proposed = ProposedBoxes(boxes, dataset.images, rule)
        return Examples(source, proposed, precompute=proposed.precompute)

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
        if options.freeze_norm:
            freeze_normalization(network)
        if options.anchors == "kmeans":
            sides = box_sides(ground_truth, splits.train, preprocessing)
            cast(BoxHead, network.head).fit_anchors(torch.from_numpy(sides), ANCHOR_SEED)
        default = SuppressionRule()
        iou = default.iou if options.nms_iou is None else options.nms_iou
        rule = SuppressionRule(options.nms or default.kind, iou)
        task = cls(network, ground_truth.classes, rule, proposals=proposal_rule(options))
        if options.alternating:
            from convolve.tasks.detect.alternating_training import AlternatingTraining

            task.phases = AlternatingTraining.begin(network, rule, len(task.classes))
        return task

    @classmethod
    def restore(cls, network: Network, state: Mapping[str, Any]) -> Detect:
        """The task of a run."""
        kind, iou, threshold = state["nms"], float(state["nms_iou"]), float(state["threshold"])
        if kind not in get_args(Suppression) or not 0 <= iou <= 1 or not 0 <= threshold <= 1:
            raise ValueError("non-maximum suppression is none that it can have")
        proposals = ProposalRule.restore(state["proposals"]) if network.card.proposals else None
        return cls(network, restore_classes(state), SuppressionRule(kind, iou), threshold, proposals=proposals)

    @classmethod
    def of_trained(
        cls, network: Network, classes: tuple[str, ...], *, multi_label: bool, size: Preprocessing, options: Any
    ) -> Detect:
        """The detector, with the suppression that is usual."""
        del multi_label, size, options
        return cls(network, classes)

    def state(self) -> dict[str, Any]:
        """Classes, suppression, and the threshold of the best F1."""
        return {
            "classes": list(self.classes),
            "nms": self.rule.kind,
            "nms_iou": self.rule.iou,
            "threshold": self.threshold,
        } | ({} if self.proposals is None else {"proposals": asdict(self.proposals)})

    def with_network(self, network: Network) -> Detect:
        """The same task with another network."""
        return replace(self, network=network)

    def loss(self, images: Tensor, targets: BoxTensors, random: torch.Generator | None) -> dict[str, Tensor]:
        """(N, C, H, W) and the boxes in them to `loss` and its parts, means over the images."""
        return self._head.loss(self._outputs(images, targets.regions), targets, _size(images), random)

    def predict(self, images: Tensor, regions: Tensor | None = None) -> Tensor:
        """(N, C, H, W) to (N, 100, 6) detections; see `suppression.detect`. ``regions`` (N, R, 4) are needed where the
        network scores such.
        """
        return detect(self.candidates(images, regions), self.rule)

    def candidates(self, images: Tensor, regions: Tensor | None = None) -> Candidates:
        """(N, C, H, W) to all boxes that the network gives out, in pixels of the input."""
        return self._head.decode(self._outputs(images, regions), _size(images))

    def loss_and_predictions(self, images: Tensor, targets: BoxTensors) -> tuple[dict[str, Tensor], Tensor]:
        """Both from one forward pass."""
        outputs = self._outputs(images, targets.regions)
        losses = self._head.loss(outputs, targets, _size(images))
        return losses, detect(self._head.decode(outputs, _size(images)), self.rule)

    def evaluator(self) -> BoxEvaluator:
        """AP at an IoU of 0.5 and over 0.5 to 0.95, in pixels of the input."""
        return BoxEvaluator(len(self.classes))

    def finish_training(self, training: EvaluationData, listener: Listener) -> None:
        """The support vector machines and the regression of boxes of a network that has such. Raises `TrainingError`
        where alternating training ended too early.
        """
        head = self.network.head
        if self.phases:
            self.phases.finish()
            self.phases = None
        if isinstance(head, RegionHead) and head.svms is not None:
            from convolve.tasks.detect.region_training import fit_regions

            fit_regions(self, training, listener)

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
        return tuple(map_.float() for map_ in self._outputs(inputs))

    @property
    def _head(self) -> BoxHead:
        return cast(BoxHead, self.network.head)

    def _outputs(self, images: Tensor, regions: Tensor | None = None) -> Maps:
        outputs: Maps = self.network(images)
        return outputs if regions is None else (*outputs, regions)


TASK = Detect


def proposal_rule(options: DetectOptions) -> ProposalRule | None:
    """How regions are proposed; None where the network needs none."""
    return ProposalRule(options.proposals, options.regions or MOST_REGIONS) if options.proposals else None


def _region_defaults(known: Mapping[str, object], card: Card) -> Iterator[Choice]:
    """Regions, and as few images in a step as in the papers, where a network scores regions that are proposed. Raises
    `OptionError` where another one is given some.
    """
    if not card.proposals:
        given = next((name for name in ("proposals", "regions") if known.get(name) is not None), None)
        if given:
            raise OptionError(f"{card.name} finds regions by itself; leave out --{given}.")
        return
    yield "proposals", "fast", f"{card.name} scores regions that selective search proposes"
    yield "regions", MOST_REGIONS, "as in the papers"
    yield "anchors", "network", "boxes are relative to regions"
    if known.get("weights"):
        yield "freeze_norm", True, "batches are too small for better statistics than those of the weights"
        if card.fixed_stages:
            with torch.device("meta"):
                yield "freeze", list(create(card.name).stages)[-1], "only the dense layers learn, as in the paper"
    yield "batch", _REGION_BATCH, "as in the papers, with 64 regions of each image"


def _check_alternating(known: Mapping[str, object], card: Card) -> None:
    """Raise `OptionError` where the four steps of alternating training are asked for and cannot be made."""
    if not known.get("alternating"):
        return
    if not card.two_stages:
        raise OptionError(f"{card.name} does not propose regions by itself; leave out --alternating.")
    if known.get("ema_decay"):
        raise OptionError("Alternating training begins with the initial weights twice; leave out --ema-decay.")
    if known.get("epochs") and int(str(known["epochs"])) < _FEWEST_EPOCHS:
        raise OptionError(f"Alternating training has four steps; give --epochs {_FEWEST_EPOCHS} or more.")


def _two_stage_defaults(known: Mapping[str, object]) -> Iterator[Choice]:
    """Networks whose second stage classifies many regions of each image."""
    yield "alternating", False, "all is learned at once, as in the authors' later program"
    if known.get("alternating"):
        yield "schedule", "constant", "each step begins anew"
    yield "batch", 2, "as published: each image has many regions to learn from"
    if known.get("optimizer") in (None, "adamw"):
        yield "learning_rate", 1e-4 if known.get("weights") else 3e-4, "small, as batches are"
    yield "clip_norm", 1.0, "layers without normalization, and small batches"
    if known.get("weights"):
        yield "freeze_norm", True, "batches are too small for better statistics than those of the weights"


def _size(images: Tensor) -> tuple[int, int]:
    return images.shape[2], images.shape[3]
