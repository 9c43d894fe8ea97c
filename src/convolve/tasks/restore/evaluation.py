"""How good a restoration is: PSNR and SSIM of whole images, next to those of what needs no network."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, final

import numpy as np

from convolve.datasets.images import to_channels
from convolve.errors import DataError, ImageError
from convolve.metrics.image_quality import luminance, psnr, shave, ssim
from convolve.tasks.info import finite_or_none
from convolve.tasks.restore.degradation import Degradation, enlarge, to_pixels
from convolve.values import Batch, Images, Pixels

if TYPE_CHECKING:
    from rich.console import RenderableType
    from torch import Tensor

    from convolve.tasks.restore.task import Restore
    from convolve.tasks.task import EvaluationData

MEASURED = ("psnr_y", "ssim_y", "psnr_rgb", "ssim_rgb")


class Restores(Protocol):
    """What undoes a degradation: a run's task, or an export's."""

    @property
    def degradation(self) -> Degradation:
        """What is undone."""
        ...

    @property
    def is_gray(self) -> bool:
        """Whether images are made gray."""
        ...


@dataclass(frozen=True, eq=False)
class RestoredImage:
    """The index of an image in a dataset, the ``target``, and what was made of it, degraded and then restored."""

    index: int
    target: Pixels
    degraded: Pixels
    restored: Pixels


@dataclass(frozen=True)
class EvaluatedImage:
    """An image's name and index in the dataset, and its metrics by method: `network`, and each baseline."""

    name: str
    index: int
    metrics: Mapping[str, Mapping[str, float]]

    def gain(self, metric: str) -> float:
        """How far the network's metric is above the first baseline's."""
        network, baseline, *_ = (metrics[metric] for metrics in self.metrics.values())
        return network - baseline


@dataclass(frozen=True)
class Evaluation:
    """The mean ``metrics`` over the images, PSNR in dB, the headline first, then what is gained above the first of the
    ``baselines``, which have the same of what needs no network, such as `bicubic` interpolation. ``shaved`` pixels at
    every border are left out. ``each`` has the images.
    """

    split: str
    metrics: Mapping[str, float]
    baselines: Mapping[str, Mapping[str, float]]
    shaved: int
    each: tuple[EvaluatedImage, ...]

    @property
    def images(self) -> int:
        """How many images were evaluated."""
        return len(self.each)

    @property
    def headline(self) -> str:
        """The metric by which methods are compared."""
        return next(iter(self.metrics))

    def as_json(self) -> dict[str, Any]:
        """Plain numbers and lists; an undefined metric is null."""
        rows = [
            {
                "image": one.name,
                **{method: _plain(metrics) for method, metrics in one.metrics.items()},
            }
            for one in self.each
        ]
        return {
            "split": self.split,
            "images": self.images,
            "metrics": _plain(self.metrics),
            "baselines": {name: _plain(metrics) for name, metrics in self.baselines.items()},
            "shaved": self.shaved,
            "each": rows,
        }

    def to_console(self) -> Iterator[RenderableType]:
        """The metrics of the network and of the baselines."""
        from convolve.tasks.restore.report import console_output

        yield from console_output(self)


@final
class PartEvaluator:
    """Gathers the PSNR of parts of images, whose normalization and number of shaved pixels it knows."""

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...], shaved: int) -> None:
        self._mean, self._std, self._shaved = mean, std, shaved
        self._found: list[float] = []

    def add(self, predictions: Tensor, batch: Batch) -> None:
        """(N, C, H, W) restored images of a batch, normalized."""
        restored = predictions.float().permute(0, 2, 3, 1).cpu().numpy()
        for target, image in zip(batch.images, restored, strict=True):
            pixels = (to_pixels((each * self._std + self._mean) * 255) for each in (target, image))
            self._found.append(psnr(*(shave(luminance(each), self._shaved) for each in pixels)))

    def metrics(self) -> dict[str, float]:
        """The mean over the parts, of which equal ones count as 100 dB."""
        return {"psnr_y": float(np.mean(np.minimum(self._found, 100)))}


