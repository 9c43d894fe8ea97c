"""What a classifier learns and predicts: one class per image, or multi-label, where each label is present or not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from convolve.datasets.labels import Labels
from convolve.errors import DataError, OptionError
from convolve.models import Card, Network
from convolve.runtime import Runtime
from convolve.tasks.classes import restore_classes
from convolve.tasks.classify.classes import conform
from convolve.tasks.classify.confidence import Confidence, fit_confidence
from convolve.tasks.classify.evaluation import Evaluation, Predictions, evaluate, measure
from convolve.tasks.classify.options import INFO, ClassifyOptions, ClassifyPredictOptions
from convolve.tasks.classify.predictor import ClassPredictor
from convolve.tasks.task import EvaluationData, Task
from convolve.training.defaults import SMALL_NETWORK, Choice, Facts
from convolve.training.evaluation import evaluation_mode
from convolve.values import Batch, Dataset, Floats, GroundTruth, Indices, Preprocessing, Splits

if TYPE_CHECKING:
    from convolve.explainers.explanation_targets import ExplanationTargets
    from convolve.reports.report import Headline, Section
    from convolve.tasks.classify.export import ClassExport

AUXILIARY_WEIGHT = 0.3
"""Weight of an auxiliary head's loss in the total (Szegedy et al. 2014, section 5)."""
IMBALANCE = 3.0
"""From this ratio of the most frequent to the rarest class on, classes are weighted in the loss by default."""


