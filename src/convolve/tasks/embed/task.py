"""What an embedding learns and says: images of one identity are near to each other, and others are far."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast, final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from convolve.datasets.batches import Groups
from convolve.datasets.labels import Labels
from convolve.errors import DataError
from convolve.models import Card, Network
from convolve.models.embedding import EmbeddingHead
from convolve.progress import Listener
from convolve.runtime import Runtime
from convolve.tasks.classes import restore_classes
from convolve.tasks.embed.evaluation import (
    EmbeddingEvaluator,
    Evaluation,
    Threshold,
    evaluate,
    find_threshold,
    parse_threshold,
    some_pairs,
)
from convolve.tasks.embed.identities import conform, hold_out
from convolve.tasks.embed.losses import arcface_loss, triplet_loss
from convolve.tasks.embed.options import INFO, EmbeddingLoss, EmbedOptions, EmbedPredictOptions
from convolve.tasks.embed.predictor import EmbeddingPredictor
from convolve.tasks.task import EvaluationData, Task
from convolve.training.defaults import Choice, Facts
from convolve.training.evaluation import evaluation_mode
from convolve.values import Dataset, Floats, GroundTruth, Indices, Preprocessing, Splits

if TYPE_CHECKING:
    from convolve.explainers.explanation_targets import ExplanationTargets
    from convolve.reports.report import Headline, Section
    from convolve.tasks.embed.export import EmbeddingExport

_MARGINS: Mapping[str, float] = {"arcface": 0.5, "triplet": 0.2}
FARTHEST = 2.0
"""The distance of opposite vectors; also of an identity without training images, which nothing is near to."""


@final
@dataclass
class Embed(Task):
    """ArcFace's or FaceNet's loss over embeddings. ``classes`` are the identities, of which those known have a mean
    embedding of their training images in the head's ``centers``; the centers of others are 0 once training has ended.
    """

    network: Network
    classes: tuple[str, ...]
    threshold: Threshold = field(default_factory=lambda: Threshold(FARTHEST))
    loss_kind: EmbeddingLoss = "arcface"
    margin: float = 0.5
    logit_scale: float = 64.0
    monitored: str = "map_at_r"

    info = INFO

    @classmethod
    def accept(cls, dataset: Dataset, options: EmbedOptions) -> Dataset:
        """The dataset, with all images of some identities as its test split where the options ask for that. Raises
        `DataError` where there are no labels, or no two identities with two images.
        """
        labels = dataset.ground_truths.get("labels")
        if not isinstance(labels, Labels) or labels.multi_label:
            raise DataError(
                f"{dataset.root} does not say of each image whose it is; sort the images into one folder per identity."
            )
        if (labels.counts() > 1).sum() < 2:
            raise DataError(
                f"{dataset.root} has fewer than two identities with two images each, so that nothing is to be compared."
            )
        return hold_out(dataset, labels, options.test_identities) if options.test_identities else dataset

    @classmethod
    def defaults(
        cls, known: Mapping[str, object], facts: Facts, card: Card, ground_truth: GroundTruth
    ) -> Iterator[Choice]:
        """ArcFace as published; for triplets several images of an identity in each batch."""
        del facts, card, ground_truth
        loss = str(known.get("loss") or "arcface")
        yield "loss", loss, "learns from every image, not from pairs that a batch happens to have"
        yield "margin", _MARGINS[loss], "as published"
        yield "logit_scale", 64.0, "as published"
        images = 4 if loss == "triplet" else 1
        yield "images_per_identity", images, "pairs to learn from" if images > 1 else "no pairs are needed"
        yield "test_identities", 0.0, "only on request"

    @classmethod
    def outputs(cls, ground_truth: Labels, card: Card) -> int:
        """The identities, each of which has a center."""
        del card
        return len(ground_truth.classes)

    @classmethod
    def sampler(cls, options: EmbedOptions, ground_truth: Labels, indices: Indices) -> Groups | None:
        """Images of one identity after another, where a batch is to have several."""
        together = options.images_per_identity or 1
        return Groups(ground_truth.take(indices).values.astype(np.int64), together) if together > 1 else None

    @classmethod
    def build(
        cls,
        network: Network,
        ground_truth: Labels,
        options: EmbedOptions,
        splits: Splits,
        preprocessing: Preprocessing,
    ) -> Embed:
        """The task of telling the identities apart. Raises `DataError` where there are too few to hold some out, and
        where the validation split has no two with two images, without which no epoch can be judged.
        """
        del preprocessing
        learned, tested = (ground_truth.take(part).presence().any(0) for part in (splits.train, splits.test))
        if options.test_identities and (tested.sum() < 2 or (learned & tested).any()):
            raise DataError(
                f"Too few identities have two images to hold out {options.test_identities:g} of them and learn from "
                "two; leave out --test-identities."
            )
        if (ground_truth.take(splits.validation).counts() > 1).sum() < 2:
            raise DataError(
                "The validation split has fewer than two identities with two images each; give a greater --validation, "
                "or add images."
            )
        loss = options.loss or "arcface"
        cast(EmbeddingHead, network.head).centers.requires_grad = loss == "arcface"
        margin = _MARGINS[loss] if options.margin is None else options.margin
        return cls(
            network, ground_truth.classes, loss_kind=loss, margin=margin, logit_scale=options.logit_scale or 64.0
        )

    @classmethod
    def restore(cls, network: Network, state: Mapping[str, Any]) -> Embed:
        """The task of a run."""
        if not isinstance(network.head, EmbeddingHead):
            raise ValueError("its network embeds no images")
        return cls(network, restore_classes(state), parse_threshold(state["threshold"]))

    def state(self) -> dict[str, Any]:
        """The identities, and the threshold that the validation split gave."""
        return {"classes": list(self.classes), "threshold": self.threshold.as_json()}

    def with_network(self, network: Network) -> Embed:
        """The same task with another network."""
        return replace(self, network=network)

    def loss(self, images: Tensor, targets: Tensor, random: torch.Generator | None) -> dict[str, Tensor]:
        """(N, C, H, W) and (N,) int64 to `loss`."""
        del random
        return {"loss": self._loss(self.predict(images), targets)}

    def predict(self, images: Tensor) -> Tensor:
        """(N, C, H, W) to (N, D) embeddings of length 1, float32."""
        found: Tensor = self.network(images)
        return F.normalize(found.float())

    def loss_and_predictions(self, images: Tensor, targets: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Both from one forward pass; triplets are those within the batch."""
        embeddings = self.predict(images)
        return {"loss": self._loss(embeddings, targets)}, embeddings

    def evaluator(self) -> EmbeddingEvaluator:
        """mAP@R and recall among the split's own images."""
        return EmbeddingEvaluator()

    def finish_training(self, training: EvaluationData, listener: Listener) -> None:
        """The center of each identity becomes the mean embedding of its training images, of length 1."""
        del listener
        embeddings, labels, _ = self._embed(training)
        centers = cast(EmbeddingHead, self.network.head).centers
        sums = torch.zeros(centers.shape).index_add_(0, torch.from_numpy(labels), torch.from_numpy(embeddings))
        with torch.no_grad():
            centers.copy_(F.normalize(sums))

    def conform(self, dataset: Dataset) -> Dataset:
        """The dataset with this task's identities first, then others, which it may well have."""
        return conform(dataset, self.classes)

    def calibrate(self, validation: EvaluationData) -> Embed:
        """The task with the threshold of the validation split's pairs."""
        embeddings, labels, _ = self._embed(validation)
        return replace(self, threshold=find_threshold(some_pairs(embeddings, labels)))

    def evaluate(self, data: EvaluationData) -> Evaluation:
        """Every metric of a split."""
        identities = data.dataset.ground_truths["labels"].classes
        return evaluate(data.split, identities, self.known, self._embed(data), self.threshold)

    def predictor(
        self, preprocessing: Preprocessing, runtime: Runtime, options: EmbedPredictOptions
    ) -> EmbeddingPredictor:
        """How images of any size are embedded and compared with the known identities."""
        return EmbeddingPredictor(self, runtime, preprocessing, options)

    def exported(self, preprocessing: Preprocessing, runtime: Runtime) -> EmbeddingExport:
        """The network with the distances to the known identities after it."""
        from convolve.tasks.embed.export import EmbeddingExport

        return EmbeddingExport(self, preprocessing, runtime)

    def report(
        self, evaluation: Evaluation, dataset: Dataset, preprocessing: Preprocessing, runtime: Runtime
    ) -> tuple[tuple[Headline, ...], tuple[Section, ...]]:
        """ROC and distances, neighbors, clusters, the worst pairs."""
        from convolve.tasks.embed.report import report_sections

        del preprocessing, runtime
        return report_sections(evaluation, dataset)

    def explanation_targets(
        self, inputs: Tensor, sizes: Indices, classes: Sequence[int], preprocessing: Preprocessing
    ) -> ExplanationTargets:
        """The similarity to identities: those asked for, or the nearest known one."""
        from convolve.tasks.embed.explanation import explanation_targets

        del sizes, preprocessing
        return explanation_targets(self, inputs, classes)

    def explanation_method(self, stage: str | None) -> tuple[str, str]:
        """Grad-CAM of the similarity."""
        del stage
        return "grad-cam", "what is explained is a similarity, not a score of a class"

    def probabilities(self, inputs: Tensor) -> Tensor:
        """(N, C, H, W) to (N, D) embeddings."""
        return self.predict(inputs)

    def ground_truth_labels(self, ground_truth: Labels, indices: Indices) -> tuple[str, ...]:
        """Whose each image is."""
        labels = ground_truth.take(indices)
        return tuple(labels.classes[index] for index in labels.values)

    @property
    def references(self) -> Tensor:
        """(identities, D) the mean embeddings of the known identities; zeros for others."""
        return cast(EmbeddingHead, self.network.head).centers.float()

    @property
    def known(self) -> frozenset[int]:
        """The indices of the identities that have training images."""
        return frozenset(self.references.detach().norm(dim=1).gt(0.5).nonzero().flatten().tolist())

    def distances(self, embeddings: Tensor) -> Tensor:
        """(N, D) to (N, identities) Euclidean distances from the known identities; 2 from others."""
        return distances_to(embeddings, self.references)

    def _embed(self, data: EvaluationData) -> tuple[Floats, Indices, Indices]:
        evaluator = self.evaluator()
        with evaluation_mode(self.network):
            for batch in data.batches.epoch(0):
                with torch.inference_mode(), data.runtime.arithmetic():
                    evaluator.add(self.predict(data.runtime.images(batch.images)), batch)
        return evaluator.gathered()

    def _loss(self, embeddings: Tensor, targets: Tensor) -> Tensor:
        with torch.autocast(embeddings.device.type, enabled=False):
            if self.loss_kind == "triplet":
                return triplet_loss(embeddings, targets, self.margin)
            centers = cast(EmbeddingHead, self.network.head).centers
            return arcface_loss(embeddings, targets, centers, self.margin, self.logit_scale)


TASK = Embed


def distances_to(embeddings: Tensor, references: Tensor) -> Tensor:
    """(N, D) and (M, D) of length 1 to (N, M) Euclidean distances; 2 from a reference that is 0."""
    known = references.square().sum(1).clamp(max=1).round()
    near = (2 - 2 * embeddings @ references.T).clamp(min=1e-12).sqrt()
    return near * known + FARTHEST * (1 - known)
