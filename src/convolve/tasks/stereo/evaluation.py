"""How good disparities are: the left images that are made by them, and their errors where the truth is known."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
import torch
from torch import Tensor

from convolve.datasets.images import to_channels
from convolve.datasets.preprocess import fit_to_input, normalize
from convolve.errors import DataError, ImageError
from convolve.tasks.info import finite_or_none
from convolve.tasks.stereo.loss import photometric_error, reconstruct
from convolve.tasks.stereo.predictor import at_image_size
from convolve.values import Batch, Floats, Pixels, Preprocessing

if TYPE_CHECKING:
    from rich.console import RenderableType

    from convolve.datasets.stereo_pairs import StereoPairs
    from convolve.tasks.stereo.task import Stereo
    from convolve.tasks.task import EvaluationData

NETWORK, CONSTANT, UNMOVED = "network", "constant median", "right image as it is"
MEASURED = ("photometric", "mae", "bad3")
_OFF = 3.0
"""Pixels: a larger error makes a pixel a bad one."""


@dataclass(frozen=True)
class EvaluatedPair:
    """A left image's name and index in the dataset, and its metrics by method."""

    name: str
    index: int
    metrics: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Evaluation:
    """The means over the pairs: ``metrics`` of the network, and ``baselines`` of the right image as it is, and where
    disparities are known of their median in these images, a ``constant`` fraction of the width. ``each`` has the pairs.
    """

    split: str
    metrics: Mapping[str, float]
    baselines: Mapping[str, Mapping[str, float]]
    constant: float
    each: tuple[EvaluatedPair, ...]

    @property
    def images(self) -> int:
        """How many pairs were evaluated."""
        return len(self.each)

    def as_json(self) -> dict[str, Any]:
        """Plain numbers and lists; an undefined metric is null."""
        return {
            "split": self.split,
            "images": self.images,
            "metrics": _plain(self.metrics),
            "baselines": {name: _plain(metrics) for name, metrics in self.baselines.items()},
            "constant": finite_or_none(self.constant),
            "each": [
                {"image": one.name, **{method: _plain(metrics) for method, metrics in one.metrics.items()}}
                for one in self.each
            ],
        }

    def to_console(self) -> Iterator[RenderableType]:
        """The metrics of the network and of the baselines."""
        from convolve.tasks.stereo.report import console_output

        yield from console_output(self)


@final
class PhotometricEvaluator:
    """Gathers the photometric errors of left images, whose normalization it knows, made from right ones."""

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        self._mean, self._std = (np.asarray(each, np.float32) for each in (mean, std))
        self._found: list[tuple[float, float]] = []

    def add(self, predictions: Tensor, batch: Batch) -> None:
        """(N, 2, H, W) disparities of a batch."""
        left = torch.from_numpy(batch.images * self._std + self._mean).permute(0, 3, 1, 2)
        right = _as_tensor(batch.targets.values)  # type: ignore[attr-defined]  # of this task they are arrays
        made = reconstruct(right, predictions[:, 0].cpu())
        errors = (photometric_error(left, each).tolist() for each in (made, right))
        self._found += zip(*errors, strict=True)

    def metrics(self) -> dict[str, float]:
        """The mean, and the fraction by which it is less than that of the right images as they are."""
        reconstructed, unmoved = np.mean(self._found, axis=0).tolist() if self._found else (math.nan, math.nan)
        return {"error_removed": _removed(reconstructed, unmoved), "photometric": reconstructed}