@final
@dataclass
class Classify(Task):
    """Cross-entropy over softmax for one class per image, over sigmoids for multi-label.

    ``class_weights`` (classes,) multiply each class's loss (multi-label: that of the label's presence); ``confidence``
    holds the temperature that divides the scores before they become probabilities (Guo et al. 2017, section 4.2).
    """

    network: Network
    classes: tuple[str, ...]
    multi_label: bool = False
    label_smoothing: float = 0.0
    mixup: float = 0.0
    class_weights: Tensor | None = None
    confidence: Confidence = field(default_factory=Confidence)

    info = INFO

    @property
    def monitored(self) -> str:
        """The metric that selects the best epoch."""
        return "average_precision" if self.multi_label else "accuracy"

    @classmethod
    def accept(cls, dataset: Dataset, options: ClassifyOptions) -> Dataset:
        """The dataset as it is. Raises `DataError` where there are no labels or all are the same."""
        del options
        labels = dataset.ground_truths.get("labels")
        if not isinstance(labels, Labels):
            raise DataError(
                f"{dataset.root} has no labels; sort the images into one folder per class, or give a table."
            )
        if len(labels.classes) < 2 and not labels.multi_label:
            raise DataError(f"{dataset.root} has only one class, '{labels.classes[0]}'; a classifier needs two.")
        return dataset

    @classmethod
    def defaults(
        cls, known: Mapping[str, object], facts: Facts, card: Card, ground_truth: GroundTruth
    ) -> Iterator[Choice]:
        """Label smoothing for large networks, class weights for imbalanced data."""
        del known
        multi_label = isinstance(ground_truth, Labels) and ground_truth.multi_label
        smoothing = 0.1 if not multi_label and (card.parameters or SMALL_NETWORK) >= SMALL_NETWORK else 0.0
        yield "label_smoothing", smoothing, "keeps a large network from overconfidence" if smoothing else "not needed"
        yield "mixup", 0.0, "only on request"
        yield "permute", False, "only on request"
        ratio = f"the most frequent class has {facts.imbalance:.1f} times the images of the rarest"
        yield "balance", "weights" if facts.imbalance >= IMBALANCE else "none", ratio

    @classmethod
    def outputs(cls, ground_truth: Labels, card: Card) -> int:
        """One score for each class."""
        del card
        return len(ground_truth.classes)

    @classmethod
    def sampler(cls, options: ClassifyOptions, ground_truth: Labels, indices: Indices) -> Floats | None:
        """Of `--balance sampler`, inverse to the frequency of each image's class. Raises `OptionError`."""
        if options.balance != "sampler":
            return None
        labels = ground_truth.take(indices)
        if labels.multi_label:
            raise OptionError("--balance sampler needs one label per image; use --balance weights.")
        return class_weights(labels)[labels.values]

    @classmethod
    def build(
        cls,
        network: Network,
        ground_truth: Labels,
        options: ClassifyOptions,
        splits: Splits,
        preprocessing: Preprocessing,
    ) -> Classify:
        """The classifier of the labels' classes."""
        del preprocessing
        weights = class_weights(ground_truth.take(splits.train)) if options.balance == "weights" else None
        return cls(
            network,
            ground_truth.classes,
            ground_truth.multi_label,
            options.label_smoothing or 0.0,
            options.mixup or 0.0,
            None if weights is None else torch.from_numpy(weights),
        )

    @classmethod
    def restore(cls, network: Network, state: Mapping[str, Any]) -> Classify:
        """The classifier of a run, whose probabilities its temperature corrects."""
        multi_label = state["multi_label"]
        if not isinstance(multi_label, bool):
            raise ValueError("multi_label is neither true nor false")
        confidence = Confidence.from_json(state["confidence"])
        return cls(network, restore_classes(state), multi_label, confidence=confidence)

    @classmethod
    def of_trained(
        cls, network: Network, classes: tuple[str, ...], *, multi_label: bool, size: Preprocessing, options: Any
    ) -> Classify:
        """The classifier, whose probabilities nothing corrects."""
        del size, options
        return cls(network, classes, multi_label)

    def state(self) -> dict[str, Any]:
        """Classes, whether they are multi-label, and the confidence fitted on the validation split."""
        confidence = asdict(self.confidence)
        return {"classes": list(self.classes), "multi_label": self.multi_label, "confidence": confidence}

    @property
    def changes_images(self) -> bool:
        """Whether mixup is on."""
        return self.mixup > 0

    def with_network(self, network: Network) -> Classify:
        """The same task with another network."""
        return replace(self, network=network)

    def loss(self, images: Tensor, targets: Tensor, random: torch.Generator | None) -> dict[str, Tensor]:
        """(N, C, H, W) and (N,) int64 or (N, classes) uint8 to `loss` and, for one class per image, `accuracy`."""
        if random is None:
            return self.loss_and_predictions(images, targets)[0]
        ratio, order = _draw_mixup(len(images), self.mixup, random) if self.mixup > 0 else (None, None)
        if ratio is not None:
            images = torch.lerp(images[order], images, ratio.to(images))
        heads = [scores.float() for scores in self.network.scores_of_all_heads(images)]
        losses = [self._cross_entropy(scores, targets) for scores in heads]
        if ratio is not None:
            others = [self._cross_entropy(scores, targets[order]) for scores in heads]
            losses = [torch.lerp(other, own, ratio) for own, other in zip(losses, others, strict=True)]
        loss = losses[0] + AUXILIARY_WEIGHT * torch.stack(losses[1:]).sum() if losses[1:] else losses[0]
        if self.multi_label:
            return {"loss": loss}
        return {"loss": loss, "accuracy": (heads[0].detach().argmax(1) == targets).float().mean()}

    def predict(self, images: Tensor) -> Tensor:
        """(N, C, H, W) to (N, classes) probabilities: rows sum to 1, or each label has its own."""
        return self._probabilities(self.network(images))

    def loss_and_predictions(self, images: Tensor, targets: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """The loss without mixup and auxiliary heads, and the probabilities, from one forward pass."""
        scores = self.network(images)
        return {"loss": self._cross_entropy(scores.float(), targets)}, self._probabilities(scores)

    def evaluator(self) -> ClassEvaluator:
        """Accuracy, top-5 accuracy and macro F1; multi-label: mean average precision, ROC AUC and exact matches."""
        return ClassEvaluator(self.multi_label)

    def conform(self, dataset: Dataset) -> Dataset:
        """The dataset with this classifier's classes, as flags where it is multi-label. Raises `DataError`."""
        return conform(dataset, self.classes, self.multi_label)

    def calibrate(self, validation: EvaluationData) -> Classify:
        """The classifier with the temperature and the reject threshold that the validation split gives."""
        predictions = self._uncalibrated_predictions(validation)
        return replace(self, confidence=fit_confidence(predictions.scores, predictions.targets, self.multi_label))

    def evaluate(self, data: EvaluationData) -> Evaluation:
        """Every metric of a split."""
        return evaluate(self.classes, data.split, self._uncalibrated_predictions(data), self.confidence)

    def predictor(
        self, preprocessing: Preprocessing, runtime: Runtime, options: ClassifyPredictOptions
    ) -> ClassPredictor:
        """How images of any size are classified."""
        return ClassPredictor(self, runtime, preprocessing, options)

    def exported(self, preprocessing: Preprocessing, runtime: Runtime) -> ClassExport:
        """The network with the probabilities after it."""
        from convolve.tasks.classify.export import ClassExport

        return ClassExport(self, preprocessing, runtime)

    def report(
        self, evaluation: Evaluation, dataset: Dataset, preprocessing: Preprocessing, runtime: Runtime
    ) -> tuple[tuple[Headline, ...], tuple[Section, ...]]:
        """Confusion matrix, worst mistakes, metrics of each class, calibration."""
        from convolve.tasks.classify.report import report_sections

        return report_sections(self, evaluation, dataset, runtime, preprocessing)

    def explanation_targets(
        self, inputs: Tensor, sizes: Indices, classes: Sequence[int], preprocessing: Preprocessing
    ) -> ExplanationTargets:
        """The scores of classes: those asked for, or the predicted one."""
        from convolve.tasks.classify.explanation import explanation_targets

        return explanation_targets(self, inputs, sizes, classes, preprocessing)

    def probabilities(self, inputs: Tensor) -> Tensor:
        """(N, C, H, W) to (N, classes)."""
        return self.predict(inputs)

    def ground_truth_labels(self, ground_truth: Labels, indices: Indices) -> tuple[str, ...]:
        """The class of each image, or all its labels joined by `;`."""
        labels = ground_truth.take(indices)
        rows = [np.flatnonzero(row) if labels.multi_label else [row] for row in labels.values]
        return tuple(";".join(labels.classes[index] for index in row) for row in rows)

    def _uncalibrated_predictions(self, data: EvaluationData) -> Predictions:
        """All of a split at temperature 1."""
        plain, runtime = replace(self, confidence=Confidence()), data.runtime
        evaluator = plain.evaluator()
        with evaluation_mode(self.network):
            for batch in data.batches.epoch(0):
                with torch.inference_mode(), runtime.arithmetic():
                    evaluator.add(plain.predict(runtime.images(batch.images)), batch)
        return evaluator.predictions()

    def _probabilities(self, scores: Tensor) -> Tensor:
        scores = scores.float() / self.confidence.temperature
        return scores.sigmoid() if self.multi_label else scores.softmax(1)

    def _cross_entropy(self, scores: Tensor, targets: Tensor) -> Tensor:
        weights = None if self.class_weights is None else self.class_weights.to(scores.device)
        if not self.multi_label:
            return F.cross_entropy(scores, targets, weights, label_smoothing=self.label_smoothing)
        smooth = targets.float() * (1 - self.label_smoothing) + self.label_smoothing / 2
        return F.binary_cross_entropy_with_logits(scores, smooth, pos_weight=weights)


TASK = Classify


@final
class ClassEvaluator:
    """Gathers probabilities, as many predictions as there are images."""

    def __init__(self, multi_label: bool) -> None:
        self._multi_label = multi_label
        self._scores: list[Floats] = []
        self._targets: list[npt.NDArray[Any]] = []
        self._indices: list[Indices] = []

    def add(self, predictions: Tensor, batch: Batch) -> None:
        """(N, classes) probabilities of a batch."""
        self._scores.append(predictions.float().cpu().numpy())
        self._targets.append(batch.targets.values)  # type: ignore[attr-defined]  # of this task they are arrays
        self._indices.append(batch.indices)

    def predictions(self) -> Predictions:
        """All so far."""
        scores, targets = np.concatenate(self._scores), np.concatenate(self._targets)
        return Predictions(scores, targets, np.concatenate(self._indices), self._multi_label)

    def metrics(self) -> dict[str, float]:
        """See `Classify.evaluator`."""
        return measure(self.predictions())


def class_weights(labels: Labels) -> Floats:
    """(classes,) weights that give every class the same total weight.

    For one class per image the inverse frequency, with mean 1 over the images; for multi-label the number of images
    without the label for each image with it. Classes without images have weight 1.
    """
    counts = labels.presence().sum(0).astype(np.float64)
    total = float(len(labels)) if labels.multi_label else counts.sum()
    present = counts > 0
    weights = np.ones(len(counts))
    if labels.multi_label:
        weights[present] = (total - counts[present]) / counts[present]
    else:
        weights[present] = total / (present.sum() * counts[present])
    return weights.astype(np.float32)


def _draw_mixup(count: int, alpha: float, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """The ratio of the first image, drawn from Beta(a, a), and the order of the second ones (Zhang et al. 2018)."""
    seed = int(torch.randint(2**62, (1,), generator=random, device=random.device))
    ratio = np.random.default_rng(seed).beta(alpha, alpha)
    drawn = torch.tensor(ratio, dtype=torch.float32, device=random.device)
    return drawn, torch.randperm(count, generator=random, device=random.device)
