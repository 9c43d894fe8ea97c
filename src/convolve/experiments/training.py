"""A training for an experiment: as `convolve train` does it, but without a report, which would take longer than many of
these trainings.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from convolve.progress import Listener
from convolve.setup.prepare import Prepared, build_training, evaluation_batches, prepare
from convolve.setup.runtime_options import RuntimeOptions
from convolve.tasks.task import EvaluationData
from convolve.training.checkpoints import RunFiles
from convolve.training.events import Events, ProgressReporter
from convolve.training.loop import fit
from convolve.training.plan import measure
from convolve.training.recipe import Recipe
from convolve.training.run import WEIGHTS, begin_folder, save_weights


@dataclass(frozen=True)
class Trained:
    """The metrics on the ``test`` data and of all ``epochs``, the seconds of these, and what was trained."""

    metrics: Mapping[str, float]
    epochs: tuple[Mapping[str, Any], ...]
    seconds: float
    prepared: Prepared
    test: EvaluationData


def train(recipe: Recipe, folder: Path, listener: Listener, minutes: float | None = None) -> Trained:
    """Train by a recipe, with ``minutes`` for as many epochs as fit, take the best epoch, keep its weights in the
    folder, and evaluate on the test split. Raises `ConvolveError`.
    """
    if minutes is not None:
        recipe = replace(recipe, epochs=_epochs_within(60 * minutes, replace(recipe, epochs=1)))
    prepared = prepare(recipe, RuntimeOptions(), listener=listener).prepared
    training = build_training(prepared)
    begin_folder(folder, prepared.recipe)
    reporter = ProgressReporter(listener, prepared.recipe.epochs or 1, len(prepared.splits.train))
    began = time.monotonic()
    state = fit(training, RunFiles(folder, listener=listener), Events(step=(reporter,)))
    seconds = time.monotonic() - began
    save_weights(folder / WEIGHTS, prepared.task.network)
    batches = evaluation_batches(prepared.examples, prepared.splits.test, prepared.preprocessing)
    test = EvaluationData(
        "test", prepared.dataset, prepared.splits.test, batches, prepared.preprocessing, prepared.runtime
    )
    return Trained(prepared.task.evaluate(test).metrics, tuple(state.history), seconds, prepared, test)


def _epochs_within(seconds: float, recipe: Recipe) -> int:
    """How many epochs fit into a time, one at least."""
    prepared = prepare(recipe, RuntimeOptions()).prepared
    plan = measure(build_training(prepared), len(prepared.splits.validation))
    return max(1, round(seconds / plan.seconds_per_epoch))
