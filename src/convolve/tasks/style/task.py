"""What a network for one style learns: to give photographs that style in one pass, by a fixed loss network.

Johnson, Alahi, Fei-Fei 2016, "Perceptual losses for real-time style transfer and super-resolution", section 3. Batches
hold the photographs, whose content is the target. The loss network is no part of the run: it is opened again from where
it was, and has to be what it was.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NoReturn, final

import torch
from torch import Tensor

from convolve.datasets.own_images import OwnImages
from convolve.errors import ExplainError, OptionError
from convolve.models import Card, Network
from convolve.runtime import Runtime
from convolve.style_transfer.gatys import LossWeights
from convolve.style_transfer.perceptual_loss import PerceptualLoss
from convolve.tasks.style.evaluation import Evaluation, LossEvaluator, evaluate
from convolve.tasks.style.loss_source import LossSource, open_loss, parse_source
from convolve.tasks.style.options import INFO, StyleOptions, StylePredictOptions
from convolve.tasks.task import EvaluationData, Task, TaskExport
from convolve.training.defaults import Choice, Facts
from convolve.values import Dataset, GroundTruth, Indices, Preprocessing, Splits

if TYPE_CHECKING:
    from convolve.reports.report import Headline, Section
    from convolve.tasks.style.predictor import StylePredictor

STYLE_WEIGHT, TV_WEIGHT = 10.0, 1.0
"""A network does not begin with the photograph's content, as an optimization does, so that style weighs less."""