def evaluate(task: Restore, data: EvaluationData) -> Evaluation:
    """Degrade, restore and measure whole images that can be read. Raises `DataError` where there is none."""
    from convolve.tasks.restore.tiled_restoration import restore_image

    def restored() -> Iterator[RestoredImage]:
        for index in data.indices.tolist():
            with suppress(ImageError):
                target = read_sharp(data.dataset.images, index, task)
                degraded = task.degradation.degrade(target)
                yield RestoredImage(index, target, degraded, restore_image(degraded, task, data.runtime))

    return measure_images(data.split, data.dataset.images, restored(), task.degradation)


def measure_images(
    split: str, images: Images, restored: Iterable[RestoredImage], degradation: Degradation
) -> Evaluation:
    """The metrics of images that were restored, next to the baselines'. Raises `DataError` where there is none."""
    found = []
    for one in restored:
        methods = {"network": one.restored, **baselines(one.degraded, degradation)}
        metrics = {name: measure(one.target, image, degradation.border) for name, image in methods.items()}
        found.append(EvaluatedImage(images.name(one.index), one.index, metrics))
    return summarize(split, found, "psnr_gain", degradation.border)


def evaluate_images(
    data: EvaluationData, measure_image: Callable[[Pixels, str], dict[str, dict[str, float]]], gain: str
) -> Evaluation:
    """The means over all images that can be read of what an image and its name give: metrics of the `network` and of
    each baseline. ``gain`` is the name of what is gained of the first metric. Raises `DataError` where no image can be
    read.
    """
    found = []
    for index in data.indices.tolist():
        with suppress(ImageError):
            name = data.dataset.images.name(index)
            found.append(EvaluatedImage(name, index, measure_image(data.dataset.images.read(index), name)))
    return summarize(data.split, found, gain, 0)


def summarize(split: str, found: Sequence[EvaluatedImage], gain: str, shaved: int) -> Evaluation:
    """The means over the images. The first metric is the headline; ``gain`` is the name of what is gained of it. Raises
    `DataError` where there is no image.
    """
    if not found:
        raise DataError(f"None of the {split} images to evaluate can be read; `convolve data` says why.")
    methods = {
        method: {name: float(np.mean([one.metrics[method][name] for one in found])) for name in metrics}
        for method, metrics in found[0].metrics.items()
    }
    metrics = methods.pop("network")
    headline = next(iter(metrics))
    above = metrics[headline] - next(iter(methods.values()))[headline]
    metrics = {headline: metrics.pop(headline), gain: above, **metrics}
    return Evaluation(split, metrics, methods, shaved, tuple(found))


def read_sharp(images: Images, index: int, task: Restores) -> Pixels:
    """(H, W, C) the target of an image of a dataset. Raises `ImageError`, and `DataError` where it is too small."""
    target = sharp_image(images.read(index), task)
    if min(target.shape[:2]) <= 2 * task.degradation.border:
        height, width = target.shape[:2]
        raise DataError(f"{images.name(index)} has {width}x{height} pixels, too few to measure; leave the image out.")
    return target


def sharp_image(image: Pixels, task: Restores) -> Pixels:
    """(H, W, C) what the degradation is applied to: gray where the task needs it, its sides multiples of the factor."""
    return task.degradation.crop(to_channels(image, 1) if task.is_gray else image)


def baselines(degraded: Pixels, degradation: Degradation) -> dict[str, Pixels]:
    """The image without a network, by the method's name: the best first."""
    if degradation.upscale == 1:
        return {"degraded": degraded}
    return {
        "bicubic": to_pixels(enlarge(degraded, degradation.upscale)),
        "nearest": to_pixels(enlarge(degraded, degradation.upscale, "nearest")),
    }


def measure(target: Pixels, image: Pixels, border: int) -> dict[str, float]:
    """PSNR and SSIM of luminance and of all channels, without the ``border``."""
    image = to_channels(image, target.shape[2]) if target.shape[2] > image.shape[2] else image
    target = to_channels(target, image.shape[2])
    pair = shave(target, border), shave(image, border)
    y = luminance(pair[0]), luminance(pair[1])
    return dict(zip(MEASURED, (psnr(*y), ssim(*y), psnr(*pair), ssim(*pair)), strict=True))


def _plain(metrics: Mapping[str, float]) -> dict[str, float | None]:
    return {name: finite_or_none(value) if not math.isnan(value) else None for name, value in metrics.items()}
