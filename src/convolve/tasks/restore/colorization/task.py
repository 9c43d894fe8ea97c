"""What a network learns that colors images: a and b of CIE Lab, from the lightness L.

Batches hold images in color, which are the targets. A network with two outputs gives a and b themselves; any other one
gives scores of bins of colors, of which the annealed mean is taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import torch
import torch.nn.functional as F
from torch import Tensor

from convolve.errors import DataError, ExportError, OptionError
from convolve.models import Card, Network
from convolve.runtime import Runtime
from convolve.tasks.restore.colorization.bins import (
    annealed_mean,
    color_bins,
    count_colors,
    encode,
    rebalancing_weights,
    smooth,
)
from convolve.tasks.restore.colorization.evaluation import ColorEvaluator, compare_colors, evaluate
from convolve.tasks.restore.colorization.lab import lab_to_rgb, rgb_to_lab
from convolve.tasks.restore.evaluation import Evaluation
from convolve.tasks.restore.options import INFO, UNUSED, ImageLoss, RestoreOptions, RestorePredictOptions
from convolve.tasks.restore.prediction import check_no_mask
from convolve.tasks.restore.restoration import Restoration, parse_normalization
from convolve.tasks.task import EvaluationData, TaskExport
from convolve.training.defaults import Choice, Facts
from convolve.values import Dataset, Images, Indices, Pixels, Preprocessing, Splits

if TYPE_CHECKING:
    from convolve.explainers.explanation_targets import ExplanationTargets
    from convolve.reports.report import Headline, Section
    from convolve.tasks.restore.predictor import ImagePredictor

SIDE = 64
"""Pixels of the images to learn from."""
RANGE = 110.0
"""What a and b are divided by for a network that gives them."""


@final
@dataclass
class Colorize(Restoration):
    """Color is given to gray images. ``weights`` (bins,) are those of the loss for pixels of each color, empty for all
    the same.
    """

    network: Network
    mean: tuple[float, ...]
    std: tuple[float, ...]
    weights: tuple[float, ...] = ()
    loss_kind: ImageLoss = "mse"
    monitored: str = "auc_balanced"

    info = replace(INFO, unit="%")
    used = ("loss", "rebalance")
    image_fits = ("crop", "stretch")

    @classmethod
    def kind_defaults(cls, known: Mapping[str, object], facts: Facts, card: Card) -> Iterator[Choice]:
        """Whole images, small. Raises `OptionError` for what only the other sort of network has, `DataError` for gray
        images.
        """
        if facts.channels == 1:
            raise DataError("The images to learn from have no color; colorization learns from color images.")
        if is_regression(card) and known.get("rebalance"):
            raise OptionError(f"{card.name} gives no probabilities; leave out --rebalance, or use colorization_zhang.")
        if not is_regression(card) and known.get("loss", UNUSED["loss"]) != UNUSED["loss"]:
            raise OptionError(f"{card.name} gives probabilities, whose loss is the cross-entropy; leave out --loss.")
        yield "size", SIDE, "colors need few pixels, and are enlarged"
        if is_regression(card):
            yield "loss", "mse", "as in the literature that colors by regression"
        else:
            yield "rebalance", True, "else colors are dull, as most pixels are nearly gray"
        yield "batch", 16, "usual for parts of images"
        if not known.get("weights"):
            yield "learning_rate", 5e-4, "usual"

    @classmethod
    def kind_outputs(cls, card: Card) -> int:
        """Both coordinates of a color, or as many bins as there are."""
        return 2 if is_regression(card) else len(color_bins())

    @classmethod
    def from_options(
        cls, network: Network, ground_truth: Any, options: RestoreOptions, splits: Splits, preprocessing: Preprocessing
    ) -> Colorize:
        """The task of giving color, with the weights that the training images' colors call for. Raises `DataError`
        where they have none.
        """
        counts = count_colors(ground_truth.images, splits.train)
        weights = tuple(rebalancing_weights(smooth(counts)).tolist()) if options.rebalance else ()
        return cls(network, preprocessing.mean, preprocessing.std, weights, options.loss or "mse")

    @classmethod
    def from_state(cls, network: Network, state: Mapping[str, Any]) -> Colorize:
        """The task of a run."""
        weights = tuple(map(float, state["weights"]))
        if weights and (len(weights) != len(color_bins()) or not all(0 < each < float("inf") for each in weights)):
            raise ValueError("its weights are none of its colors'")
        return cls(network, *parse_normalization(network, state), weights)

    def state(self) -> dict[str, Any]:
        """The weights of colors, and how images are normalized."""
        return {"weights": list(self.weights), "mean": list(self.mean), "std": list(self.std)}

    def with_network(self, network: Network) -> Colorize:
        """The same task with another network."""
        return replace(self, network=network)

    def loss(self, images: Tensor, targets: Tensor, random: torch.Generator | None) -> dict[str, Tensor]:
        """(N, 3, H, W) images in color to `loss`, the mean over their pixels."""
        del targets, random
        lab = self._lab(images)
        return {"loss": self._loss(self._outputs(lab), lab)}

    def predict(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) images to (N, 3, H, W), with their lightness and the network's colors."""
        lab = self._lab(images)
        return self._in_color(self._outputs(lab), lab)

    def loss_and_predictions(self, images: Tensor, targets: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Both from one forward pass."""
        del targets
        lab = self._lab(images)
        outputs = self._outputs(lab)
        return {"loss": self._loss(outputs, lab)}, self._in_color(outputs, lab)

    def colors(self, outputs: Tensor) -> Tensor:
        """What the network gives to (N, 2, h, w) a and b."""
        values = outputs.float()
        return values * RANGE if is_regression(self.network.card) else annealed_mean(values)

    def evaluator(self) -> ColorEvaluator:
        """The balanced AUC."""
        return ColorEvaluator(self.mean, self.std)

    def evaluate(self, data: EvaluationData) -> Evaluation:
        """Every metric of whole images, and of the same ones in gray."""
        return evaluate(self, data)

    def predictor(
        self, preprocessing: Preprocessing, runtime: Runtime, options: RestorePredictOptions
    ) -> ImagePredictor:
        """How images of any size are colored."""
        from convolve.tasks.restore.predictor import ImagePredictor

        side = min(preprocessing.height, preprocessing.width)
        return ImagePredictor(ColorRestorer(self, side, runtime, options.mask), options)

    def exported(self, preprocessing: Preprocessing, runtime: Runtime) -> TaskExport:
        """None. Raises `ExportError`."""
        del preprocessing, runtime
        raise ExportError("A network that gives color cannot be exported; use its run, with `convolve predict`.")

    def report(
        self, evaluation: Evaluation, dataset: Dataset, preprocessing: Preprocessing, runtime: Runtime
    ) -> tuple[tuple[Headline, ...], tuple[Section, ...]]:
        """The metrics next to those of gray images, and some images in gray and colored."""
        from convolve.tasks.restore.report import report_sections

        side = min(preprocessing.height, preprocessing.width)
        return report_sections(evaluation, dataset, partial(compare_colors, task=self, side=side, runtime=runtime))

    def explanation_targets(
        self, inputs: Tensor, sizes: Indices, classes: Sequence[int], preprocessing: Preprocessing
    ) -> ExplanationTargets:
        """None. Raises `OptionError`."""
        del inputs, sizes, classes, preprocessing
        raise OptionError("Colors are not explained; look at the report of the run, which shows colored images.")

    def probabilities(self, inputs: Tensor) -> Tensor:
        """(N, C, H, W) to the network's own output."""
        outputs: Tensor = self.network(inputs)
        return outputs.float()

    def _lab(self, images: Tensor) -> Tensor:
        mean, std = (images.new_tensor(each)[:, None, None] for each in (self.mean, self.std))
        with torch.autocast(images.device.type, enabled=False):
            return rgb_to_lab((images * std + mean).clamp(0, 1))

    def _outputs(self, lab: Tensor) -> Tensor:
        """What the network gives for the lightness, in as many equal channels as images have."""
        mean, std = (lab.new_tensor(each)[:, None, None] for each in (self.mean, self.std))
        inputs = ((lab[:, :1] / 100 - mean) / std).contiguous(memory_format=torch.channels_last)
        outputs: Tensor = self.network(inputs)
        return outputs.float()

    def _in_color(self, outputs: Tensor, lab: Tensor) -> Tensor:
        mean, std = (lab.new_tensor(each)[:, None, None] for each in (self.mean, self.std))
        with torch.autocast(lab.device.type, enabled=False):
            ab = F.interpolate(self.colors(outputs), lab.shape[2:], mode="bilinear")
            return (lab_to_rgb(torch.cat([lab[:, :1], ab], 1)) - mean) / std

    def _loss(self, outputs: Tensor, lab: Tensor) -> Tensor:
        with torch.autocast(lab.device.type, enabled=False):
            ab = F.adaptive_avg_pool2d(lab[:, 1:], (outputs.shape[2], outputs.shape[3]))
            if is_regression(self.network.card):
                error = outputs - ab / RANGE
                return error.abs().mean() if self.loss_kind == "l1" else error.square().mean()
            encoded = encode(ab)
            entropies = -(encoded * F.log_softmax(outputs, 1)).sum(1)
            if self.weights:
                entropies = entropies * lab.new_tensor(self.weights)[encoded.argmax(1)]
            return entropies.mean()


@final
class ColorRestorer:
    """Colors an image, of which it takes the lightness alone."""

    def __init__(self, task: Colorize, side: int, runtime: Runtime, mask: Path | None) -> None:
        """Raises `OptionError` where a mask is given."""
        check_no_mask(mask, task.network.label)
        self._task, self._side, self._runtime = task, side, runtime

    def read(self, images: Images, index: int) -> tuple[Pixels]:
        """The image."""
        return (images.read(index),)

    def restore(self, read: tuple[Pixels]) -> Pixels:
        """In color."""
        from convolve.tasks.restore.colorization.coloring import colorize

        return colorize(read[0], self._task, self._side, self._runtime)


def is_regression(card: Card) -> bool:
    """Whether a network gives a and b themselves."""
    return card.classes == 2