@final
@dataclass
class Style(Task):
    """The style of one image, by the loss that the ``source`` gives. ``mean`` and ``std`` of each channel are those by
    which photographs are normalized. The loss is ``opened`` once.
    """

    network: Network
    source: LossSource
    mean: tuple[float, ...]
    std: tuple[float, ...]
    monitored: str = "loss_removed"
    opened: list[PerceptualLoss] = field(default_factory=list, compare=False, repr=False)

    info = INFO
    classes = ()

    @classmethod
    def accept(cls, dataset: Dataset, options: StyleOptions) -> Dataset:
        """The dataset. Raises `DataError` where it was not read as images alone."""
        del options
        return dataset.for_ground_truth("images")

    @classmethod
    def defaults(
        cls, known: Mapping[str, object], facts: Facts, card: Card, ground_truth: GroundTruth
    ) -> Iterator[Choice]:
        """As in section 4.1 of the paper. Raises `OptionError` without a style."""
        del facts, card, ground_truth
        if not known.get("style"):
            raise OptionError("Give --style, the image whose style is learned.")
        if known.get("multi_scale"):
            raise OptionError("A style is learned at one size; leave out --multi-scale.")
        yield "size", 256, "as in the paper"
        yield "batch", 4, "as in the paper"
        yield "optimizer", "adam", "as in the paper"
        yield "learning_rate", 1e-3, "as in the paper"
        yield "weight_decay", 0.0, "as in the paper"
        yield "loss_network", "vgg16", "as in the paper"
        yield "style_weight", STYLE_WEIGHT, "a network has to learn the content first"
        yield "tv_weight", TV_WEIGHT, "as in the optimization of an image"
        yield "flip", True, "a flipped photograph is as likely"
        yield "crop", 1.0, "the whole photograph, as in the paper"
        others = ("rotate", "scale", "translate", "noise", "brightness", "contrast", "saturation", "hue", "pca")
        yield from ((name, 0.0, "as in the paper") for name in others)

    @classmethod
    def outputs(cls, ground_truth: OwnImages, card: Card) -> int:
        """The channels of an image."""
        del ground_truth
        return card.classes

    @classmethod
    def build(
        cls,
        network: Network,
        ground_truth: OwnImages,
        options: StyleOptions,
        splits: Splits,
        preprocessing: Preprocessing,
    ) -> Style:
        """The task of learning the style that the options name."""
        del ground_truth, splits
        weights = LossWeights(options.style_weight or 0.0, options.tv_weight or 0.0)
        source, loss = open_loss(options.style or "", options.loss_network or "", preprocessing.height, weights)
        return cls(network, source, preprocessing.mean, preprocessing.std, opened=[loss])

    @classmethod
    def restore(cls, network: Network, state: Mapping[str, Any]) -> Style:
        """The task of a run, which opens its loss only where it is asked for it."""
        mean, std = (tuple(map(float, state[name])) for name in ("mean", "std"))
        if not len(mean) == len(std) == network.card.input[0] or not all(map(math.isfinite, (*mean, *std))) or 0 in std:
            raise ValueError("its mean and deviation are none of its network's")
        return cls(network, parse_source(state["source"]), mean, std)

    def state(self) -> dict[str, Any]:
        """Where the loss comes from, and how images are normalized."""
        return {"source": vars(self.source), "mean": list(self.mean), "std": list(self.std)}

    @property
    def perceptual_loss(self) -> PerceptualLoss:
        """The loss. Raises `RunError` where it is not what the run has learned by."""
        if not self.opened:
            self.opened.append(self.source.open())
        return self.opened[0]

    def with_network(self, network: Network) -> Style:
        """The same task with another network."""
        return replace(self, network=network)

    def loss(self, images: Tensor, targets: Tensor, random: torch.Generator | None) -> dict[str, Tensor]:
        """(N, C, H, W) photographs to `loss` and its parts, means over the photographs."""
        del targets, random
        return self._loss(self.predict(images), images)

    def predict(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) photographs to (N, 3, H, W) in the style, with pixels from 0 to 1, float32."""
        outputs: Tensor = self.network(images.contiguous(memory_format=torch.channels_last))
        return outputs.float()

    def loss_and_predictions(self, images: Tensor, targets: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Both from one forward pass."""
        del targets
        stylized = self.predict(images)
        return self._loss(stylized, images), stylized

    def evaluator(self) -> LossEvaluator:
        """How much of the photographs' loss is removed."""
        return LossEvaluator(self.perceptual_loss, self.mean, self.std)

    def conform(self, dataset: Dataset) -> Dataset:
        """Any images."""
        return dataset

    def evaluate(self, data: EvaluationData) -> Evaluation:
        """The losses of photographs in the style, as they are, and by optimization of the first one's pixels."""
        return evaluate(self, data)

    def predictor(self, preprocessing: Preprocessing, runtime: Runtime, options: StylePredictOptions) -> StylePredictor:
        """How images of any size get the style."""
        from convolve.tasks.style.predictor import StylePredictor

        del preprocessing
        return StylePredictor(self, runtime, options)

    def exported(self, preprocessing: Preprocessing, runtime: Runtime) -> TaskExport:
        """The network as a graph that gives the image in the style."""
        from convolve.tasks.style.export import StyleExport

        return StyleExport(self, preprocessing, runtime)

    def report(
        self, evaluation: Evaluation, dataset: Dataset, preprocessing: Preprocessing, runtime: Runtime
    ) -> tuple[tuple[Headline, ...], tuple[Section, ...]]:
        """The style, the losses, and some photographs before and after."""
        from convolve.tasks.style.report import report_sections

        del preprocessing
        return report_sections(self, evaluation, dataset, runtime)

    def explanation_targets(
        self, inputs: Tensor, sizes: Indices, classes: Sequence[int], preprocessing: Preprocessing
    ) -> NoReturn:
        """Raises `ExplainError`."""
        del inputs, sizes, classes, preprocessing
        self.explanation_method(None)

    def explanation_method(self, stage: str | None) -> NoReturn:
        """Raises `ExplainError`: there is no score to explain."""
        del stage
        raise ExplainError("A network for a style predicts no score that could be explained; look at its images.")

    def probabilities(self, inputs: Tensor) -> Tensor:
        """(N, C, H, W) to the network's own output."""
        return self.predict(inputs)

    def _loss(self, stylized: Tensor, images: Tensor) -> dict[str, Tensor]:
        mean, std = (images.new_tensor(each)[:, None, None] for each in (self.mean, self.std))
        losses = self.perceptual_loss(stylized, images * std + mean)
        return {name: each.mean() for name, each in losses.items()}


TASK = Style
