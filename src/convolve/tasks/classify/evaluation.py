"""How good a classifier is on a split: figures, confusion, calibration, and from which confidence on to believe it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from convolve.datasets.batches import Batches
from convolve.metrics.calibration import (
    RejectThreshold,
    fit_temperature,
    reject_threshold,
    reliability,
    softmax_with_temperature,
)
from convolve.metrics.confusion import class_metrics, confusion_matrix, label_metrics, macro_average, weighted_average
from convolve.metrics.ranking import average_precision, one_hot, one_vs_rest, roc_auc
from convolve.reports.report import Calibration, Classes
from convolve.runtime import Runtime
from convolve.tasks.classify.learning import Classify
from convolve.training.scoring import answers, joined
from convolve.values import Dataset, Floats, Indices, Preprocessing, Scored

WANTED_ACCURACY = 0.99
_SMALLEST = 1e-12


@dataclass(frozen=True)
class Evaluation:
    """``split`` and its number of ``images``; ``figures`` by name; every class's own; how far confidence is right; and
    what it was measured from, ``scored`` at temperature 1.
    """

    split: str
    images: int
    figures: Mapping[str, float]
    classes: Classes
    calibration: Calibration
    scored: Scored = field(repr=False)

    def as_json(self) -> dict[str, Any]:
        """Plain numbers and lists; a figure that does not exist is null."""
        own, calibration = self.classes.figures, self.calibration
        columns = {
            "precision": own.precision,
            "recall": own.recall,
            "f1": own.f1,
            "support": own.support,
            "average_precision": self.classes.average_precision,
            "roc_auc": self.classes.roc_auc,
        }
        rows = {
            name: {key: _plain(values[place].item()) for key, values in columns.items() if values is not None}
            for place, name in enumerate(self.classes.names)
        }
        return {
            "split": self.split,
            "images": self.images,
            "figures": {name: _plain(value) for name, value in self.figures.items()},
            "classes": rows,
            "confusion": None if self.classes.matrix is None else self.classes.matrix.tolist(),
            "calibration": {
                "ece": _plain(calibration.before.error),
                "ece_with_temperature": _plain(calibration.after.error) if calibration.after else None,
                "temperature": calibration.temperature,
                "wanted_accuracy": calibration.wanted,
                "reject": dataclasses.asdict(calibration.reject) if calibration.reject else None,
            },
        }


@dataclass(frozen=True)
class Trust:
    """What the validation split says of confidence: the temperature that corrects it, and where to begin to believe it.

    ``reject`` is None where no threshold reaches `WANTED_ACCURACY`, or an image may carry several labels.
    """

    temperature: float = 1.0
    reject: RejectThreshold | None = None


def conclude(task: Classify, validation: Iterable[Scored]) -> dict[str, Any]:
    """`temperature` and `reject`, fitted on the validation split's batches, scored at temperature 1."""
    return dataclasses.asdict(trust(task, joined(validation)))


def evaluate(task: Classify, split: str, parts: Iterable[Scored], results: Mapping[str, Any]) -> Evaluation:
    """Measure a split from its batches, scored at temperature 1; ``results`` hold what `conclude` found."""
    return judged(task, split, joined(parts), trust_from(results))


def measured(
    task: Classify, dataset: Dataset, part: Indices, batches: Batches, preprocessing: Preprocessing, runtime: Runtime
) -> Iterator[Scored]:
    """A split's batches, scored at temperature 1."""
    del dataset, part, preprocessing
    yield from answers(dataclasses.replace(task, temperature=1.0), batches.epoch(0), runtime)


def trust(task: Classify, validation: Scored) -> Trust:
    """Fit both on the validation split, scored at temperature 1."""
    if task.multiple:
        return Trust(fit_temperature(_pairs(validation.scores), validation.targets.reshape(-1).astype(np.int64)))
    truth = validation.targets.astype(np.int64)
    temperature = fit_temperature(_logarithms(validation.scores), truth)
    return Trust(temperature, reject_threshold(_warmed(task, validation.scores, temperature), truth, WANTED_ACCURACY))


def trust_from(document: Mapping[str, Any]) -> Trust:
    """What `dataclasses.asdict` made of a `Trust`, among other entries, as the value again."""
    reject = document.get("reject")
    return Trust(float(document.get("temperature", 1.0)), RejectThreshold(**reject) if reject else None)


def judged(task: Classify, split: str, scored: Scored, trusted: Trust) -> Evaluation:
    """Every figure of a split, scored at temperature 1, and how far what ``trusted`` says of confidence holds there."""
    figures = task.measure(scored.scores, scored.targets)
    if task.multiple:
        flags = scored.targets.astype(bool)
        predicted = scored.scores >= 0.5
        own, matrix = label_metrics(flags, predicted), None
    else:
        truth = scored.targets.astype(np.int64)
        flags = one_hot(truth, len(task.classes))
        matrix = confusion_matrix(truth, scored.scores.argmax(1), len(task.classes))
        own = class_metrics(matrix)
    averages = {
        f"{kind}_{name}": value
        for kind, mean in (("macro", macro_average(own)), ("weighted", weighted_average(own)))
        for name, value in dataclasses.asdict(mean).items()
    }
    precisions, areas = (one_vs_rest(figure, scored.scores, flags) for figure in (average_precision, roc_auc))
    classes = Classes(tuple(task.classes), own, matrix, precisions, areas)
    calibration = _calibration(task, scored, trusted)
    return Evaluation(split, len(scored.indices), figures | averages, classes, calibration, scored)


def _calibration(task: Classify, scored: Scored, trusted: Trust) -> Calibration:
    warmed = _warmed(task, scored.scores, trusted.temperature)
    return Calibration(
        before=reliability(*_confidence(task, scored.scores, scored)),
        after=reliability(*_confidence(task, warmed, scored)),
        temperature=trusted.temperature,
        wanted=WANTED_ACCURACY,
        reject=trusted.reject,
    )


def _confidence(task: Classify, scores: Floats, scored: Scored) -> tuple[Floats, Any]:
    if task.multiple:
        return scores.reshape(-1), scored.targets.reshape(-1).astype(bool)
    return scores.max(1), scores.argmax(1) == scored.targets


def _warmed(task: Classify, scores: Floats, temperature: float) -> Floats:
    if task.multiple:
        warmed = softmax_with_temperature(_pairs(scores), temperature)[:, 1].reshape(scores.shape)
    else:
        warmed = softmax_with_temperature(_logarithms(scores), temperature)
    return warmed.astype(np.float32)


def _logarithms(scores: Floats) -> Floats:
    return np.log(np.maximum(scores, _SMALLEST))


def _pairs(scores: Floats) -> Floats:
    """(N, C) probabilities of labels to (N C, 2) pairs of 0 and logit."""
    flat = scores.reshape(-1).astype(np.float64).clip(_SMALLEST, 1 - _SMALLEST)
    return np.stack([np.zeros_like(flat), np.log(flat / (1 - flat))], 1).astype(np.float32)


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None
