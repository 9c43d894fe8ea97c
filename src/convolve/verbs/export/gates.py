"""What an export is measured by before it is written: parity with the run, speed, and its metrics."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch

from convolve.datasets.images import to_channels
from convolve.datasets.parallel import in_order
from convolve.datasets.preprocess import fit_to_input, least_side, normalize
from convolve.errors import ExportError, ImageError
from convolve.interop.exportable import Apply, ExportedNetwork
from convolve.progress import Listener, Pace
from convolve.runtime import Runtime, describe_machine
from convolve.tasks.task import Evaluation, EvaluationData, TaskExport
from convolve.values import Images, Pixels, Preprocessing

PARITY_IMAGES = 64
"""How many images the export is held against the run on, all where there are fewer."""
BATCHES = (1, 16)
"""Numbers of images that are timed together."""
_ROUNDS, _ENOUGH_SECONDS = 5, 3.0


@dataclass(frozen=True)
class Parity:
    """How far an export's answers are from the run's, over all ``images`` compared; see `AnswerDifference`.

    ``gray_levels`` are how far the input's pixels are apart, on average and at most, because the run decodes a large
    JPEG at half its size or less and the export is given all of it. ``view_pixels`` are the most pixels of an image as
    a network sees it that takes any size.
    """

    images: int
    answers: int
    changed: int
    largest_difference: float
    largest_shift: float | None
    tolerance: float
    gray_levels: tuple[float, float] = (0.0, 0.0)
    view_pixels: int = 0

    @property
    def fraction(self) -> float:
        """Of the answers, those that are others."""
        return self.changed / max(self.answers, 1)

    @property
    def held(self) -> bool:
        """Whether no more answers are others than may be."""
        return self.fraction <= self.tolerance

    def as_json(self) -> dict[str, Any]:
        """By the fields' names, with `fraction`."""
        return {**asdict(self), "gray_levels": list(self.gray_levels), "fraction": self.fraction}


@dataclass(frozen=True)
class Speed:
    """Medians in milliseconds of a batch of images of the input's size, of the run in PyTorch and of the export."""

    batch: int
    torch: float
    export: float

    @property
    def ratio(self) -> float:
        """How many times as fast the export is."""
        return self.torch / self.export

    def as_json(self) -> dict[str, float]:
        """By the fields' names, with `ratio`."""
        return {**asdict(self), "ratio": self.ratio}


@dataclass(frozen=True, eq=False)
class RunAnswers:
    """The run's answers for some images of a split by index, computed once for every export that is tried."""

    task: TaskExport
    data: EvaluationData
    listener: Listener
    found: dict[int, Any] = field(default_factory=dict)
    gray_levels: list[tuple[float, float]] = field(default_factory=list)

    @classmethod
    def of(cls, task: TaskExport, data: EvaluationData, listener: Listener) -> RunAnswers:
        """Of `PARITY_IMAGES` from all over the split. Raises `ExportError` where none can be read."""
        answers = cls(task, data, listener)
        count = min(PARITY_IMAGES, len(data.indices))
        chosen = data.indices[np.linspace(0, len(data.indices) - 1, count).round().astype(np.int64)]
        pace = Pace(listener, "answers of the run", count, "images")
        images = data.dataset.images
        for done, index in enumerate(chosen.tolist(), 1):
            try:
                answers.found[index] = task.predict(images, index)
                same = task.part.own_size or data.preprocessing.fit == "tiles"
                answers.gray_levels.append(
                    (0.0, 0.0) if same else _decoding_difference(images, index, data.preprocessing)
                )
            except ImageError:
                continue
            pace(done)
        if not answers.found:
            raise ExportError(f"None of the {data.split} images of {data.dataset.root} can be read; pass other --data.")
        return answers

    def compare(self, network: ExportedNetwork, tolerance: float) -> Parity:
        """Hold an export against the run."""
        own = self.data
        differences = [
            self.task.compare(self.found[index], answer)
            for index, answer in export_answers(
                self.task, network, own, list(self.found), self.listener, self.task.part.apply
            )
        ]
        shifts = [each.shift for each in differences if each.shift is not None]
        gray_levels = np.array(self.gray_levels)
        return Parity(
            images=len(differences),
            answers=sum(each.answers for each in differences),
            changed=sum(each.changed for each in differences),
            largest_difference=max(each.largest for each in differences),
            largest_shift=max(shifts) if shifts else None,
            tolerance=tolerance,
            gray_levels=(float(gray_levels[:, 0].mean()), float(gray_levels[:, 1].max())),
            view_pixels=max(each.view_pixels for each in differences),
        )


