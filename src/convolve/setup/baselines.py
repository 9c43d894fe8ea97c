"""Classifiers of plain pixels, what a network has to be better than: nearest neighbors and support vector machines.

They see what the run's network sees: the same splits, images fitted to the same input and normalized, as one row of
numbers each. What they leave open is chosen on the validation split; the test split is used once.
"""

from __future__ import annotations

import math
import statistics
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from convolve.choices import Baseline
from convolve.datasets.labels import Labels
from convolve.datasets.splits import with_subset
from convolve.errors import DataError, OptionError, RunError
from convolve.memory import lacks_memory
from convolve.metrics.intervals import Interval, accuracy_interval
from convolve.progress import Listener, Progress
from convolve.runtime import TIMED_BATCH, memory_budget
from convolve.setup.prepare import evaluation_batches
from convolve.setup.restore import run_examples, select_split
from convolve.tasks.task import Task
from convolve.training.run import Run, read_splits
from convolve.values import Floats, Indices

NEIGHBORS = (1, 3, 5, 7, 9, 15)
PENALTIES = (0.1, 1.0, 10.0, 100.0)
"""What is tried on the validation split: how many neighbors vote, and how much a violated margin costs."""
MOST_FOR_RBF = 10_000
"""Training images of a support vector machine with a radial kernel, whose time grows with their square or faster."""
_ROUNDS = 5
_Split = tuple[Floats, Indices]


@dataclass(frozen=True)
class MeasuredBaseline:
    """How well a classifier of pixels does on the test split.

    ``title`` says what it is and what was chosen on the validation split, ``images`` how many it was measured on and
    ``learned`` how many it has learned from. ``seconds`` are those of fitting with every choice. ``numbers`` are what
    it stores, ``macs`` the multiply-adds of one image; ``latency`` is the median of one image's milliseconds, ``speed``
    images per second in batches.
    """

    name: Baseline
    title: str
    images: int
    learned: int
    accuracy: float
    interval: Interval
    seconds: float
    numbers: int
    macs: int
    latency: float
    speed: float


def measure_baselines(
    run: Run, task: Task, names: Sequence[Baseline], listener: Listener
) -> tuple[MeasuredBaseline, ...]:
    """Each baseline on a run's splits. Raises `DataError` where its images do not have one class each, `RunError` where
    it has no test split, and `OptionError` where memory does not suffice.
    """
    dataset, _, _ = select_split(run, task, None, "all")
    labels = dataset.ground_truths[task.info.ground_truth]
    if not isinstance(labels, Labels) or labels.multi_label:
        raise DataError(f"--baselines classify images with one class each, which {run.folder} does not have; omit it.")
    splits, size = read_splits(run, dataset), run.manifest.preprocessing
    if not len(splits.test):
        raise RunError(f"{run.folder} has no test split to measure baselines on; train one with --test above 0.")
    count = len(splits.train) + len(splits.validation) + len(splits.test)
    if 4 * count * size.height * size.width * size.channels > memory_budget() // 2:
        raise OptionError("--baselines keep the pixels of all images in memory, which is too small; train with --size.")
    examples = run_examples(run, dataset)

    def read(images: Indices) -> _Split:
        batches = list(evaluation_batches(examples, images, size).epoch(0))
        indices = np.concatenate([batch.indices for batch in batches])
        rows = np.concatenate([batch.images.reshape(len(batch.images), -1) for batch in batches])
        # Of length about 1, so that the same penalties suit every size.
        rows *= np.float32(1 / math.sqrt(rows.shape[1]))
        return rows, labels.values[indices].astype(np.int64)

    validation, test = read(splits.validation), read(splits.test)
    found = []
    for done, name in enumerate(names):
        listener(Progress("baselines", done, len(names), name))
        few = name == "rbf-svm" and len(splits.train) > MOST_FOR_RBF
        train = with_subset(splits, labels, MOST_FOR_RBF, 0).train if few else splits.train
        try:
            found.append(_measure(name, read(train), validation, test))
        except (MemoryError, RuntimeError) as error:
            if not lacks_memory(error):
                raise
            raise OptionError(f"There is not enough memory for {name}; train the run with --subset.") from error
    listener(Progress("baselines", len(names), len(names)))
    return tuple(found)


def _measure(name: Baseline, train: _Split, validation: _Split, test: _Split) -> MeasuredBaseline:
    since = time.perf_counter()
    choices: Sequence[float] = NEIGHBORS if name == "knn" else PENALTIES
    choices = [choice for choice in choices if name != "knn" or choice <= len(train[0])]
    fitted = [_fit(name, choice, train) for choice in choices]
    seconds = time.perf_counter() - since
    scores = [float((model.predict(validation[0]) == validation[1]).mean()) for model in fitted]
    best = int(np.argmax(scores))  # the first of equal ones, which is the simplest
    model, choice = fitted[best], choices[best]
    right = int((model.predict(test[0]) == test[1]).sum())
    images, width, classes = len(test[0]), train[0].shape[1], len(np.unique(train[1]))
    if name == "knn":
        numbers = macs = train[0].size
        title = f"k = {choice:g} nearest neighbors"
    elif name == "linear-svm":
        numbers, macs = model.coef_.size + model.intercept_.size, model.coef_.size
        title = f"linear SVM, C = {choice:g}"
    else:
        vectors = len(model.support_vectors_)
        numbers, macs = vectors * (width + classes - 1), vectors * (width + classes - 1)
        title = f"SVM with RBF kernel, C = {choice:g}, {vectors:,} support vectors"
    return MeasuredBaseline(
        name=name,
        title=title,
        images=images,
        learned=len(train[0]),
        accuracy=right / images,
        interval=accuracy_interval(right, images),
        seconds=seconds,
        numbers=numbers,
        macs=macs,
        latency=1000 * _seconds(model, test[0][:1]),
        speed=min(TIMED_BATCH, images) / _seconds(model, test[0][:TIMED_BATCH]),
    )


def _fit(name: Baseline, choice: float, train: _Split) -> Any:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.svm import SVC, LinearSVC

    if name == "knn":
        return KNeighborsClassifier(int(choice), algorithm="brute").fit(*train)
    if name == "rbf-svm":
        return SVC(C=choice, gamma="scale").fit(*train)
    with warnings.catch_warnings():  # a choice that has not converged is judged as it is, on the validation split
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LinearSVC(C=choice, random_state=0).fit(*train)


def _seconds(model: Any, rows: Floats) -> float:
    """The median of some rounds, after one that is not counted."""
    model.predict(rows)
    rounds = []
    for _ in range(_ROUNDS):
        since = time.perf_counter()
        model.predict(rows)
        rounds.append(time.perf_counter() - since)
    return statistics.median(rounds)
