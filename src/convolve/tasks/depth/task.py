"""What a network for depth learns and predicts: the distance of each pixel.

Eigen, Puhrsch, Fergus 2014, "Depth map prediction from a single image using a multi-scale deep network": the network
gives the logarithm of depth, and its loss forgives a part of what is wrong with an image's scale.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, final

import torch
from torch import Tensor

from convolve.datasets.depth_maps import DepthMaps
from convolve.models import Card, Network
from convolve.runtime import Runtime
from convolve.tasks.depth.evaluation import Evaluation, InputEvaluator, evaluate
from convolve.tasks.depth.options import INFO, DepthOptions, DepthPredictOptions
from convolve.tasks.depth.prediction import DEEPEST, restore_state
from convolve.tasks.task import EvaluationData, Task
from convolve.training.defaults import Choice, Facts
from convolve.values import Dataset, GroundTruth, Indices, Preprocessing, Splits

if TYPE_CHECKING:
    from convolve.explainers.explanation_targets import ExplanationTargets
    from convolve.reports.report import Headline, Section
    from convolve.tasks.depth.export import DepthExport
    from convolve.tasks.depth.predictor import DepthPredictor

SI_LAMBDA = 0.5
"""Eigen et al. 2014, section 3.2."""
SCORES = ("center", "nearest", "farthest")
"""What can be explained of a depth map."""
_COARSEST = 256.0
"""Steps of a meter in files at least, as KITTI has it, unless depths are too great for that."""
_LARGEST_SCORE = 20.0  # an octave is 0.7: no depth is 30 octaves from the others


@final
@dataclass
class Depth(Task):
    """The depth of each pixel in meters: ``center``, the median of the training split, times e to the network's score.

    Pixels of unknown depth count neither in training nor in evaluation. ``per_meter`` is what predicted maps are
    multiplied by when they are written as whole numbers.
    """

    network: Network
    center: float
    per_meter: float
    si_lambda: float = SI_LAMBDA
    monitored: str = "delta1"

    info = INFO
    classes = ()

    @classmethod
    def accept(cls, dataset: Dataset, options: DepthOptions) -> Dataset:
        """The dataset. Raises `DataError` without depth maps."""
        del options
        return dataset.for_ground_truth("depth")

    @classmethod
    def defaults(
        cls, known: Mapping[str, object], facts: Facts, card: Card, ground_truth: GroundTruth
    ) -> Iterator[Choice]:
        """The whole image in one input, flipped and in other light, and no more."""
        del known, facts, card, ground_truth
        yield "si_lambda", SI_LAMBDA, "as published (Eigen et al. 2014)"
        yield "fit", "stretch", "keeps the whole image"
        yield "flip", True, "a flipped scene is as deep"
        yield "crop", 1.0, "what is shown larger would look nearer than it is"
        others = ("scale", "rotate", "translate")
        yield from ((name, 0.0, "what is shown larger would look nearer than it is") for name in others)

    @classmethod
    def outputs(cls, ground_truth: DepthMaps, card: Card) -> int:
        """One number for each pixel."""
        del ground_truth, card
        return 1

    @classmethod
    def build(
        cls,
        network: Network,
        ground_truth: DepthMaps,
        options: DepthOptions,
        splits: Splits,
        preprocessing: Preprocessing,
    ) -> Depth:
        """The task of maps whose median is that of the training split."""
        del preprocessing
        center = ground_truth.median(splits.train)
        per_meter = min(max(ground_truth.per_meter, _COARSEST), DEEPEST / (4 * center))
        return cls(network, center, per_meter, SI_LAMBDA if options.si_lambda is None else options.si_lambda)

    @classmethod
    def restore(cls, network: Network, state: Mapping[str, Any]) -> Depth:
        """The task of a run."""
        return cls(network, *restore_state(state))

    def state(self) -> dict[str, Any]:
        """The median depth, and the unit of files."""
        return {"center": self.center, "per_meter": self.per_meter}

    def with_network(self, network: Network) -> Depth:
        """The same task with another network."""
        return replace(self, network=network)

    def loss(self, images: Tensor, targets: Tensor, random: torch.Generator | None) -> dict[str, Tensor]:
        """(N, C, H, W) and (N, H, W) meters, 0 where unknown, to `loss`, the mean over the images."""
        del random
        return {"loss": scale_invariant_loss(self._logarithms(images), targets, self.si_lambda)}

    def predict(self, images: Tensor) -> Tensor:
        """(N, C, H, W) to (N, H, W) meters."""
        return self._logarithms(images).exp()

    def loss_and_predictions(self, images: Tensor, targets: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Both from one forward pass."""
        logarithms = self._logarithms(images)
        return {"loss": scale_invariant_loss(logarithms, targets, self.si_lambda)}, logarithms.exp()

    def evaluator(self) -> InputEvaluator:
        """All metrics of the network's inputs."""
        return InputEvaluator()

    def conform(self, dataset: Dataset) -> Dataset:
        """Any depth maps."""
        return dataset

    def evaluate(self, data: EvaluationData) -> Evaluation:
        """Every metric of whole images at their own size."""
        return evaluate(self, data)

    def predictor(self, preprocessing: Preprocessing, runtime: Runtime, options: DepthPredictOptions) -> DepthPredictor:
        """How the depth of images of any size is found."""
        from convolve.tasks.depth.predictor import DepthPredictor

        return DepthPredictor(self, preprocessing, runtime, options)

    def exported(self, preprocessing: Preprocessing, runtime: Runtime) -> DepthExport:
        """The network with meters at the image's size after it."""
        from convolve.tasks.depth.export import DepthExport

        return DepthExport(self, preprocessing, runtime)

    def report(
        self, evaluation: Evaluation, dataset: Dataset, preprocessing: Preprocessing, runtime: Runtime
    ) -> tuple[tuple[Headline, ...], tuple[Section, ...]]:
        """The metrics next to those of a constant, the error by distance, and some images."""
        from convolve.tasks.depth.report import report_sections

        return report_sections(self, evaluation, dataset, preprocessing, runtime)

    def explanation_targets(
        self, inputs: Tensor, sizes: Indices, classes: Sequence[int], preprocessing: Preprocessing
    ) -> ExplanationTargets:
        """The depth of the center of each image, or of what is nearest or farthest in it."""
        from convolve.tasks.depth.explanation import explanation_targets

        return explanation_targets(self, inputs, sizes, classes, preprocessing)

    def explanation_method(self, stage: str | None) -> tuple[str, str]:
        """Saliency: which pixels change the depth of a few."""
        del stage
        return "saliency", "what is explained is the depth of a few pixels, which those around them tell"

    @property
    def score_names(self) -> tuple[str, ...]:
        """What can be explained."""
        return SCORES

    def probabilities(self, inputs: Tensor) -> Tensor:
        """(N, C, H, W) to the network's own output (N, 1, H, W)."""
        outputs: Tensor = self.network(inputs)
        return outputs.float()

    def _logarithms(self, images: Tensor) -> Tensor:
        """(N, H, W) natural logarithms of meters."""
        scores = self.probabilities(images)[:, 0]
        return scores.clamp(-_LARGEST_SCORE, _LARGEST_SCORE) + math.log(self.center)


TASK = Depth


def scale_invariant_loss(logarithms: Tensor, targets: Tensor, si_lambda: float) -> Tensor:
    """Predicted (N, H, W) logarithms of depth and true depths (N, H, W), 0 where unknown, to the mean over the images.

    Eigen et al. 2014, equation 4: with d the differences of logarithms at the n known pixels of an image, the mean of
    d² less lambda times the square of the mean of d. Images without a known pixel do not count.
    """
    known = targets > 0
    counts = known.sum((1, 2))
    differences = (logarithms - targets.where(known, 1).log()) * known
    means = differences.sum((1, 2)) / counts.clamp(min=1)
    squares = differences.square().sum((1, 2)) / counts.clamp(min=1)
    return (squares - si_lambda * means.square()).sum() / (counts > 0).sum().clamp(min=1)
