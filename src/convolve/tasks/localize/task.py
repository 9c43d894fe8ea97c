"""What a localization network learns and predicts: the class of an image, and one box around its object."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast, final, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from convolve.datasets.boxes import Boxes
from convolve.layers.overlaps import distance_iou_loss
from convolve.models import Card, Network
from convolve.models.localization import LocalizationHead
from convolve.runtime import Runtime
from convolve.targets import BoxTensors
from convolve.tasks.classes import conform, restore_classes
from convolve.tasks.localize.evaluation import Evaluation, LocalizationEvaluator, evaluate
from convolve.tasks.localize.objects import with_one_object
from convolve.tasks.localize.options import INFO, BoxLoss, LocalizeOptions, LocalizePredictOptions
from convolve.tasks.task import EvaluationData, Task
from convolve.training.defaults import Choice, Facts
from convolve.values import Dataset, GroundTruth, Indices, Preprocessing, Splits

if TYPE_CHECKING:
    from convolve.explainers.explanation_targets import ExplanationTargets
    from convolve.reports.report import Headline, Section
    from convolve.tasks.localize.export import LocalizationExport
    from convolve.tasks.localize.predictor import LocalizationPredictor

AUXILIARY_WEIGHT = 0.3
"""Weight of an auxiliary head's loss in the total (Szegedy et al. 2014, section 5)."""
SMOOTH = 0.1
"""Fraction of the input's side below which the loss of a coordinate is quadratic."""
BOX_WEIGHTS: Mapping[BoxLoss, float] = {"smooth-l1": 5.0, "diou": 2.0}
"""How much the box counts by default; Carion et al. 2020, "End-to-end object detection with transformers", section 4,
have these weights for L1 and generalized IoU."""


