"""A run's `report.html`: what was measured, the pictures behind it, and everything that decided the training."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np

from convolve import __version__
from convolve.options import to_sections
from convolve.reports.page import write_report
from convolve.reports.report import Epoch, Example, Headline, Report, Training, sections
from convolve.reports.thumbnails import choose, examples, worst
from convolve.tasks.classify.evaluation import Evaluation
from convolve.training.run import Run
from convolve.values import Dataset, Scored


def report(place: Path, run: Run, dataset: Dataset, evaluation: Evaluation) -> None:
    """Write a page about one evaluation of a run. Raises `ConvolveError` when that fails."""
    manifest, recipe = run.manifest, run.recipe
    pictures, mistakes = _pictures(dataset, evaluation.scored)
    write_report(
        place,
        Report(
            title=f"{recipe.network} on {Path(str(recipe.data)).name or recipe.data}",
            subtitle=f"{evaluation.images:,} {evaluation.split} images, {len(manifest.classes)} classes",
            headlines=_headlines(evaluation),
            classes=evaluation.classes,
            training=_training(run.folder, manifest.criterion),
            calibration=evaluation.calibration,
            examples=pictures,
            mistakes=mistakes,
            recipe=sections(to_sections(recipe), "recipe", manifest.reasons),
            data=sections(manifest.data["summary"], "data"),
            machine=sections(manifest.machine, "machine"),
            warnings=tuple(manifest.data.get("warnings", ())),
            made=f"convolve {__version__}, {dt.datetime.now().astimezone():%Y-%m-%d %H:%M}",
        ),
    )


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


def _training(folder: Path, criterion: str) -> Training | None:
    place = folder / "metrics.jsonl"
    lines = [json.loads(line) for line in place.read_text(encoding="utf-8").splitlines()] if place.is_file() else []
    if not lines:
        return None
    epochs = tuple(
        Epoch(line["epoch"], line["train_loss"], line.get("loss"), line.get(criterion), line["rate"]) for line in lines
    )
    figures = np.array([-np.inf if epoch.criterion is None else epoch.criterion for epoch in epochs])
    return Training(epochs, criterion, epochs[int(figures.argmax())].number)
