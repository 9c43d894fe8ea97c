"""A run's `report.html`: what was measured, the pictures behind it, and everything that decided the training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from convolve.reports.page import write_report
from convolve.reports.report import Example, Headline
from convolve.reports.thumbnails import choose, examples, worst
from convolve.tasks.classify.evaluation import Evaluation
from convolve.tasks.pages import begun
from convolve.training.run import Run
from convolve.values import Dataset, Scored


def report(place: Path, run: Run, dataset: Dataset, evaluation: Evaluation) -> None:
    """Write a page about one evaluation of a run. Raises `ConvolveError` when that fails."""
    pictures, mistakes = _pictures(dataset, evaluation.scored)
    page = begun(run, evaluation, evaluation.classes, _headlines(evaluation))
    write_report(place, replace(page, calibration=evaluation.calibration, examples=pictures, mistakes=mistakes))


def _headlines(evaluation: Evaluation) -> tuple[Headline, ...]:
    figures, split = evaluation.figures, evaluation.split
    names = {
        "accuracy": f"{split.capitalize()} accuracy",
        "average_precision": "Mean average precision",
        "top5_accuracy": "Top-5 accuracy",
        "macro_f1": "Macro F1",
        "roc_auc": "ROC AUC",
    }
    found = [Headline(label, f"{figures[name]:.1%}") for name, label in names.items() if name in figures]
    return (*found, Headline("Calibration error", f"{evaluation.calibration.before.error:.1%}", "expected, 15 bins"))


def _pictures(dataset: Dataset, scored: Scored) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    """The pictures behind the confusion matrix's cells, and the worst mistakes."""
    images, multiple = dataset.images.take(scored.indices), dataset.labels.multiple
    confidence = scored.scores.max(1)
    truth: Any = scored.targets
    predicted: Any = scored.scores >= 0.5 if multiple else scored.scores.argmax(1)
    wrong = worst(truth.astype(bool) if multiple else truth, predicted, confidence)
    mistakes = examples(images, wrong, truth, predicted, confidence, 160)
    if multiple:
        return (), mistakes
    return examples(images, choose(truth, predicted, confidence), truth, predicted, confidence), mistakes
