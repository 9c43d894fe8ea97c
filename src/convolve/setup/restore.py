"""From a run on disk: its network ready to predict, its data, and its training ready to continue."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from convolve import models
from convolve.choices import Precision
from convolve.datasets.batches import Examples
from convolve.datasets.cache import open_cache
from convolve.datasets.doctor import fingerprint
from convolve.datasets.images import read_digests
from convolve.datasets.layouts import open_dataset, open_with_ground_truth
from convolve.errors import ConvolveError, DataError, ImageError, RunError
from convolve.files import shell_quote
from convolve.models import Network
from convolve.progress import Listener, Message, silent
from convolve.runtime import Runtime, choose
from convolve.setup.prepare import CACHE_BYTES, Prepared, build_network, evaluation_batches, training_batches
from convolve.setup.runtime_options import RuntimeOptions
from convolve.setup.starting_weights import StartingWeights
from convolve.tasks.registry import build_options, find_task
from convolve.tasks.task import EvaluationData, Task
from convolve.tasks.trained_network import load_run
from convolve.training.manifest import MANIFEST
from convolve.training.run import Run, read_split_names, read_splits, recipe_to_build, without_data
from convolve.values import Dataset, Indices, Splits


def restore_task(run: Run, options: RuntimeOptions, listener: Listener | None = None) -> tuple[Task, Runtime]:
    """The run's task with its best weights, and a runtime in the number format that it was trained in.

    The listener is told where this machine makes another format necessary. Raises `RunError`.
    """
    manifest = run.manifest
    network = load_run(run)
    trained_in: Precision = manifest.runtime["precision"]
    runtime = choose(**vars(options), macs=manifest.macs, trained_in=trained_in)
    if listener and options.precision is None and runtime.precision != trained_in:
        listener(Message(next(reason for reason in runtime.reasons if reason.startswith(runtime.precision))))
    runtime.prepare(network)
    network.eval()
    return _restore_state(run, network), runtime


def _restore_state(run: Run, network: Network) -> Task:
    kind = find_task(run.manifest.task)
    try:
        task = kind.restore(network, run.manifest.state)
        if len(task.classes) not in (0, run.manifest.outputs):
            raise ValueError(f"it names {len(task.classes)} classes, and the network has {run.manifest.outputs}")
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(
            f"{run.folder / MANIFEST} is damaged (state: {error}); restore it from a backup or train again."
        ) from error
    return task


def reopen_training(
    run: Run, options: RuntimeOptions, start: StartingWeights | None = None, listener: Listener = silent
) -> Prepared:
    """A run's data, splits, and its network as it began. Raises `RunError`, also where the data has changed."""
    manifest, recipe = run.manifest, run.recipe
    data = recipe.data or ""
    if Path(data).is_absolute() and not Path(data).exists():
        raise RunError(
            f"The run's data is no longer at {data}; restore it there, or correct {run.folder / 'recipe.toml'}."
        )
    task = find_task(manifest.task)
    dataset = _open_for_run(run, task, data)
    splits = read_splits(run, dataset)
    digests = read_digests(dataset.images)
    if not _is_unchanged(run, dataset, splits, digests):
        raise RunError(f"{data} has changed since {run.folder} began; restore it, or train again.")
    size = manifest.preprocessing
    ground_truth = dataset.ground_truths[task.info.ground_truth]
    network, _ = build_network(recipe_to_build(run), manifest.outputs, size, start)
    if recipe.transfer.freeze:
        models.freeze(network, recipe.transfer.freeze)
    options_of_task = build_options(task.info.name, "train", recipe.task_options)
    instance = task.build(network, ground_truth, options_of_task, splits, size)
    state, begun = (json.dumps(each, sort_keys=True) for each in (instance.state(), manifest.state))
    if state != begun and not manifest.results:  # at the end a task may know more, such as its calibration
        raise RunError(
            f"What the options of {run.folder / 'recipe.toml'} name has changed since the training began; restore it, "
            "or train again."
        )
    runtime = choose(**vars(options), macs=manifest.macs)
    examples = run_examples(run, dataset, digests)
    if examples.precompute:
        examples.precompute(np.concatenate([splits.train, splits.validation, splits.test]), listener)
    batches = training_batches(recipe, task, dataset, examples, splits.train, size)
    return Prepared(recipe, dataset, splits, size, runtime, manifest.macs, instance, examples, batches)


def has_own_data(run: Run) -> bool:
    """Whether the run's data, opened again, are to the last byte what it was trained on."""
    try:
        dataset = _open_for_run(run, find_task(run.manifest.task), run.recipe.data or "")
        return _is_unchanged(run, dataset, read_splits(run, dataset), read_digests(dataset.images))
    except ConvolveError:
        return False