def evaluate(task: Stereo, data: EvaluationData) -> Evaluation:
    """Predict and measure the pairs that can be read: photometric errors at the size of the network's input, those of
    disparities at the image's. Raises `DataError` where there is none.
    """
    from convolve.training.evaluation import evaluation_mode

    pairs: StereoPairs = data.dataset.ground_truths["stereo"]  # type: ignore[assignment]  # `accept` checked it
    constant, found = _median(pairs, data.indices.tolist()), list[EvaluatedPair]()
    with evaluation_mode(task.network):
        for index in data.indices.tolist():
            with suppress(ImageError):
                left, right = data.dataset.images.read(index), pairs.read_right(index)
                target = pairs.read_disparity(index)
                left, right = (fit_input(each, data.preprocessing) for each in (left, right))
                with torch.inference_mode(), data.runtime.arithmetic():
                    normalized = data.runtime.images(normalize(left, data.preprocessing))
                    own = task.predict(normalized)[0, 0].cpu().numpy()
                methods = {NETWORK: own, UNMOVED: np.zeros_like(own)}
                if target is not None:
                    methods[CONSTANT] = np.full_like(own, constant)
                metrics = {method: measure(left, right, each, target) for method, each in methods.items()}
                found.append(EvaluatedPair(data.dataset.images.name(index), index, metrics))
    if not found:
        raise DataError("None of the stereo pairs to evaluate can be read; `convolve data` says why.")
    methods_found = [name for name in (NETWORK, CONSTANT, UNMOVED) if any(name in one.metrics for one in found)]
    means = {name: _means([one.metrics[name] for one in found if name in one.metrics]) for name in methods_found}
    own_means = means.pop(NETWORK)
    removed = {"error_removed": _removed(own_means["photometric"], means[UNMOVED]["photometric"])}
    return Evaluation(data.split, removed | own_means, means, constant, tuple(found))


def fit_input(image: Pixels, preprocessing: Preprocessing) -> Pixels:
    """(1, height, width, C) an image (H, W, 1 or 3) at the size of the network's input."""
    return fit_to_input(to_channels(image, preprocessing.channels), preprocessing)[None]


def reconstruct_left(right: Pixels, fractions: Floats) -> Tensor:
    """(1, C, H, W) the left image with values from 0 to 1, from the right one (1, H, W, C) and its disparities (H, W)
    as fractions of the width.
    """
    return reconstruct(_as_tensor(right), torch.from_numpy(fractions)[None])


def measure(left: Pixels, right: Pixels, fractions: Floats, target: Floats | None) -> dict[str, float]:
    """What disparities (H, W) as fractions of the width are worth: the photometric error of the left image
    (1, H, W, C) made from the right one; and at the pixels where the ``target`` is above 0, of any size and in its
    pixels, the mean absolute error and the fraction of errors above 3; nan where there is none.
    """
    made = reconstruct_left(right, fractions)
    metrics = dict.fromkeys(MEASURED, math.nan) | {"photometric": float(photometric_error(_as_tensor(left), made))}
    if target is not None and (known := target > 0).any():
        errors = np.abs(at_image_size(fractions, (target.shape[0], target.shape[1])) - target)[known]
        metrics |= {"mae": float(errors.mean(dtype=np.float64)), "bad3": float((errors > _OFF).mean())}
    return metrics


def _median(pairs: StereoPairs, indices: Sequence[int]) -> float:
    """The median over the images of the medians of their true disparities, as fractions of the width; else nan."""
    found = list[float]()
    for index in indices:
        with suppress(ImageError):
            target = pairs.read_disparity(index)
            if target is not None and target.any():
                found.append(float(np.median(target[target > 0])) / target.shape[1])
    return float(np.median(found)) if found else math.nan


def _as_tensor(pixels: Pixels) -> Tensor:
    """(N, H, W, C) to (N, C, H, W) with values from 0 to 1."""
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255


def _removed(reconstructed: float, unmoved: float) -> float:
    return 1 - reconstructed / unmoved if unmoved else math.nan


def _means(found: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Of each metric over the images that have it."""
    known = {name: [one[name] for one in found if math.isfinite(one[name])] for name in MEASURED}
    return {name: float(np.mean(values)) if values else math.nan for name, values in known.items()}


def _plain(metrics: Mapping[str, float]) -> dict[str, float | None]:
    return {name: finite_or_none(value) for name, value in metrics.items()}
