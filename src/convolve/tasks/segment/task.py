"""What a segmentation network learns and predicts: the class of each pixel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast, final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from convolve.datasets.batches import Examples
from convolve.datasets.cache import PixelSource
from convolve.datasets.masks import Masks
from convolve.datasets.tiles import tiles
from convolve.errors import DataError
from convolve.metrics.segmentation import pixel_confusion, pixel_metrics
from convolve.models import Card, Network
from convolve.runtime import Runtime
from convolve.tasks.classes import conform, restore_classes
from convolve.tasks.segment.evaluation import Evaluation, evaluate
from convolve.tasks.segment.options import INFO, PixelLoss, SegmentOptions, SegmentPredictOptions
from convolve.tasks.segment.predictor import MaskPredictor
from convolve.tasks.task import EvaluationData, Task
from convolve.training.defaults import Choice, Facts
from convolve.values import IGNORE, Batch, Color, Dataset, Floats, GroundTruth, Indices, Preprocessing, Splits

if TYPE_CHECKING:
    from convolve.explainers.explanation_targets import ExplanationTargets
    from convolve.reports.report import Headline, Section
    from convolve.tasks.segment.export import MaskExport

FOCUS = 2.0
"""Gamma of the focal loss (Lin et al. 2017, section 3.2)."""
IMBALANCE = 3.0
"""From this ratio of the most frequent to the rarest class on, classes are weighted in the loss by default."""
_SMOOTH = 1.0


@final
@dataclass
class Segment(Task):
    """The class of each pixel. Pixels whose target is `IGNORE` count neither in training nor in evaluation.

    ``pixel_loss``: cross-entropy over softmax; its sum over the pixels of a step instead of the mean, for which the
    learning rate must be small (Shelhamer et al. 2016, section 4.2); dice, one minus the mean over the classes of twice
    the overlap divided by the sum of both regions (Milletari et al. 2016, with plain instead of squared sums); or
    focal, cross-entropy times (1 - p)^2. ``class_weights`` (classes,) multiply each class's pixels. ``colors`` are
    those in which the dataset paints the classes.
    """

    network: Network
    classes: tuple[str, ...]
    colors: tuple[Color, ...] = ()
    pixel_loss: PixelLoss = "cross-entropy"
    class_weights: Tensor | None = None
    monitored: str = "mean_iou"

    info = INFO

    @classmethod
    def accept(cls, dataset: Dataset, options: SegmentOptions) -> Dataset:
        """The dataset without the class to ignore. Raises `DataError` without masks or with fewer than two classes."""
        masks = cast(Masks, dataset.for_ground_truth("masks").ground_truths["masks"])
        classes = tuple(name for name in masks.classes if name != options.ignore)
        if options.ignore is not None and options.ignore not in masks.classes:
            raise DataError(
                f"{dataset.root} has no class '{options.ignore}' to ignore; it has {', '.join(masks.classes)}."
            )
        if len(classes) < 2:
            raise DataError(f"{dataset.root} has only one class, '{classes[0]}'; segmentation needs two.")
        return replace(dataset, ground_truths={**dataset.ground_truths, "masks": masks.with_classes(classes)})

    @classmethod
    def defaults(
        cls, known: Mapping[str, object], facts: Facts, card: Card, ground_truth: GroundTruth
    ) -> Iterator[Choice]:
        """Cross-entropy, with class weights for imbalanced data."""
        del known, card, ground_truth
        yield "loss", "cross-entropy", "all pixels count the same"
        ratio = f"the most frequent class is in {facts.imbalance:.1f} times the images of the rarest"
        yield "balance", "weights" if facts.imbalance >= IMBALANCE else "none", ratio

    @classmethod
    def outputs(cls, ground_truth: Masks, card: Card) -> int:
        """One score for each class."""
        del card
        return len(ground_truth.classes)

    @classmethod
    def examples(
        cls,
        dataset: Dataset,
        source: PixelSource,
        preprocessing: Preprocessing,
        options: SegmentOptions,
        cache_bytes: int,
    ) -> Examples:
        """Each image, or with `tiles` each tile, with its mask."""
        del options
        masks = cast(Masks, dataset.ground_truths["masks"])
        if preprocessing.fit == "tiles":
            return tiles(dataset.images, masks, source, preprocessing, cache_bytes)
        return Examples(source, masks)

    @classmethod
    def build(
        cls,
        network: Network,
        ground_truth: Masks,
        options: SegmentOptions,
        splits: Splits,
        preprocessing: Preprocessing,
    ) -> Segment:
        """The task of the masks' classes."""
        del preprocessing
        weights = None
        if options.balance == "weights":
            weights = torch.from_numpy(median_frequency(ground_truth.pixel_counts()[splits.train]))
        return cls(network, ground_truth.classes, ground_truth.colors, options.loss or "cross-entropy", weights)

    @classmethod
    def restore(cls, network: Network, state: Mapping[str, Any]) -> Segment:
        """The task of a run."""
        colors = tuple((red, green, blue) for red, green, blue in state["colors"])
        if not all(type(value) is int and 0 <= value <= 255 for color in colors for value in color):
            raise ValueError("colors are no numbers from 0 to 255")
        return cls(network, restore_classes(state), colors)

    @classmethod
    def of_trained(
        cls, network: Network, classes: tuple[str, ...], *, multi_label: bool, size: Preprocessing, options: Any
    ) -> Segment:
        """The task of a network that gives scores of classes for each pixel."""
        del multi_label, size, options
        return cls(network, classes)

    def state(self) -> dict[str, Any]:
        """Classes and their colors."""
        return {"classes": list(self.classes), "colors": [list(color) for color in self.colors]}

    def with_network(self, network: Network) -> Segment:
        """The same task with another network."""
        return replace(self, network=network)

    def loss(self, images: Tensor, targets: Tensor, random: torch.Generator | None) -> dict[str, Tensor]:
        """(N, C, H, W) and (N, H, W) class indices to `loss`, a mean or sum over the counted pixels, and in training
        `accuracy`.
        """
        if random is None:
            return self.loss_and_predictions(images, targets)[0]
        scores, targets = self.network(images).float(), targets.long()
        counted = targets != IGNORE
        hits = (scores.detach().argmax(1) == targets) & counted
        accuracy = hits.sum() / counted.sum().clamp(min=1)
        return {"loss": self._pixel_loss(scores, targets, counted), "accuracy": accuracy}

    def predict(self, images: Tensor) -> Tensor:
        """(N, C, H, W) to (N, H, W) uint8, the most likely class of each pixel."""
        found: Tensor = self.network(images).argmax(1).to(torch.uint8)
        return found

    def loss_and_predictions(self, images: Tensor, targets: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Both from one forward pass. A sum over pixels is that of one image, so that it does not depend on how many
        are evaluated together.
        """
        scores, targets = self.network(images), targets.long()
        loss = self._pixel_loss(scores.float(), targets, targets != IGNORE)
        loss = loss / len(images) if self.pixel_loss == "cross-entropy-sum" else loss
        return {"loss": loss}, scores.argmax(1).to(torch.uint8)

    def evaluator(self) -> MaskEvaluator:
        """Mean IoU, pixel accuracy, mean accuracy and frequency-weighted IoU of all pixels together."""
        return MaskEvaluator(len(self.classes))

    def conform(self, dataset: Dataset) -> Dataset:
        """The dataset with this task's classes. Raises `DataError` when it has others."""
        return conform(dataset, "masks", self.classes)

    def evaluate(self, data: EvaluationData) -> Evaluation:
        """Every metric of whole images at the size of their masks."""
        return evaluate(self, data)

    def predictor(
        self, preprocessing: Preprocessing, runtime: Runtime, options: SegmentPredictOptions
    ) -> MaskPredictor:
        """How images of any size are segmented."""
        return MaskPredictor(self, preprocessing, runtime, options)

    def exported(self, preprocessing: Preprocessing, runtime: Runtime) -> MaskExport:
        """The network with the most likely class of each pixel after it."""
        from convolve.tasks.segment.export import MaskExport

        return MaskExport(self, preprocessing, runtime)

    def report(
        self, evaluation: Evaluation, dataset: Dataset, preprocessing: Preprocessing, runtime: Runtime
    ) -> tuple[tuple[Headline, ...], tuple[Section, ...]]:
        """Confusion matrix, worst images, metrics of each class."""
        from convolve.tasks.segment.report import report_sections

        return report_sections(self, evaluation, dataset, runtime, preprocessing)

    def explanation_targets(
        self, inputs: Tensor, sizes: Indices, classes: Sequence[int], preprocessing: Preprocessing
    ) -> ExplanationTargets:
        """A class's score over the pixels that the network predicts as that class."""
        from convolve.tasks.segment.explanation import explanation_targets

        return explanation_targets(self, inputs, sizes, classes, preprocessing)

    def probabilities(self, inputs: Tensor) -> Tensor:
        """(N, C, H, W) to (N, classes, H, W); those of a pixel sum to 1."""
        scores: Tensor = self.network(inputs).float()
        return scores.softmax(1)

    def _pixel_loss(self, scores: Tensor, targets: Tensor, counted: Tensor) -> Tensor:
        weights = None if self.class_weights is None else self.class_weights.to(scores.device)
        if self.pixel_loss == "dice":
            return _dice(scores, targets, counted, weights)
        if self.pixel_loss != "focal":
            total = F.cross_entropy(scores, targets, weights, ignore_index=IGNORE, reduction="sum")
            return total if self.pixel_loss == "cross-entropy-sum" else total / _weight_sum(targets, counted, weights)
        entropy = F.cross_entropy(scores, targets, ignore_index=IGNORE, reduction="none")
        focused = (1 - (-entropy).exp()) ** FOCUS * entropy
        each = 1.0 if weights is None else weights[targets.where(counted, 0)]
        return (focused * each * counted).sum() / _weight_sum(targets, counted, weights)


TASK = Segment


@final
class MaskEvaluator:
    """Counts pixels by true and predicted class."""

    def __init__(self, classes: int) -> None:
        self._matrix = np.zeros((classes, classes), dtype=np.int64)

    def add(self, predictions: Tensor, batch: Batch) -> None:
        """(N, H, W) class indices of a batch."""
        targets = batch.targets.values  # type: ignore[attr-defined]  # of this task they are arrays
        self._matrix += pixel_confusion(targets, predictions.cpu().numpy(), len(self._matrix))

    def metrics(self) -> dict[str, float]:
        """See `Segment.evaluator`."""
        found = pixel_metrics(self._matrix)
        names = ("mean_iou", "pixel_accuracy", "mean_accuracy", "weighted_iou")
        return {name: getattr(found, name) for name in names}


def median_frequency(counts: Indices) -> Floats:
    """(N, classes) pixels of each class in each mask to (classes,) weights: the median of the classes' frequencies over
    each class's own, which is its fraction of the pixels of the masks in which it occurs (Eigen, Fergus 2015, section
    6.3.2); 1 for a class that occurs in none.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        frequency = counts.sum(0) / ((counts > 0) * counts.sum(1, keepdims=True)).sum(0)
        weights = np.nanmedian(frequency) / frequency
    return np.where(np.isfinite(weights), weights, 1.0).astype(np.float32)


def _dice(scores: Tensor, targets: Tensor, counted: Tensor, weights: Tensor | None) -> Tensor:
    probabilities = scores.softmax(1) * counted[:, None]
    target_flags = F.one_hot(targets.where(counted, 0), scores.shape[1]).movedim(3, 1) * counted[:, None]
    overlap, regions = (probabilities * target_flags).sum((0, 2, 3)), (probabilities + target_flags).sum((0, 2, 3))
    classes = 1 - (2 * overlap + _SMOOTH) / (regions + _SMOOTH)
    return classes.mean() if weights is None else (classes * weights).sum() / weights.sum()


def _weight_sum(targets: Tensor, counted: Tensor, weights: Tensor | None) -> Tensor:
    """Of all counted pixels; a little above 0 where a batch has none."""
    total = counted.sum() if weights is None else (weights[targets.where(counted, 0)] * counted).sum()
    return total.clamp(min=1e-6)
