"""A task of somebody else's: the mean color of an image, a regression. It uses nothing but what any task may use."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from rich.console import RenderableType
from torch import Tensor

from convolve.datasets.preprocess import fit_to_input, least_side, normalize
from convolve.explainers.explanation_targets import ExplanationTargets
from convolve.explainers.score_targets import ClassScore
from convolve.models import Card, Network
from convolve.reports.report import Headline, Section
from convolve.runtime import Runtime
from convolve.targets import ArrayTargets
from convolve.tasks.info import TaskInfo
from convolve.tasks.task import EvaluationData, Task
from convolve.training.defaults import Choice, Facts
from convolve.training.evaluation import evaluation_mode
from convolve.values import (
    Batch,
    Dataset,
    Flags,
    Floats,
    GroundTruth,
    GroundTruthFindings,
    Images,
    Indices,
    Pixels,
    Placement,
    Preprocessing,
    Splits,
    Targets,
)

CHANNELS = ("red", "green", "blue")


@dataclass(frozen=True)
class MeanColorOptions:
    """Options in training."""

    power: float | None = None
    """Power of the absolute error in the loss."""


@dataclass(frozen=True)
class MeanColorPredictOptions:
    """Options in prediction."""

    digits: int = 3
    """Decimal places of each channel; 3 by default."""


@final
@dataclass(frozen=True, eq=False)
class MeanColors:
    """A ground truth without classes: (N, 3) values from 0 to 1."""

    values: Floats

    @property
    def classes(self) -> tuple[str, ...]:
        return ()

    @property
    def covers(self) -> Flags:
        return np.ones(len(self.values), dtype=bool)

    @property
    def findings(self) -> GroundTruthFindings:
        return GroundTruthFindings()

    def __len__(self) -> int:
        return len(self.values)

    def presence(self) -> Flags:
        return np.zeros((len(self.values), 0), dtype=bool)

    def digest(self, index: int) -> bytes:
        return hashlib.blake2b(self.values[index].tobytes(), digest_size=16).digest()

    def take(self, indices: Indices) -> MeanColors:
        return MeanColors(self.values[indices])

    def with_classes(self, names: Sequence[str]) -> MeanColors:
        del names
        return self

    def targets(self, indices: Indices, placement: Placement) -> ArrayTargets:
        del placement
        return ArrayTargets(self.values[indices])

    def draw(self, images: Pixels, targets: Targets) -> tuple[Pixels, list[str]]:
        assert isinstance(targets, ArrayTargets)
        return images, [as_text(row) for row in targets.values]


@dataclass(frozen=True)
class ColorEvaluation:
    """The mean absolute error, and the fraction of the variance that is explained."""

    split: str
    images: int
    metrics: Mapping[str, float]
    rows: tuple[tuple[str, str, str], ...]

    def as_json(self) -> dict[str, Any]:
        return {"split": self.split, "images": self.images, "metrics": dict(self.metrics)}

    def to_console(self) -> Iterator[RenderableType]:
        yield f"{self.split} R² {self.metrics['r2']:.3f}"


@dataclass(frozen=True)
class ColorPrediction:
    """The color of one image."""

    image: str
    color: str = ""
    error: str = ""
    overlay: str = ""

    def cells(self) -> Mapping[str, str]:
        return {"image": self.image, "color": self.color}

    def entries(self) -> Sequence[Mapping[str, str]]:
        return [{"image": self.image, "color": self.color, "error": self.error}]

    def as_json(self) -> dict[str, Any]:
        return {"image": self.image, "color": self.color, "error": self.error}


class ColorEvaluator:
    """Gathers predictions and targets."""

    def __init__(self) -> None:
        self.predicted: list[Floats] = []
        self.true: list[Floats] = []
        self.indices: list[Indices] = []

    def add(self, predictions: Tensor, batch: Batch) -> None:
        assert isinstance(batch.targets, ArrayTargets)
        self.predicted.append(predictions.float().cpu().numpy())
        self.true.append(batch.targets.values)
        self.indices.append(batch.indices)

    def metrics(self) -> dict[str, float]:
        predicted, true = np.concatenate(self.predicted), np.concatenate(self.true)
        residual, total = ((predicted - true) ** 2).sum(), ((true - true.mean(0)) ** 2).sum()
        return {"r2": float(1 - residual / total), "mean_absolute_error": float(np.abs(predicted - true).mean())}


@final
@dataclass
class MeanColor(Task):
    """Three sigmoids, one for each channel."""

    network: Network
    power: float = 2.0

    info = TaskInfo(
        name="mean-color",
        title="Mean color",
        output="image",
        ground_truth="mean_colors",
        options=MeanColorOptions,
        predict_options=MeanColorPredictOptions,
        metric_titles={"r2": "R²", "mean_absolute_error": "mean absolute error"},
    )
    monitored = "r2"
    classes = ()

    @classmethod
    def accept(cls, dataset: Dataset, options: MeanColorOptions) -> Dataset:
        del options
        values = np.array([_mean_color(dataset.images, index) for index in range(len(dataset))], dtype=np.float32)
        return replace(dataset, ground_truths={**dataset.ground_truths, "mean_colors": MeanColors(values)})

    @classmethod
    def defaults(
        cls, known: Mapping[str, object], facts: Facts, card: Card, ground_truth: GroundTruth
    ) -> Iterator[Choice]:
        del known, facts, card, ground_truth
        yield "power", 2.0, "the mean squared error"

    @classmethod
    def outputs(cls, ground_truth: MeanColors, card: Card) -> int:
        del ground_truth, card
        return len(CHANNELS)

    @classmethod
    def build(
        cls,
        network: Network,
        ground_truth: MeanColors,
        options: MeanColorOptions,
        splits: Splits,
        preprocessing: Preprocessing,
    ) -> MeanColor:
        del ground_truth, splits, preprocessing
        return cls(network, options.power or 2.0)

    @classmethod
    def restore(cls, network: Network, state: Mapping[str, Any]) -> MeanColor:
        return cls(network, state["power"])

    def state(self) -> dict[str, Any]:
        return {"power": self.power}

    def with_network(self, network: Network) -> MeanColor:
        return replace(self, network=network)

    def loss(self, images: Tensor, targets: Tensor, random: torch.Generator | None) -> dict[str, Tensor]:
        del random
        return {"loss": ((self.predict(images) - targets).abs() ** self.power).mean()}

    def predict(self, images: Tensor) -> Tensor:
        outputs: Tensor = self.network(images)
        return outputs.float().sigmoid()

    def evaluator(self) -> ColorEvaluator:
        return ColorEvaluator()

    def conform(self, dataset: Dataset) -> Dataset:
        return dataset

    def evaluate(self, data: EvaluationData) -> ColorEvaluation:
        evaluator = self.evaluator()
        with evaluation_mode(self.network), torch.inference_mode(), data.runtime.arithmetic():
            for batch in data.batches.epoch(0):
                evaluator.add(self.predict(data.runtime.images(batch.images)), batch)
        names = [data.dataset.images.name(index) for index in np.concatenate(evaluator.indices).tolist()]
        columns = map(as_text, np.concatenate(evaluator.true)), map(as_text, np.concatenate(evaluator.predicted))
        rows = tuple(zip(names, *columns, strict=True))
        return ColorEvaluation(data.split, len(names), evaluator.metrics(), rows)

    def predictor(
        self, preprocessing: Preprocessing, runtime: Runtime, options: MeanColorPredictOptions
    ) -> ColorPredictor:
        return ColorPredictor(self, preprocessing, runtime, options)

    def report(
        self, evaluation: ColorEvaluation, dataset: Dataset, preprocessing: Preprocessing, runtime: Runtime
    ) -> tuple[tuple[Headline, ...], tuple[Section, ...]]:
        del dataset, preprocessing, runtime
        template = ("tests.tasks", "mean_color.html.j2")
        section = Section("colors", "True and predicted colors", template, {"rows": evaluation.rows})
        return (Headline("R²", f"{evaluation.metrics['r2']:.3f}"),), (section,)

    def explanation_targets(
        self, inputs: Tensor, sizes: Indices, classes: Sequence[int], preprocessing: Preprocessing
    ) -> ExplanationTargets:
        del sizes, preprocessing
        assert not classes
        with torch.inference_mode():
            predicted = self.predict(inputs).cpu().numpy()
        count = len(predicted)
        return ExplanationTargets(
            predictions=tuple(map(as_text, predicted)),
            confidences=None,
            names=(CHANNELS,) * count,
            scores=predicted,
            targets=tuple(ClassScore(torch.full((count,), index)) for index in range(len(CHANNELS))),
        )

    def probabilities(self, inputs: Tensor) -> Tensor:
        return self.predict(inputs)


@dataclass(frozen=True)
class ColorPredictor:
    """Predicts images one by one."""

    task: MeanColor
    preprocessing: Preprocessing
    runtime: Runtime
    options: MeanColorPredictOptions
    batch_size: int = 4

    def read(self, images: Images, index: int) -> Pixels:
        return fit_to_input(images.read(index, least_side(self.preprocessing)), self.preprocessing)

    def predict(self, names: Sequence[str], inputs: Sequence[Pixels]) -> Iterator[ColorPrediction]:
        images = self.runtime.images(normalize(np.stack(inputs), self.preprocessing))
        with torch.inference_mode(), self.runtime.arithmetic():
            predicted = self.task.predict(images).cpu().numpy()
        for name, row in zip(names, predicted, strict=True):
            yield ColorPrediction(name, as_text(row, self.options.digits))

    def unreadable(self, name: str, error: str) -> ColorPrediction:
        return ColorPrediction(name, error=error)

    def total(self, predictions: Sequence[ColorPrediction]) -> Mapping[str, str]:
        del predictions
        return {}

    def finish(self, predictions: Sequence[ColorPrediction]) -> Path | None:
        del predictions
        return None


def as_text(color: Floats, digits: int = 3) -> str:
    """Red, green and blue."""
    return " ".join(f"{value:.{digits}f}" for value in color.tolist())


def _mean_color(images: Images, index: int) -> Floats:
    pixels = np.broadcast_to(images.read(index), (*images.read(index).shape[:2], 3))
    return np.asarray(pixels.mean((0, 1)) / 255, dtype=np.float32)
