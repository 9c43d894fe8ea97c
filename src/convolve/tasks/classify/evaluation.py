"""How good a classifier is on a split: metrics, confusion matrix, each class, calibration."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from convolve.metrics.calibration import RejectThreshold, Reliability, reliability
from convolve.metrics.confusion import (
    ClassMetrics,
    Fractions,
    class_metrics,
    confusion_matrix,
    label_metrics,
    macro_average,
    weighted_average,
)
from convolve.metrics.intervals import Interval, accuracy_interval
from convolve.metrics.ranking import average_precision, nanmean, one_hot, one_vs_rest, roc_auc, top_k_accuracy
from convolve.tasks.classify.confidence import TARGET_ACCURACY, Confidence, apply_temperature
from convolve.tasks.info import finite_or_none
from convolve.values import Floats, Indices

if TYPE_CHECKING:
    from rich.console import RenderableType


_PROPORTIONS = ("accuracy", "top5_accuracy", "exact_match")
"""Metrics that are a fraction of the images."""


@dataclass(frozen=True)
class Predictions:
    """Probabilities ``scores`` (N, classes), ``targets`` (N,) class indices or (N, classes) flags, and the images'
    ``indices`` (N,) in the dataset.
    """

    scores: Floats
    targets: npt.NDArray[Any]
    indices: Indices
    multi_label: bool


@dataclass(frozen=True)
class ClassResults:
    """Class names and the ``metrics`` of each.

    ``matrix`` (C, C), rows true classes, where every image has one class; None where it may carry several labels.
    ``average_precision`` and ``roc_auc`` (C,), one class against the rest, nan where there is none.
    """

    names: tuple[str, ...]
    metrics: ClassMetrics
    matrix: Indices | None
    average_precision: Fractions
    roc_auc: Fractions


@dataclass(frozen=True)
class Calibration:
    """Reliability ``before`` and ``after`` temperature scaling. ``reject`` keeps ``target_accuracy`` on the validation
    split; None where no threshold is known to.
    """

    before: Reliability
    after: Reliability
    temperature: float
    target_accuracy: float
    reject: RejectThreshold | None = None


@dataclass(frozen=True)
class Evaluation:
    """``split`` and its number of ``images``; ``metrics`` by name; the metrics of each class; calibration; and the
    ``predictions`` at temperature 1 behind it all.
    """

    split: str
    images: int
    metrics: Mapping[str, float]
    classes: ClassResults
    calibration: Calibration
    predictions: Predictions = field(repr=False)

    @property
    def intervals(self) -> Mapping[str, Interval]:
        """The 95 % intervals (Wilson 1927) of accuracy, top-5 accuracy and exact match, as far as they are metrics."""
        names = [name for name in _PROPORTIONS if name in self.metrics and self.images]
        return {name: accuracy_interval(round(self.metrics[name] * self.images), self.images) for name in names}

    def as_json(self) -> dict[str, Any]:
        """Plain numbers and lists, an interval as its two ends; an undefined metric is null."""
        own, calibration = self.classes.metrics, self.calibration
        reject = calibration.reject
        columns = {
            "precision": own.precision,
            "recall": own.recall,
            "f1": own.f1,
            "support": own.support,
            "average_precision": self.classes.average_precision,
            "roc_auc": self.classes.roc_auc,
        }
        rows = {
            name: {key: finite_or_none(values[index].item()) for key, values in columns.items()}
            for index, name in enumerate(self.classes.names)
        }
        return {
            "split": self.split,
            "images": self.images,
            "metrics": {name: finite_or_none(value) for name, value in self.metrics.items()},
            "intervals": {name: list(interval) for name, interval in self.intervals.items()},
            "classes": rows,
            "confusion": None if self.classes.matrix is None else self.classes.matrix.tolist(),
            "calibration": {
                "ece": finite_or_none(calibration.before.error),
                "ece_with_temperature": finite_or_none(calibration.after.error),
                "temperature": calibration.temperature,
                "target_accuracy": calibration.target_accuracy,
                "reject": {**dataclasses.asdict(reject), "interval": list(reject.interval)} if reject else None,
            },
        }

    def to_console(self) -> Iterator[RenderableType]:
        """Headline metrics, the confusion matrix where it is small enough to print, and the metrics of each class."""
        from convolve.tasks.classify.report import console_output

        yield from console_output(self)


def measure(predictions: Predictions) -> dict[str, float]:
    """Accuracy, top-5 accuracy and macro F1; multi-label: mean average precision, ROC AUC and exact matches."""
    scores, targets = predictions.scores, predictions.targets
    if predictions.multi_label:
        present = targets.astype(bool)
        return {
            "average_precision": nanmean(one_vs_rest(average_precision, scores, present)),
            "roc_auc": nanmean(one_vs_rest(roc_auc, scores, present)),
            "exact_match": float(((scores >= 0.5) == present).all(1).mean()),
        }
    classes = targets.astype(np.int64)
    found = {"accuracy": top_k_accuracy(scores, classes, 1)}
    if scores.shape[1] > 5:
        found["top5_accuracy"] = top_k_accuracy(scores, classes, 5)
    own = class_metrics(confusion_matrix(classes, scores.argmax(1), scores.shape[1]))
    return found | {"macro_f1": macro_average(own).f1}


def evaluate(names: tuple[str, ...], split: str, predictions: Predictions, confidence: Confidence) -> Evaluation:
    """Every metric of a split, from predictions at temperature 1, and its calibration by ``confidence``."""
    scores, targets = predictions.scores, predictions.targets
    if predictions.multi_label:
        flags, matrix = targets.astype(bool), None
        own = label_metrics(flags, scores >= 0.5)
    else:
        flags = one_hot(targets.astype(np.int64), len(names))
        matrix = confusion_matrix(targets.astype(np.int64), scores.argmax(1), len(names))
        own = class_metrics(matrix)
    averages = {
        f"{kind}_{name}": value
        for kind, mean in (("macro", macro_average(own)), ("weighted", weighted_average(own)))
        for name, value in dataclasses.asdict(mean).items()
    }
    precisions, areas = (one_vs_rest(metric, scores, flags) for metric in (average_precision, roc_auc))
    classes = ClassResults(names, own, matrix, precisions, areas)
    calibrated = apply_temperature(scores, confidence.temperature, predictions.multi_label)
    calibration = Calibration(
        before=reliability(*_confidence_and_hits(scores, predictions)),
        after=reliability(*_confidence_and_hits(calibrated, predictions)),
        temperature=confidence.temperature,
        target_accuracy=TARGET_ACCURACY,
        reject=confidence.reject,
    )
    metrics = measure(predictions) | averages
    return Evaluation(split, len(predictions.indices), metrics, classes, calibration, predictions)


def _confidence_and_hits(scores: Floats, predictions: Predictions) -> tuple[Floats, Any]:
    """Of each image, or for multi-label of each of its labels."""
    if predictions.multi_label:
        return scores.reshape(-1), predictions.targets.reshape(-1).astype(bool)
    return scores.max(1), scores.argmax(1) == predictions.targets
