"""What a network for stereo pairs learns: the disparity of each pixel from the left image alone, without depth maps.

Godard, Mac Aodha, Brostow 2017, "Unsupervised monocular depth estimation with left-right consistency": the disparities
are right where each image of a pair can be made from the other one. The right image is needed for training only.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NoReturn, final

import torch
from torch import Tensor

from convolve.datasets.stereo_pairs import StereoPairs
from convolve.errors import ExplainError, ExportError, OptionError
from convolve.models import Card, Network
from convolve.runtime import Runtime
from convolve.tasks.info import NoOptions
from convolve.tasks.stereo.evaluation import Evaluation, PhotometricEvaluator, evaluate
from convolve.tasks.stereo.loss import stereo_loss
from convolve.tasks.stereo.options import INFO, StereoPredictOptions
from convolve.tasks.stereo.predictor import LARGEST, StereoPredictor
from convolve.tasks.task import EvaluationData, Task, TaskExport
from convolve.training.defaults import Choice, Facts
from convolve.values import Dataset, GroundTruth, Indices, Preprocessing, Splits

if TYPE_CHECKING:
    from convolve.reports.report import Headline, Section

_PAIR_BREAKING = (
    "flip", "rotate", "noise", "brightness", "contrast", "saturation", "hue", "pca", "mosaic",
)  # fmt: skip
"""Augmentation of the left image after which the right one is no longer its counterpart."""


@final
@dataclass
class Stereo(Task):
    """The disparity of each pixel as a fraction of the image's width. ``mean`` and ``std`` of each channel are those by
    which images are normalized.
    """

    network: Network
    mean: tuple[float, ...]
    std: tuple[float, ...]
    monitored: str = "error_removed"

    info = INFO
    classes = ()

    @classmethod
    def accept(cls, dataset: Dataset, options: NoOptions) -> Dataset:
        """The dataset. Raises `DataError` without stereo pairs."""
        del options
        return dataset.for_ground_truth("stereo")

    @classmethod
    def defaults(
        cls, known: Mapping[str, object], facts: Facts, card: Card, ground_truth: GroundTruth
    ) -> Iterator[Choice]:
        """The images as they are. Raises `OptionError` for augmentation that takes a pair apart."""
        del facts, card, ground_truth
        for name in _PAIR_BREAKING:
            if known.get(name):
                raise OptionError(f"--{name} would change the left image of a pair and not the right one; omit it.")
        yield "fit", "stretch", "keeps the whole image"
        yield "flip", False, "the right image would be on the left"
        yield "crop", 1.0, "what is shown larger would look nearer than it is"
        yield from ((name, 0.0, "what is shown larger would look nearer than it is") for name in ("scale", "translate"))
        others = ("rotate", "noise", "brightness", "contrast", "saturation", "hue", "pca")
        yield from ((name, 0.0, "both images of a pair have to fit together") for name in others)

    @classmethod
    def outputs(cls, ground_truth: StereoPairs, card: Card) -> int:
        """Two numbers for each pixel: the disparities of the left and of the right image."""
        del ground_truth, card
        return 2

    @classmethod
    def build(
        cls,
        network: Network,
        ground_truth: StereoPairs,
        options: NoOptions,
        splits: Splits,
        preprocessing: Preprocessing,
    ) -> Stereo:
        """The task for images that are normalized in this way."""
        del ground_truth, options, splits
        return cls(network, preprocessing.mean, preprocessing.std)

    @classmethod
    def restore(cls, network: Network, state: Mapping[str, Any]) -> Stereo:
        """The task of a run."""
        mean, std = (tuple(map(float, state[name])) for name in ("mean", "std"))
        if not len(mean) == len(std) == network.card.input[0] or not all(map(math.isfinite, (*mean, *std))) or 0 in std:
            raise ValueError("its mean and deviation are none of its network's")
        return cls(network, mean, std)

    def state(self) -> dict[str, Any]:
        """How images are normalized."""
        return {"mean": list(self.mean), "std": list(self.std)}

    def with_network(self, network: Network) -> Stereo:
        """The same task with another network."""
        return replace(self, network=network)

    def loss(self, images: Tensor, targets: Tensor, random: torch.Generator | None) -> dict[str, Tensor]:
        """Left images (N, C, H, W) and right ones (N, H, W, C) uint8 to `loss` and its parts, means over the pairs."""
        del random
        return self._loss(images, targets, self.predict(images))

    def predict(self, images: Tensor) -> Tensor:
        """Left images (N, C, H, W) to the disparities (N, 2, H, W) of the left and the right ones, float32."""
        return LARGEST * self.probabilities(images).sigmoid()

    def loss_and_predictions(self, images: Tensor, targets: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Both from one forward pass."""
        disparities = self.predict(images)
        return self._loss(images, targets, disparities), disparities

    def evaluator(self) -> PhotometricEvaluator:
        """How well left images are made from right ones."""
        return PhotometricEvaluator(self.mean, self.std)

    def conform(self, dataset: Dataset) -> Dataset:
        """Any stereo pairs."""
        return dataset

    def evaluate(self, data: EvaluationData) -> Evaluation:
        """How well left images are made from right ones, and the errors of disparities where they are known."""
        return evaluate(self, data)

    def predictor(
        self, preprocessing: Preprocessing, runtime: Runtime, options: StereoPredictOptions
    ) -> StereoPredictor:
        """How the disparities of left images of any size are found."""
        return StereoPredictor(self, preprocessing, runtime, options)

    def exported(self, preprocessing: Preprocessing, runtime: Runtime) -> TaskExport:
        """None. Raises `ExportError`."""
        del preprocessing, runtime
        raise ExportError("A network for stereo pairs cannot be exported; use its run, with `convolve predict`.")

    def report(
        self, evaluation: Evaluation, dataset: Dataset, preprocessing: Preprocessing, runtime: Runtime
    ) -> tuple[tuple[Headline, ...], tuple[Section, ...]]:
        """The metrics next to those of constants, and some pairs with their disparities."""
        from convolve.tasks.stereo.report import report_sections

        return report_sections(self, evaluation, dataset, preprocessing, runtime)

    def explanation_targets(
        self, inputs: Tensor, sizes: Indices, classes: Sequence[int], preprocessing: Preprocessing
    ) -> NoReturn:
        """Raises `ExplainError`."""
        del inputs, sizes, classes, preprocessing
        self.explanation_method(None)

    def explanation_method(self, stage: str | None) -> NoReturn:
        """Raises `ExplainError`: only networks of the task depth are explained."""
        del stage
        raise ExplainError("Disparities are not explained; train with depth maps (--task depth) for that.")

    def probabilities(self, inputs: Tensor) -> Tensor:
        """(N, C, H, W) to the network's own output (N, 2, H, W)."""
        outputs: Tensor = self.network(inputs)
        return outputs.float()

    def _loss(self, images: Tensor, targets: Tensor, disparities: Tensor) -> dict[str, Tensor]:
        mean, std = (disparities.new_tensor(each)[:, None, None] for each in (self.mean, self.std))
        return stereo_loss(images.float() * std + mean, targets.permute(0, 3, 1, 2).float() / 255, disparities)


TASK = Stereo