def evaluate_export(task: TaskExport, network: ExportedNetwork, data: EvaluationData, listener: Listener) -> Evaluation:
    """Every metric of a split, with the export."""
    apply = task.part.measure or task.part.apply
    return task.evaluate(data, export_answers(task, network, data, data.indices.tolist(), listener, apply))


def export_answers(
    task: TaskExport,
    network: ExportedNetwork,
    data: EvaluationData,
    indices: list[int],
    listener: Listener,
    apply: Apply | None,
) -> Iterator[tuple[int, Any]]:
    """The export's answer for each image that can be read, by index, each as it is and at its own size, or as ``apply``
    has it.
    """
    images, channels = data.dataset.images, data.preprocessing.channels

    def read(index: int) -> Pixels | None:
        try:
            image = images.read(index)
            return image if apply else np.ascontiguousarray(to_channels(image, channels)[None])
        except ImageError:
            return None

    pace = Pace(listener, "answers of the export", len(indices), "images")
    for done, (index, pixels) in enumerate(zip(indices, in_order(read, indices), strict=True), 1):
        if pixels is not None:
            yield index, task.answer(apply(network, pixels) if apply else network(pixels))
        pace(done)


def measure_speed(
    task: TaskExport, network: ExportedNetwork, preprocessing: Preprocessing, runtime: Runtime
) -> list[Speed]:
    """The run in PyTorch, as its runtime runs it from normalized images on, and the export from images as they are,
    one after the other in turn.
    """
    module, size = task.part.module.eval(), (preprocessing.height, preprocessing.width, preprocessing.channels)

    def in_torch(images: Pixels) -> None:
        with torch.inference_mode(), runtime.arithmetic():
            module(runtime.images(normalize(images, preprocessing)))
        if runtime.device.startswith("cuda"):
            torch.cuda.synchronize(runtime.device)

    found = []
    for batch in BATCHES:
        images = np.random.default_rng(0).integers(0, 256, (batch, *size), dtype=np.uint8)
        rounds = seconds_in_turn([in_torch, network], images, _ROUNDS)
        found.append(Speed(batch, *[1000 * statistics.median(column) for column in zip(*rounds, strict=True)]))
    return found


def seconds_in_turn(
    functions: Sequence[Callable[[Pixels], object]], images: Pixels, most_rounds: int
) -> list[list[float]]:
    """Rounds of the seconds that each function takes for the same images: one function after the other, so that
    whatever else the machine does slows all of them.
    """
    for function in functions:
        function(images)
    rounds: list[list[float]] = []
    while len(rounds) < most_rounds and (len(rounds) < 1 or np.sum(rounds) < _ENOUGH_SECONDS):
        rounds.append([_seconds(function, images) for function in functions])
    return rounds


def speed_as_json(speeds: list[Speed], runtime: Runtime) -> dict[str, Any]:
    """The medians with where they were measured."""
    return {
        "batches": [speed.as_json() for speed in speeds],
        "threads": runtime.threads,
        "torch_precision": runtime.precision,
        "processor": describe_machine()["processor"],
    }


def _seconds(function: Callable[[Pixels], object], images: Pixels) -> float:
    began = time.perf_counter()
    function(images)
    return time.perf_counter() - began


def _decoding_difference(images: Images, index: int, preprocessing: Preprocessing) -> tuple[float, float]:
    """How far an input's pixels are apart, on average and at most, when a JPEG is decoded smaller and when not."""
    encoded = images.open(index)
    views = [encoded.decode(least_side(preprocessing)), encoded.decode()]
    if views[0].shape == views[1].shape:
        return 0.0, 0.0
    small, full = (fit_to_input(view, preprocessing).astype(np.int64) for view in views)
    apart = np.abs(small - full)
    return float(apart.mean()), float(apart.max())