@final
@dataclass
class Localize(Task):
    """The cross-entropy of the class plus ``box_weight`` times the loss of the box.

    What `models.localization` puts out is (N, classes + 4). An image whose object the input does not show teaches
    nothing. ``monitored`` is the localization accuracy of ILSVRC.
    """

    network: Network
    classes: tuple[str, ...]
    box_loss: BoxLoss = "smooth-l1"
    box_weight: float = BOX_WEIGHTS["smooth-l1"]
    monitored: str = "localization_accuracy"

    info = INFO

    @classmethod
    def accept(cls, dataset: Dataset, options: LocalizeOptions) -> Dataset:
        """The images that show an object, each with its largest one. Raises `DataError` without boxes."""
        del options
        return with_one_object(dataset)

    @classmethod
    def defaults(
        cls, known: Mapping[str, object], facts: Facts, card: Card, ground_truth: GroundTruth
    ) -> Iterator[Choice]:
        """All of an image in the input, objects at other positions and sizes."""
        del card, ground_truth
        yield "fit", "letterbox", "keeps all of an object and its proportions"
        reason = "the object may be elsewhere, nearer or farther, and in other light"
        color = 0.3 if facts.channels == 3 else 0.0
        chosen = {"crop": 0.5, "scale": 0.2, "translate": 0.1, "flip": facts.channels == 3}
        chosen |= {"brightness": 0.3, "contrast": 0.3, "saturation": color}
        yield from ((name, value, reason) for name, value in chosen.items())
        yield "box_loss", "smooth-l1", "of center and sides, as fractions of the input's"
        loss = cast(BoxLoss, known.get("box_loss") or "smooth-l1")
        yield "box_weight", BOX_WEIGHTS[loss], "class and box count about alike"

    @classmethod
    def outputs(cls, ground_truth: Boxes, card: Card) -> int:
        """One score for each class; the network adds the box itself."""
        del card
        return len(ground_truth.classes)

    @classmethod
    def build(
        cls,
        network: Network,
        ground_truth: Boxes,
        options: LocalizeOptions,
        splits: Splits,
        preprocessing: Preprocessing,
    ) -> Localize:
        """The task of the boxes' classes."""
        del splits, preprocessing
        loss: BoxLoss = options.box_loss or "smooth-l1"
        weight = BOX_WEIGHTS[loss] if options.box_weight is None else options.box_weight
        return cls(network, ground_truth.classes, loss, weight)

    @classmethod
    def restore(cls, network: Network, state: Mapping[str, Any]) -> Localize:
        """The task of a run."""
        loss, weight = state["box_loss"], float(state["box_weight"])
        if loss not in get_args(BoxLoss) or not weight >= 0:
            raise ValueError("the loss of the box is none that it can have")
        return cls(network, restore_classes(state), loss, weight)

    def state(self) -> dict[str, Any]:
        """Classes, and the loss of the box."""
        return {"classes": list(self.classes), "box_loss": self.box_loss, "box_weight": self.box_weight}

    def with_network(self, network: Network) -> Localize:
        """The same task with another network."""
        return replace(self, network=network)

    def loss(self, images: Tensor, targets: BoxTensors, random: torch.Generator | None) -> dict[str, Tensor]:
        """(N, C, H, W) and the box in each to `loss` and its parts `class_loss` and `box_loss`, means over images."""
        heads = self.network.scores_of_all_heads(images) if random is not None else [self.network(images)]
        return self._losses([scores.float() for scores in heads], targets)

    def predict(self, images: Tensor) -> Tensor:
        """(N, C, H, W) to (N, classes + 4): probabilities, and the box as left, top, right, bottom in pixels of the
        input.
        """
        return self._decode(self.network(images).float())

    def loss_and_predictions(self, images: Tensor, targets: BoxTensors) -> tuple[dict[str, Tensor], Tensor]:
        """Both from one forward pass, without auxiliary heads."""
        outputs = self.network(images).float()
        return self._losses([outputs], targets), self._decode(outputs)

    def evaluator(self) -> LocalizationEvaluator:
        """Localization accuracy, accuracy, and the overlap of boxes, in pixels of the input."""
        return LocalizationEvaluator(len(self.classes))

    def conform(self, dataset: Dataset) -> Dataset:
        """The dataset with this task's classes and one object for each image. Raises `DataError` for other classes."""
        return with_one_object(conform(dataset, "boxes", self.classes))

    def evaluate(self, data: EvaluationData) -> Evaluation:
        """Every metric of a split, in the images' own pixels."""
        return evaluate(self, data)

    def predictor(
        self, preprocessing: Preprocessing, runtime: Runtime, options: LocalizePredictOptions
    ) -> LocalizationPredictor:
        """How the object of images of any size is found."""
        from convolve.tasks.localize.predictor import LocalizationPredictor

        return LocalizationPredictor(self, preprocessing, runtime, options)

    def exported(self, preprocessing: Preprocessing, runtime: Runtime) -> LocalizationExport:
        """The network with probabilities and the box in pixels of the image after it."""
        from convolve.tasks.localize.export import LocalizationExport

        return LocalizationExport(self, preprocessing, runtime)

    def report(
        self, evaluation: Evaluation, dataset: Dataset, preprocessing: Preprocessing, runtime: Runtime
    ) -> tuple[tuple[Headline, ...], tuple[Section, ...]]:
        """Accuracy over the overlap that is asked for, worst images, confusion matrix, each class."""
        from convolve.tasks.localize.report import headlines, report_sections

        del preprocessing, runtime
        return headlines(evaluation), report_sections(evaluation, dataset)

    def explanation_targets(
        self, inputs: Tensor, sizes: Indices, classes: Sequence[int], preprocessing: Preprocessing
    ) -> ExplanationTargets:
        """The scores of classes: those asked for, or the predicted one."""
        from convolve.tasks.localize.explanation import explanation_targets

        del sizes, preprocessing
        return explanation_targets(self, inputs, classes)

    def probabilities(self, inputs: Tensor) -> Tensor:
        """(N, C, H, W) to (N, classes + 4): probabilities, and the box's center and sides as fractions."""
        outputs = self.network(inputs).float()
        count = len(self.classes)
        return torch.cat([outputs[:, :count].softmax(1), outputs[:, count:].sigmoid()], 1)

    def ground_truth_labels(self, ground_truth: Boxes, indices: Indices) -> tuple[str, ...]:
        """The class of each image's object."""
        rows, image = ground_truth.rows(indices)
        names = [""] * len(indices)
        for position, kind in zip(image.tolist(), ground_truth.class_indices[rows].tolist(), strict=True):
            names[position] = ground_truth.classes[kind]
        return tuple(names)

    def _losses(self, heads: Sequence[Tensor], targets: BoxTensors) -> dict[str, Tensor]:
        """Of the outputs (N, classes + 4) of the head, and the scores (N, classes) of auxiliary ones."""
        count, images, shown = len(self.classes), len(heads[0]), targets.image
        classes = [
            F.cross_entropy(scores[shown, :count], targets.classes, reduction="sum") / images for scores in heads
        ]
        numbers = heads[0][shown, count:].sigmoid()
        sides = self._sides(numbers)
        if self.box_loss == "diou":
            each = distance_iou_loss(edges_of(numbers) * sides, targets.boxes)
        else:
            wanted = targets.boxes / sides
            center_and_sides = torch.cat([(wanted[:, :2] + wanted[:, 2:]) / 2, wanted[:, 2:] - wanted[:, :2]], 1)
            each = F.smooth_l1_loss(numbers, center_and_sides, beta=SMOOTH, reduction="none").sum(1)
        box = each.sum() / images
        total = classes[0] + self.box_weight * box
        if classes[1:]:
            total = total + AUXILIARY_WEIGHT * torch.stack(classes[1:]).sum()
        return {"loss": total, "class_loss": classes[0], "box_loss": box}

    def _decode(self, outputs: Tensor) -> Tensor:
        count = len(self.classes)
        boxes = edges_of(outputs[:, count:].sigmoid()) * self._sides(outputs)
        return torch.cat([outputs[:, :count].softmax(1), boxes], 1)

    def _sides(self, like: Tensor) -> Tensor:
        """Width and height of the input that the network was built for, twice. (What `loss` is given may be maps.)"""
        height, width = cast(LocalizationHead, self.network.head).size
        return torch.tensor([width, height] * 2, dtype=torch.float32, device=like.device)


TASK = Localize


def edges_of(numbers: Tensor) -> Tensor:
    """(N, 4) center's x and y, width and height to left, top, right and bottom."""
    return torch.cat([numbers[:, :2] - numbers[:, 2:] / 2, numbers[:, :2] + numbers[:, 2:] / 2], 1)
