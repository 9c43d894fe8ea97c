"""What a network learns that restores detail: to undo a degradation that is applied to whole, sharp images.

Batches hold the sharp images, which are the targets. The loss makes them worse, and compares what the network makes of
that with them. A network that takes images of the restored size (SRCNN, VDSR) gets small ones enlarged by bicubic
interpolation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, final

import torch
from torch import Tensor

from convolve.errors import OptionError
from convolve.models import Card, Network
from convolve.runtime import Runtime
from convolve.tasks.restore.degradation import (
    Degradation,
    check_degradation,
    convert_degradation,
    enlarging,
    parse_degradation,
)
from convolve.tasks.restore.evaluation import Evaluation, PartEvaluator, evaluate
from convolve.tasks.restore.options import ImageLoss, RestoreConvertOptions, RestoreOptions, RestorePredictOptions
from convolve.tasks.restore.restoration import Restoration, parse_normalization
from convolve.tasks.task import EvaluationData, TaskExport
from convolve.training.defaults import SMALL_NETWORK, Choice, Facts
from convolve.values import Dataset, Indices, Preprocessing, Splits

if TYPE_CHECKING:
    from convolve.explainers.explanation_targets import ExplanationTargets
    from convolve.reports.report import Headline, Section
    from convolve.tasks.restore.predictor import ImagePredictor

COLORS = 3
SIDE = 48
"""Pixels of the parts of images to learn from: a multiple of every factor."""


@final
@dataclass
class Restore(Restoration):
    """The ``degradation`` is undone. ``mean`` and ``std`` of each channel are those by which images are normalized;
    with one channel the luminance is restored, and the colors are only enlarged.
    """

    network: Network
    degradation: Degradation
    mean: tuple[float, ...]
    std: tuple[float, ...]
    loss_kind: ImageLoss = "l1"
    monitored: str = "psnr_y"

    used = ("blur_sigma", "upscale", "downscaling", "noise_sigma", "loss")
    image_fits = ("tiles",)

    @classmethod
    def kind_defaults(cls, known: Mapping[str, object], facts: Facts, card: Card) -> Iterator[Choice]:
        """Parts of images at their own scale. Raises `OptionError` where nothing says what is to
        be restored, and for a factor that the network or the size does not have.
        """
        del facts
        upscale = int(str(known.get("upscale", card.upscale)))
        blur, noise = (float(str(known.get(name, 0))) for name in ("blur_sigma", "noise_sigma"))
        check_degradation(card.name, card.upscale, Degradation(blur, upscale, noise_sigma=noise))
        if int(str(known.get("size", SIDE))) % upscale:
            raise OptionError(f"--size {known['size']} is no multiple of {upscale}, the factor; choose one that is.")
        yield "fit", "tiles", "parts of the images at their own scale"
        yield "size", SIDE, "parts of images, as networks for restoration are trained"
        yield "upscale", upscale, "the network's own" if upscale > 1 else "only on request"
        yield "downscaling", "bicubic", "with antialiasing, as MATLAB's imresize, by which papers measure"
        yield "noise_sigma", 0.0, "only on request"
        yield "blur_sigma", 0.0, "only on request"
        yield "loss", "l1", "gives a higher PSNR than the squared error in the same time (Lim et al. 2017)"
        yield "batch", 16, "usual for parts of images"
        yield "weight_decay", 0.0, "the network is small for what it learns"
        if not known.get("weights"):
            rate = 1e-3 if (card.parameters or 0) < SMALL_NETWORK else 5e-4
            yield "learning_rate", rate, "usual for restoration by AdamW"
        yield "clip_norm", 1.0, "as VDSR's training does, which is deep"

    @classmethod
    def networks_for(cls, options: RestoreOptions, channels: int) -> tuple[str, ...]:
        """Networks for the factor; against noise, those for the images' own channels. Raises `OptionError` where
        nothing says what is to be restored.
        """
        upscale, noise, blur = options.upscale or 1, options.noise_sigma or 0.0, options.blur_sigma or 0.0
        check_degradation("the network", 1, Degradation(blur, upscale, noise_sigma=noise))
        if upscale == 1:
            denoiser = "cdncnn" if channels == COLORS else "dncnn"
            return (denoiser,) if noise else ("vdsr", "srcnn")
        return (f"edsr_x{upscale}",) if noise and channels == COLORS else (f"edsr_x{upscale}", f"espcn_x{upscale}")

    @classmethod
    def kind_outputs(cls, card: Card) -> int:
        """The channels of an image."""
        return card.classes

    @classmethod
    def from_options(
        cls, network: Network, ground_truth: Any, options: RestoreOptions, splits: Splits, preprocessing: Preprocessing
    ) -> Restore:
        """The task of undoing what the options say."""
        del ground_truth, splits
        degradation = Degradation(
            options.blur_sigma or 0.0,
            options.upscale or 1,
            options.downscaling or "bicubic",
            options.noise_sigma or 0.0,
        )
        return cls(network, degradation, preprocessing.mean, preprocessing.std, options.loss or "l1")

    @classmethod
    def from_trained(cls, network: Network, preprocessing: Preprocessing, options: RestoreConvertOptions) -> Restore:
        """The task of undoing what the options say. Raises `OptionError` where they do not fit the network."""
        degradation = convert_degradation(network.card.name, network.card.upscale, options)
        return cls(network, degradation, preprocessing.mean, preprocessing.std)

    @classmethod
    def from_state(cls, network: Network, state: Mapping[str, Any]) -> Restore:
        """The task of a run."""
        return cls(network, parse_degradation(state["degradation"]), *parse_normalization(network, state))

    def state(self) -> dict[str, Any]:
        """The degradation, and how images are normalized."""
        return {"degradation": asdict(self.degradation), "mean": list(self.mean), "std": list(self.std)}

    def with_network(self, network: Network) -> Restore:
        """The same task with another network."""
        return replace(self, network=network)

    def loss(self, images: Tensor, targets: Tensor, random: torch.Generator | None) -> dict[str, Tensor]:
        """(N, C, H, W) sharp images to `loss`, the mean over their pixels; in training each has noise of its own."""
        del targets
        return {"loss": self._loss(self.restore_images(self.degrade(images, random)), images)}

    def predict(self, images: Tensor) -> Tensor:
        """(N, C, H, W) sharp images to (N, C, H, W), degraded and restored."""
        return self.restore_images(self.degrade(images, None))

    def loss_and_predictions(self, images: Tensor, targets: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Both from one forward pass."""
        del targets
        restored = self.predict(images)
        return {"loss": self._loss(restored, images)}, restored

    def evaluator(self) -> PartEvaluator:
        """PSNR of the parts of images."""
        return PartEvaluator(self.mean, self.std, self.degradation.border)

    def evaluate(self, data: EvaluationData) -> Evaluation:
        """Every metric of whole images, and of the same ones without the network."""
        return evaluate(self, data)

    def predictor(
        self, preprocessing: Preprocessing, runtime: Runtime, options: RestorePredictOptions
    ) -> ImagePredictor:
        """How images of any size are restored."""
        from convolve.tasks.restore.predictor import DetailRestorer, ImagePredictor

        del preprocessing
        return ImagePredictor(DetailRestorer(self, runtime, options.mask), options)

    def exported(self, preprocessing: Preprocessing, runtime: Runtime) -> TaskExport:
        """The restored gray levels or colors, and the run that they are held against."""
        from convolve.tasks.restore.export import RestorationExport

        del preprocessing
        return RestorationExport(self, runtime)

    def report(
        self, evaluation: Evaluation, dataset: Dataset, preprocessing: Preprocessing, runtime: Runtime
    ) -> tuple[tuple[Headline, ...], tuple[Section, ...]]:
        """The metrics next to those of interpolation, and some images before and after."""
        from convolve.tasks.restore.report import compare_detail, report_sections

        del preprocessing
        return report_sections(evaluation, dataset, partial(compare_detail, task=self, runtime=runtime))

    def explanation_targets(
        self, inputs: Tensor, sizes: Indices, classes: Sequence[int], preprocessing: Preprocessing
    ) -> ExplanationTargets:
        """The center of the restored image."""
        from convolve.tasks.restore.explanation import explanation_targets

        del sizes, classes, preprocessing
        return explanation_targets(self, inputs)

    def explanation_method(self, stage: str | None) -> tuple[str, str]:
        """Saliency: which pixels the center of the restored image is made from."""
        del stage
        return "saliency", "what is explained is pixels, and maps of restoration are as large as the image"

    @property
    def score_names(self) -> tuple[str, ...]:
        """What is explained."""
        return ("center",)

    def probabilities(self, inputs: Tensor) -> Tensor:
        """(N, C, H, W) to the network's own output."""
        outputs: Tensor = self.network(inputs)
        return outputs.float()

    def degrade(self, images: Tensor, random: torch.Generator | None) -> Tensor:
        """(N, C, H, W) normalized to (N, C, H / upscale, W / upscale), as `Degradation.degrade` does; the noise is
        drawn for each image, or without a source of random numbers is the same for all.
        """
        mean, std = (images.new_tensor(each)[:, None, None] for each in (self.mean, self.std))
        rows, columns = (torch.from_numpy(self.degradation.matrix(side)).to(images) for side in images.shape[2:])
        with torch.autocast(images.device.type, enabled=False):
            worse = rows @ (images * std + mean) @ columns.T
        if self.degradation.noise_sigma:
            shape = worse.shape if random else (1, *worse.shape[1:])
            source = random or torch.Generator().manual_seed(0)
            noise = torch.randn(shape, generator=source, device=source.device).to(worse)
            worse = worse + self.degradation.noise_sigma / 255 * noise
        return ((worse * 255).round().clamp(0, 255) / 255 - mean) / std

    def restore_images(self, images: Tensor) -> Tensor:
        """(N, C, h, w) normalized, degraded images to (N, C, upscale h, upscale w), float32."""
        if self.enlarges_before:
            factor = self.degradation.upscale
            rows, columns = (torch.from_numpy(enlarging(side, factor)).to(images) for side in images.shape[2:])
            with torch.autocast(images.device.type, enabled=False):
                images = rows @ images @ columns.T
        outputs: Tensor = self.network(images.contiguous(memory_format=torch.channels_last)).float()
        return images + outputs if self.network.card.residual else outputs

    @property
    def is_gray(self) -> bool:
        """Whether images are made gray: noise is in each color, and the network knows only one channel."""
        return len(self.mean) == 1 and self.degradation.noise_sigma > 0

    @property
    def enlarges_before(self) -> bool:
        """Whether images are enlarged before they go into the network, which does not enlarge them itself."""
        return self.degradation.upscale > self.network.card.upscale

    def _loss(self, restored: Tensor, images: Tensor) -> Tensor:
        error = restored - images
        return error.abs().mean() if self.loss_kind == "l1" else error.square().mean()


TASK = Restoration