def run_examples(run: Run, dataset: Dataset, digests: Sequence[bytes] | None = None) -> Examples:
    """What batches of a dataset are made of, with a run's preprocessing; ``digests`` of its images, if known."""
    size = run.manifest.preprocessing
    source = open_cache(dataset.images, size, None, CACHE_BYTES, digests=digests)
    options = build_options(run.manifest.task, "train", run.recipe.task_options)
    return find_task(run.manifest.task).examples(dataset, source, size, options, CACHE_BYTES)


def _open_for_run(run: Run, task: type[Task], data: str) -> Dataset:
    """Data as a run's task learns from it: its own read in the same way again, other data also in another way."""
    try:
        layout = run.recipe.reading.layout or task.info.layout
        dataset = open_dataset(data, replace(run.recipe.reading, layout=layout))
    except DataError:
        if data == run.recipe.data:
            raise
        dataset = open_with_ground_truth(data, task.info.ground_truth)
    if task.info.ground_truth in dataset.ground_truths:  # else the task may compute it
        dataset = dataset.for_ground_truth(task.info.ground_truth)
    return task.accept(dataset, build_options(task.info.name, "train", run.recipe.task_options))


def _is_unchanged(run: Run, dataset: Dataset, splits: Splits, digests: Sequence[bytes]) -> bool:
    """Whether a dataset, by the ``digests`` of its images, is to the last byte what the run was trained on."""
    usable = np.sort(np.concatenate([splits.train, splits.validation, splits.test]))
    ground_truth = dataset.ground_truths[find_task(run.manifest.task).info.ground_truth]
    return fingerprint(dataset, ground_truth, usable, digests) == str(run.manifest.data["fingerprint"])


def open_evaluation_data(
    run: Run, task: Task, runtime: Runtime, data: str | None, split: str | None, listener: Listener = silent
) -> EvaluationData:
    """The images to evaluate a run on: a split of its own data (by default test, else validation) or of other data.

    Raises `DataError` where the data does not fit the run, is gone, or has no such split.
    """
    dataset, name, indices = select_split(run, task, data, split)
    preprocessing = run.manifest.preprocessing
    examples = run_examples(run, dataset)
    if examples.precompute:
        examples.precompute(indices, listener)
    batches = evaluation_batches(examples, indices, preprocessing)
    return EvaluationData(name, dataset, indices, batches, preprocessing, runtime)


def select_split(run: Run, task: Task, data: str | None, split: str | None) -> tuple[Dataset, str, Indices]:
    """The data in the run's classes, the name of the split, and its images; see `open_evaluation_data`."""
    path = run.recipe.data or ""
    if data is None and not path:
        raise without_data(run)
    if data is None and Path(path).is_absolute() and not Path(path).exists():
        raise DataError(
            f"The run's data is no longer at {path}; pass its new path: "
            f"convolve evaluate {shell_quote(run.folder)} DATA."
        )
    dataset = task.conform(_open_for_run(run, type(task), data or path))
    splits = read_splits(run, dataset) if data is None else _splits_of_moved_data(run, dataset)
    if (
        data is None
        and splits
        and run.moved_data
        and not _is_unchanged(run, dataset, splits, read_digests(dataset.images))
    ):
        raise RunError(
            f"{path} is not the data that {run.folder} was trained on; correct {run.folder / 'recipe.toml'}, or pass "
            f"other data to evaluate on: convolve evaluate {shell_quote(run.folder)} DATA."
        )
    if splits:
        parts = {"train": splits.train, "validation": splits.validation, "test": splits.test}
        name = split or ("test" if len(splits.test) else "validation")
    else:
        parts, name = dict(dataset.given_splits), split or "all"
    parts["all"] = np.arange(len(dataset))
    if name not in parts or not len(parts[name]):
        present = ", ".join(part for part, indices in parts.items() if len(indices))
        raise DataError(f"{dataset.root} has no {name} images; choose --split from {present}.")
    return dataset, name, parts[name]


def _splits_of_moved_data(run: Run, dataset: Dataset) -> Splits | None:
    """The run's splits, where the data is the run's own in another folder. Raises `RunError` where they are damaged."""
    if not run.recipe.data:  # a run that was converted
        return None
    read_split_names(run)
    try:
        splits = read_splits(run, dataset)
        return splits if _is_unchanged(run, dataset, splits, read_digests(dataset.images)) else None
    except (RunError, ImageError):
        return None
