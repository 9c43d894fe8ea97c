"""A run's `report.html`: what was measured, the pictures behind it, and everything that decided the training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from convolve.explainers.methods import default_method
from convolve.reports.page import write_report
from convolve.reports.report import Example, Headline, HeatKey, Overlay
from convolve.reports.thumbnails import Answers, choose, examples, worst
from convolve.runtime import Runtime
from convolve.tasks.classify.causes import overlays
from convolve.tasks.classify.evaluation import Evaluation
from convolve.tasks.classify.learning import Classify
from convolve.tasks.pages import begun
from convolve.training.run import Run
from convolve.values import Dataset, Floats, Images, Indices, Scored


def report(place: Path, run: Run, dataset: Dataset, evaluation: Evaluation, task: Classify, runtime: Runtime) -> None:
    """Write a page about one evaluation of a run. Raises `ConvolveError` when that fails."""
    asked = _Asked.of(dataset, evaluation.scored)
    images = dataset.images.take(evaluation.scored.indices)
    heat = overlays(task, runtime, images, run.manifest.preprocessing, asked.classes())
    method = default_method(task.network)[0]
    page = replace(
        begun(run, evaluation, evaluation.classes, _headlines(evaluation)),
        calibration=evaluation.calibration,
        examples=asked.examples(images, asked.chosen, heat, 96),
        mistakes=asked.examples(images, asked.wrong, heat, 160),
        heat=HeatKey(method.title, method.paper, method.signed) if heat else None,
    )
    write_report(place, page)


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


@dataclass(frozen=True)
class _Asked:
    """The answers that the page shows pictures of: those behind the confusion matrix's cells, by cell and then
    confidence, and the worst mistakes; places among the images measured.
    """

    truth: Answers
    predicted: Answers
    scores: Floats
    chosen: Indices
    wrong: Indices

    @staticmethod
    def of(dataset: Dataset, scored: Scored) -> _Asked:
        scores, confidence = scored.scores, scored.scores.max(1)
        if dataset.labels.multiple:
            flags, predicted = scored.targets.astype(bool), scores >= 0.5
            return _Asked(flags, predicted, scores, np.zeros(0, np.int64), worst(flags, predicted, confidence))
        truth, best = scored.targets.astype(np.int64), scores.argmax(1)
        return _Asked(truth, best, scores, choose(truth, best, confidence), worst(truth, best, confidence))

    def classes(self) -> dict[int, tuple[int, ...]]:
        """By image, the classes to ask the network about, the most important first: the worst mistakes, then the first
        image of every cell, wrong cells before right ones, then the second.
        """
        cells, turns = Counter[tuple[Any, ...]](), []
        for index in self.chosen.tolist():
            cell = (int(self.truth[index]), int(self.predicted[index]))
            turns.append((cells[cell], cell[0] == cell[1], index))
            cells[cell] += 1
        order = dict.fromkeys([*self.wrong.tolist(), *(index for _, _, index in sorted(turns))])
        return {index: self._classes_of(index) for index in order}

    def examples(
        self, images: Images, chosen: Indices, heat: Mapping[int, tuple[Overlay, ...]], side: int
    ) -> tuple[Example, ...]:
        """The chosen images with their heat; one that cannot be read is left out."""
        confidence = self.scores.max(1)
        return tuple(
            replace(example, heat=heat.get(index, ()))
            for index in chosen.tolist()
            for example in examples(images, np.array([index]), self.truth, self.predicted, confidence, side)
        )

    def _classes_of(self, index: int) -> tuple[int, ...]:
        """The class that the image was taken for and its own; of several labels the surest wrong and missed ones."""
        if self.truth.ndim == 1:
            return tuple(dict.fromkeys((int(self.predicted[index]), int(self.truth[index]))))
        given, missed = self.predicted[index] & ~self.truth[index], self.truth[index] & ~self.predicted[index]
        return tuple(int(np.where(some, self.scores[index], -1).argmax()) for some in (given, missed) if some.any())
