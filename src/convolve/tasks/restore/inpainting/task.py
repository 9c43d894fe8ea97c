"""What a network learns that fills holes: the missing pixels, from those that are known.

Batches hold whole images, which are the targets. The loss draws a hole in each, whose pixels the network gets as nan.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from convolve.errors import ExportError, OptionError
from convolve.models import Card, Network
from convolve.runtime import Runtime
from convolve.tasks.restore.degradation import to_pixels
from convolve.tasks.restore.evaluation import Evaluation
from convolve.tasks.restore.inpainting.evaluation import HoleEvaluator, compare_holes, evaluate
from convolve.tasks.restore.inpainting.holes import draw_hole, hole_of
from convolve.tasks.restore.options import ImageLoss, RestoreOptions, RestorePredictOptions
from convolve.tasks.restore.restoration import Restoration, parse_normalization
from convolve.tasks.task import EvaluationData, TaskExport
from convolve.training.defaults import Choice, Facts
from convolve.values import Dataset, Flags, Indices, Pixels, Preprocessing, Splits

if TYPE_CHECKING:
    from convolve.explainers.explanation_targets import ExplanationTargets
    from convolve.reports.report import Headline, Section
    from convolve.tasks.restore.predictor import ImagePredictor

SIDE = 128
"""Pixels of the parts of images to learn from."""
HOLE_WEIGHT, TV_WEIGHT = 6.0, 0.1
"""Of the hole's error, where that of known pixels has 1, and of the total variation (Liu et al. 2018, equation 7)."""


