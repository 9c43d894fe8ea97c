"""What a run's network, or those of its folds, predict for the images that they have not learned from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from convolve.datasets.labels import Labels
from convolve.errors import DataError, RunError
from convolve.progress import Listener, Progress
from convolve.setup.prepare import evaluation_batches
from convolve.setup.restore import restore_task, run_examples, select_split
from convolve.setup.runtime_options import RuntimeOptions
from convolve.tasks.task import Task
from convolve.training.evaluation import evaluation_mode
from convolve.training.run import Run, read_splits
from convolve.values import Dataset, Floats, Indices


@dataclass(frozen=True)
class HeldOut:
    """``probabilities`` (N, classes) for the images ``indices`` (N,) of a dataset, by networks that have not learned
    from them, and the ``labels`` (N,) that they have. ``not_judged`` images were always learned from.
    """

    dataset: Dataset
    classes: tuple[str, ...]
    indices: Indices
    labels: Indices
    probabilities: Floats
    not_judged: int


def open_labels(run: Run, task: Task) -> tuple[Dataset, Labels]:
    """A run's data, and its labels in the order of the run's classes.

    Raises `DataError` where its images do not have one class each, `RunError` where the data is gone.
    """
    path = run.recipe.data or ""
    if Path(path).is_absolute() and not Path(path).exists():
        raise RunError(
            f"The run's data is no longer at {path}; restore it there, or correct {run.folder / 'recipe.toml'}."
        )
    dataset, _, _ = select_split(run, task, None, "all")
    labels = dataset.ground_truths[task.info.ground_truth]
    if not isinstance(labels, Labels) or labels.multi_label:
        kind = "several labels for an image" if isinstance(labels, Labels) else task.info.ground_truth
        raise DataError(
            f"{run.folder} has learned {kind}, but label errors are found among images with one class each; give a run "
            "that classifies such images."
        )
    return dataset, labels


def predict_held_out(runs: Sequence[Run], listener: Listener) -> HeldOut:
    """The predictions of runs on the same data for their validation and test images; of an image that several of them
    hold out, the mean. Raises `RunError`, and `DataError` as `open_labels` does.
    """
    task, runtime = restore_task(runs[0], RuntimeOptions(), listener)
    dataset, labels = open_labels(runs[0], task)
    splits = [read_splits(run, dataset) for run in runs]
    held = [np.concatenate([each.validation, each.test]) for each in splits]
    sums = np.zeros((len(dataset), len(task.classes)), np.float32)
    times, done, total = np.zeros(len(dataset), np.int64), 0, sum(map(len, held))
    for number, (run, images) in enumerate(zip(runs, held, strict=True)):
        if number:
            task, runtime = restore_task(run, RuntimeOptions())
        batches = evaluation_batches(run_examples(run, dataset), images, run.manifest.preprocessing)
        with evaluation_mode(task.network):
            for batch in batches.epoch(0):
                with torch.inference_mode(), runtime.arithmetic():
                    probabilities = task.probabilities(runtime.images(batch.images))
                sums[batch.indices] += probabilities.float().cpu().numpy()
                times[batch.indices] += 1
                done += len(batch.indices)
                listener(Progress("judging labels", done, total))
    indices = np.flatnonzero(times)
    means = (sums[indices] / times[indices, None]).astype(np.float32)
    learned = np.setdiff1d(np.concatenate([each.train for each in splits]), indices)
    return HeldOut(dataset, task.classes, indices, labels.values[indices].astype(np.int64), means, len(learned))
