"""How good depth maps are: metrics of whole images, next to those of a constant, and the error by distance."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, final

import numpy as np
import numpy.typing as npt
from torch import Tensor

from convolve.datasets.parallel import in_order, reader_threads
from convolve.errors import DataError, ImageError
from convolve.metrics.depth import DEPTH_METRICS, depth_metrics
from convolve.tasks.info import finite_or_none
from convolve.values import Batch, Floats, Pixels

if TYPE_CHECKING:
    from rich.console import RenderableType

    from convolve.tasks.depth.task import Depth
    from convolve.tasks.task import EvaluationData

_Numbers = npt.NDArray[np.float64]
NETWORK, SCALED, CONSTANT = "network", "network, scaled by the median", "constant median"
_STEPS = 2
"""Ranges of distance in an octave."""
_LEAST, _MOST = -20, 40
"""Octaves of a meter between which ranges of distance are told apart: from 1 µm on."""


@dataclass(frozen=True)
class EvaluatedImage:
    """An image's name and index in the dataset, and its metrics by method."""

    name: str
    index: int
    metrics: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class DistanceRange:
    """The pixels whose true depth is from ``start`` to ``end`` meters, the mean absolute error of these in meters, and
    its mean ratio to the true depth, the latter also of the constant.
    """

    start: float
    end: float
    pixels: int
    error: float
    abs_rel: float
    constant_abs_rel: float


@dataclass(frozen=True)
class Evaluation:
    """The mean ``metrics`` over the images, each of the pixels whose depth is known; ``baselines`` have the same of a
    prediction multiplied by what makes its median right in each image, and of the ``constant``, the median depth of
    the training split in meters. ``ranges`` are those of distance that occur, ``each`` has the images.
    """

    split: str
    metrics: Mapping[str, float]
    baselines: Mapping[str, Mapping[str, float]]
    constant: float
    ranges: tuple[DistanceRange, ...]
    each: tuple[EvaluatedImage, ...]

    @property
    def images(self) -> int:
        """How many images were evaluated."""
        return len(self.each)

    def as_json(self) -> dict[str, Any]:
        """Plain numbers and lists; an undefined metric is null."""
        return {
            "split": self.split,
            "images": self.images,
            "metrics": _plain(self.metrics),
            "baselines": {name: _plain(metrics) for name, metrics in self.baselines.items()},
            "constant": self.constant,
            "ranges": [vars(each) for each in self.ranges],
            "each": [
                {"image": one.name, **{method: _plain(metrics) for method, metrics in one.metrics.items()}}
                for one in self.each
            ],
        }

    def to_console(self) -> Iterator[RenderableType]:
        """The metrics of the network and of the baselines."""
        from convolve.tasks.depth.report import console_output

        yield from console_output(self)


@final
class InputEvaluator:
    """Gathers the metrics of the network's inputs, each as a whole."""

    def __init__(self) -> None:
        self._found: list[dict[str, float]] = []

    def add(self, predictions: Tensor, batch: Batch) -> None:
        """(N, H, W) meters of a batch."""
        targets = batch.targets.values  # type: ignore[attr-defined]  # of this task they are arrays
        for target, depth in zip(targets, predictions.float().cpu().numpy(), strict=True):
            known = target > 0
            if known.any():
                self._found.append(depth_metrics(depth[known], target[known]))

    def metrics(self) -> dict[str, float]:
        """The means over the images with any pixel of known depth."""
        return _means(self._found)


def evaluate(task: Depth, data: EvaluationData) -> Evaluation:
    """Predict and measure whole images that can be read. Raises `DataError` where there is none."""
    from convolve.tasks.depth.predictor import TOGETHER, predict_images
    from convolve.training.evaluation import evaluation_mode

    images, maps = data.dataset.images, data.dataset.ground_truths["depth"]

    def read(index: int) -> tuple[int, Pixels, Floats] | None:
        with suppress(ImageError):
            return index, images.read(index), maps.read(index)  # type: ignore[attr-defined]  # `accept` checked it
        return None

    def predicted() -> Iterator[tuple[int, Floats, Floats]]:
        with evaluation_mode(task.network):
            readable = filter(None, in_order(read, data.indices.tolist(), reader_threads()))
            while some := list(islice(readable, TOGETHER)):
                depths = predict_images([image for _, image, _ in some], task, data.runtime, data.preprocessing)
                for (index, _, target), depth in zip(some, depths, strict=True):
                    yield index, target, depth

    return measure_depths(data.split, task.center, data.dataset.images.name, predicted())


def measure_depths(
    split: str, constant: float, name: Callable[[int], str], depths: Iterable[tuple[int, Floats, Floats]]
) -> Evaluation:
    """Every metric of images, given by index with their true and their predicted depths (H, W) in meters; ``name``
    gives that of an index. Raises `DataError` where no pixel's depth is known.
    """
    found: list[EvaluatedImage] = []
    sums = np.zeros((4, _STEPS * (_MOST - _LEAST)))
    for index, target, depth in depths:
        known = target > 0
        if known.any():
            true, own = target[known].astype(np.float64), depth[known].astype(np.float64)
            scaled = own * (np.median(true) / np.median(own))
            methods = {NETWORK: own, SCALED: scaled, CONSTANT: np.full_like(true, constant)}
            metrics = {method: depth_metrics(values, true) for method, values in methods.items()}
            found.append(EvaluatedImage(name(index), index, metrics))
            sums += _sums_by_distance(true, own, constant)
    if not found:
        raise DataError("None of the images to evaluate has a pixel of known depth; `convolve data` says why.")
    means = {method: _means([one.metrics[method] for one in found]) for method in found[0].metrics}
    return Evaluation(split, means.pop(NETWORK), means, constant, tuple(_ranges(sums)), tuple(found))


def _sums_by_distance(true: _Numbers, found: _Numbers, constant: float) -> _Numbers:
    """(4, ranges) pixels, and sums of the error, its ratio to the depth, and the constant's."""
    count = _STEPS * (_MOST - _LEAST)
    steps = np.floor(_STEPS * (np.log2(true) - _LEAST)).astype(np.int64).clip(0, count - 1)
    error = np.abs(found - true)
    values = (np.ones_like(true), error, error / true, np.abs(constant - true) / true)
    return np.stack([np.bincount(steps, each, minlength=count) for each in values])


def _ranges(sums: _Numbers) -> Iterator[DistanceRange]:
    for step, (pixels, *values) in enumerate(sums.T):
        if pixels:
            start, end = (2 ** (each / _STEPS + _LEAST) for each in (step, step + 1))
            yield DistanceRange(start, end, int(pixels), *(float(value / pixels) for value in values))


def _means(found: Sequence[Mapping[str, float]]) -> dict[str, float]:
    if not found:
        return dict.fromkeys(DEPTH_METRICS, math.nan)
    return {name: float(np.mean([one[name] for one in found])) for name in DEPTH_METRICS}


def _plain(metrics: Mapping[str, float]) -> dict[str, float | None]:
    return {name: finite_or_none(value) for name, value in metrics.items()}