@final
@dataclass
class Inpaint(Restoration):
    """Holes are filled. They cover a ``fraction`` of an image on average; their parts were drawn for images with sides
    of ``side`` pixels.
    """

    network: Network
    fraction: float
    side: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    loss_kind: ImageLoss = "l1"
    monitored: str = "psnr_hole"

    used = ("hole_fraction", "loss")
    image_fits = ("tiles",)

    @classmethod
    def kind_defaults(cls, known: Mapping[str, object], facts: Facts, card: Card) -> Iterator[Choice]:
        """Parts of images at their own scale. Raises `OptionError` for a hole that covers nothing."""
        del facts
        if known.get("hole_fraction") == 0:
            raise OptionError(f"--hole-fraction 0 leaves {card.name} nothing to fill; choose a number up to 0.6.")
        yield "fit", "tiles", "parts of the images at their own scale"
        yield "size", SIDE, "parts of images that hold a hole and what is around it"
        yield "hole_fraction", 0.25, "holes of an eighth to three eighths of an image"
        yield "loss", "l1", "as the paper's"
        yield "batch", 16, "usual for parts of images"
        yield "weight_decay", 0.0, "as in the paper"
        if not known.get("weights"):
            yield "learning_rate", card.learning_rate or 1e-3, "usual for networks of this kind"
        yield "clip_norm", 1.0, "a single pixel that is known can weigh much"

    @classmethod
    def kind_outputs(cls, card: Card) -> int:
        """The channels of an image."""
        return card.classes

    @classmethod
    def from_options(
        cls, network: Network, ground_truth: Any, options: RestoreOptions, splits: Splits, preprocessing: Preprocessing
    ) -> Inpaint:
        """The task of filling holes of that size."""
        del ground_truth, splits
        side, fraction = min(preprocessing.height, preprocessing.width), options.hole_fraction or 0.25
        return cls(network, fraction, side, preprocessing.mean, preprocessing.std, options.loss or "l1")

    @classmethod
    def from_state(cls, network: Network, state: Mapping[str, Any]) -> Inpaint:
        """The task of a run."""
        fraction, side = float(state["hole_fraction"]), state["side"]
        if not 0 < fraction < 1 or type(side) is not int or side < 1:
            raise ValueError("its holes are none")
        return cls(network, fraction, side, *parse_normalization(network, state))

    def state(self) -> dict[str, Any]:
        """How holes are drawn, and how images are normalized."""
        holes = {"hole_fraction": self.fraction, "side": self.side}
        return {**holes, "mean": list(self.mean), "std": list(self.std)}

    def with_network(self, network: Network) -> Inpaint:
        """The same task with another network."""
        return replace(self, network=network)

    def loss(self, images: Tensor, targets: Tensor, random: torch.Generator | None) -> dict[str, Tensor]:
        """(N, C, H, W) whole images to `loss`, `hole`, `valid` and `tv`, means over all pixels; in training each
        image has a hole of its own.
        """
        del targets
        holes = self.draw_holes(images, random)
        return self._losses(self._outputs(images, holes), images, holes)

    def predict(self, images: Tensor) -> Tensor:
        """(N, C, H, W) whole images to (N, C, H, W), with a hole that is filled."""
        holes = self.draw_holes(images, None)
        return torch.where(holes, self._outputs(images, holes), images)

    def loss_and_predictions(self, images: Tensor, targets: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Both from one forward pass."""
        del targets
        holes = self.draw_holes(images, None)
        outputs = self._outputs(images, holes)
        return self._losses(outputs, images, holes), torch.where(holes, outputs, images)

    def hole_of(self, image: Pixels) -> Flags:
        """The hole (H, W) that an image (H, W, C) is evaluated with."""
        return hole_of(image, self.fraction, self.side)

    def draw_holes(self, images: Tensor, random: torch.Generator | None) -> Tensor:
        """(N, C, H, W) normalized images to (N, 1, H, W), true in the hole: drawn at random, or without a source of
        random numbers always the same for an image.
        """
        shape = (images.shape[2], images.shape[3])
        if random is None:
            arrays = images.float().permute(0, 2, 3, 1).cpu().numpy()
            holes = [self.hole_of(to_pixels((each * self.std + self.mean) * 255)) for each in arrays]
        else:
            seeds = torch.randint(2**31, (len(images),), generator=random, device=random.device).tolist()
            holes = [draw_hole(shape, self.fraction, self.side, np.random.default_rng(seed)) for seed in seeds]
        return torch.from_numpy(np.stack(holes)[:, None]).to(images.device)

    def evaluator(self) -> HoleEvaluator:
        """PSNR within the holes of parts of images."""
        return HoleEvaluator(self)

    def evaluate(self, data: EvaluationData) -> Evaluation:
        """Every metric of whole images with a hole, and of the same ones filled without the network."""
        return evaluate(self, data)

    def predictor(
        self, preprocessing: Preprocessing, runtime: Runtime, options: RestorePredictOptions
    ) -> ImagePredictor:
        """How holes in images of any size are filled."""
        from convolve.tasks.restore.inpainting.restorer import HoleRestorer
        from convolve.tasks.restore.predictor import ImagePredictor

        del preprocessing
        return ImagePredictor(HoleRestorer(self, runtime, options.mask), options)

    def exported(self, preprocessing: Preprocessing, runtime: Runtime) -> TaskExport:
        """None. Raises `ExportError`."""
        del preprocessing, runtime
        raise ExportError("A network that fills holes cannot be exported; use its run, with `convolve predict`.")

    def report(
        self, evaluation: Evaluation, dataset: Dataset, preprocessing: Preprocessing, runtime: Runtime
    ) -> tuple[tuple[Headline, ...], tuple[Section, ...]]:
        """The metrics next to those without a network, and some images with their hole and filled."""
        from convolve.tasks.restore.report import report_sections

        del preprocessing
        return report_sections(evaluation, dataset, partial(compare_holes, task=self, runtime=runtime))

    def explanation_targets(
        self, inputs: Tensor, sizes: Indices, classes: Sequence[int], preprocessing: Preprocessing
    ) -> ExplanationTargets:
        """None. Raises `OptionError`."""
        del inputs, sizes, classes, preprocessing
        raise OptionError(
            "What fills a hole is not explained; look at the report of the run, which shows filled images."
        )

    def probabilities(self, inputs: Tensor) -> Tensor:
        """(N, C, H, W) to the network's own output."""
        outputs: Tensor = self.network(inputs)
        return outputs.float()

    def _outputs(self, images: Tensor, holes: Tensor) -> Tensor:
        """All pixels as the network gives them, float32."""
        worse = torch.where(holes, torch.nan, images).contiguous(memory_format=torch.channels_last)
        outputs: Tensor = self.network(worse)
        return outputs.float()

    def _losses(self, outputs: Tensor, images: Tensor, holes: Tensor) -> dict[str, Tensor]:
        difference = outputs - images
        errors = difference.abs() if self.loss_kind == "l1" else difference.square()
        hole, valid = (errors * holes).mean(), (errors * ~holes).mean()
        tv = _measure_tv(torch.where(holes, outputs, images), holes)
        total = valid + HOLE_WEIGHT * hole + TV_WEIGHT * tv
        return {"loss": total, "hole": hole, "valid": valid, "tv": tv}


def _measure_tv(images: Tensor, holes: Tensor) -> Tensor:
    """The total variation within the holes, made one pixel larger (section 3.3), as a mean over all pixels."""
    near = F.max_pool2d(holes.float(), 3, 1, 1)
    down = (images[:, :, 1:] - images[:, :, :-1]).abs() * near[:, :, 1:] * near[:, :, :-1]
    across = (images[..., 1:] - images[..., :-1]).abs() * near[..., 1:] * near[..., :-1]
    return (down.sum() + across.sum()) / images.numel()
