"""From a recipe to everything that a training needs: data read and split, options resolved, a network built."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from convolve import models
from convolve.datasets.batches import Batches, Examples
from convolve.datasets.cache import read_images
from convolve.datasets.doctor import diagnose, readable
from convolve.datasets.findings import Findings
from convolve.datasets.splits import SplitPlan, split
from convolve.datasets.survey import ImageFacts
from convolve.errors import DataError, OptionError
from convolve.models import Card
from convolve.options import merge
from convolve.runtime import Runtime, choose, memory_budget
from convolve.setup.batches import evaluation_batches, training_batches
from convolve.setup.data import open_for_task
from convolve.setup.network import (
    StartingWeights,
    build_meta_network,
    build_network,
    check_network,
    find_starting_weights,
)
from convolve.setup.runtime_options import RuntimeOptions
from convolve.summary import Summary, summarize
from convolve.tasks.registry import build_options, find_task
from convolve.tasks.task import Task, imbalance
from convolve.training.defaults import Facts, resolve
from convolve.training.plan import batch_for_memory
from convolve.training.recipe import Recipe, check
from convolve.values import Dataset, GroundTruth, Indices, Preprocessing, Splits

CACHE_BYTES = 20 << 30
_PHOTOGRAPH = 96
"""From this median shorter side on, color images count as photographs."""


@dataclass(frozen=True)
class Prepared:
    """A training that has not begun, or a trained network about to be evaluated; ``recipe`` has nothing left open, and
    ``macs`` are the network's multiply-adds of one image.
    """

    recipe: Recipe
    dataset: Dataset
    splits: Splits
    preprocessing: Preprocessing
    runtime: Runtime
    macs: int
    task: Task
    examples: Examples

    def training(self) -> Batches:
        """The training split's batches, shuffled and augmented."""
        task, part = type(self.task), self.splits.train
        options = build_options(task.info.name, "train", self.recipe.task_options)
        weights = task.sampling_weights(options, self.dataset, part)
        return training_batches(self.recipe, self.examples, part, self.preprocessing, weights)

    def evaluation(self, part: Indices) -> Batches:
        """A split's batches, in order and without augmentation."""
        return evaluation_batches(self.examples, part, self.preprocessing)


@dataclass(frozen=True)
class Preparation:
    """What was prepared, what the doctor found, and why the options were resolved so."""

    prepared: Prepared
    findings: Findings
    reasons: Mapping[str, str]


def prepare(recipe: Recipe, runtime_options: RuntimeOptions, fold: int = 0) -> Preparation:
    """Read the data, resolve the recipe, split the data, build the network. Raises `ConvolveError`."""
    card = _check_before_reading(recipe)
    weights = recipe.transfer.weights
    start = find_starting_weights(weights, card.name) if weights else None
    recipe, reasons = _as_in_run(recipe, start)
    dataset, info, task_reason = open_for_task(recipe, card)
    task = find_task(info.name)
    dataset = task.accept(dataset, build_options(task.info.name, "train", recipe.task_options))
    ground_truth = dataset.ground_truths[task.info.ground_truth]
    if ground_truth.classes and not ground_truth.presence().any():
        raise DataError(f"None of the images in {dataset.root} has any of its classes; label some.")
    choices = partial(_resolve, recipe, task, dataset, ground_truth)
    survey, source = read_images(dataset.images, lambda facts: _geometry(choices(facts)[0], facts, start), CACHE_BYTES)
    resolved, more = choices(survey.facts)
    reasons = {**more, "task": task_reason, **reasons}
    survey = readable(dataset, ground_truth, survey)
    own = resolved.splitting
    plan = SplitPlan(own.validation or 0.0, own.test or 0.0, own.group_by, resolved.seed or 0, fold, own.folds or 1)
    splits = split(dataset, ground_truth, plan, survey.usable)
    if not len(splits.validation):
        raise OptionError("The best epoch is selected on a validation split; give --validation a fraction above 0.")
    findings = diagnose(dataset, ground_truth, splits, survey)
    preprocessing = _preprocessing(resolved, findings, start)
    summary = _summary(resolved, preprocessing, task.outputs(dataset))
    runtime, batch, batch_reasons = _fit_to_machine(resolved, runtime_options, summary)
    if recipe.batch is None:
        resolved, reasons = dataclasses.replace(resolved, batch=batch), reasons | batch_reasons
    network, loaded = build_network(resolved, task.outputs(dataset), preprocessing, start)
    if start:
        reasons["weights"] = loaded if start.source == weights else f"{start.source}; {loaded}"
    examples = task.examples(dataset, source, preprocessing, CACHE_BYTES)
    instance = build_task(task, resolved, network, dataset, splits)
    prepared = Prepared(resolved, dataset, splits, preprocessing, runtime, summary.macs, instance, examples)
    return Preparation(prepared, findings, reasons)


def preview(recipe: Recipe, dataset: Dataset, task_name: str) -> tuple[Batches, Preprocessing]:
    """The batches that a training by this recipe would learn from, of all usable images, without a cache."""
    task = find_task(task_name)
    ground_truth = dataset.ground_truths[task.info.ground_truth]
    choices = partial(_resolve, recipe, task, dataset, ground_truth)
    survey, source = read_images(dataset.images, lambda facts: _geometry(choices(facts)[0], facts, None), 0)
    resolved, _ = choices(survey.facts)
    survey = readable(dataset, ground_truth, survey)
    preprocessing = _preprocessing(resolved, diagnose(dataset, ground_truth, None, survey), None)
    examples = task.examples(dataset, source, preprocessing, 0)
    options = build_options(task.info.name, "train", resolved.task_options)
    weights = task.sampling_weights(options, dataset, survey.usable)
    return training_batches(resolved, examples, survey.usable, preprocessing, weights), preprocessing


def build_task(task: type[Task], recipe: Recipe, network: models.Network, dataset: Dataset, splits: Splits) -> Task:
    """The task of a resolved recipe, its network frozen as asked. Raises `NetworkError`."""
    if recipe.transfer.freeze:
        models.freeze(network, recipe.transfer.freeze)
    return task.build(network, dataset, build_options(task.info.name, "train", recipe.task_options), splits)


def _check_before_reading(recipe: Recipe) -> Card:
    """Raise for what is wrong with any data, before a person waits for it to be read; the network's card."""
    if recipe.data is None:
        raise OptionError("Give the data to train on: a folder, a file, or a built-in dataset such as digits.")
    check(recipe)
    if recipe.network is None:
        raise OptionError("Choose a network with --network; `convolve networks` lists them.")
    card = models.card(recipe.network)
    check_network(recipe)
    if recipe.task is not None:
        build_options(recipe.task, "train", recipe.task_options)
    return card


def _as_in_run(recipe: Recipe, start: StartingWeights | None) -> tuple[Recipe, dict[str, str]]:
    """With a run's weights, the run's own size and fit where the person gives none, and the reasons."""
    if start is None or start.run is None or start.preprocessing is None:
        return recipe, {}
    own = Recipe(size=start.preprocessing.height, fit=start.preprocessing.fit)
    names = [name for name in ("size", "fit") if getattr(recipe, name) is None]
    return merge(own, recipe), dict.fromkeys(names, f"as {start.run} was trained")


def _resolve(
    recipe: Recipe, task: type[Task], dataset: Dataset, ground_truth: GroundTruth, facts: ImageFacts
) -> tuple[Recipe, dict[str, str]]:
    trained = [part for name, part in dataset.given_splits.items() if name != "test"]
    return resolve(
        recipe,
        Facts(
            images=sum(map(len, trained)) or facts.images,
            channels=facts.channels,
            side=facts.shorter_side,
            longer=facts.longer_side,
            photographs=facts.channels == 3 and facts.shorter_side >= _PHOTOGRAPH,
            imbalance=imbalance(ground_truth.presence()),
        ),
        task.info,
        task.defaults,
        ground_truth,
    )


def _geometry(recipe: Recipe, facts: ImageFacts, start: StartingWeights | None) -> Preprocessing:
    """Size, channels and fit of the input, before the mean and standard deviation are known."""
    channels = start.channels if start else facts.channels
    zeros, ones = (0.0,) * channels, (1.0,) * channels
    return Preprocessing(recipe.size or 1, recipe.size or 1, channels, recipe.fit or "crop", zeros, ones)


def _preprocessing(recipe: Recipe, findings: Findings, start: StartingWeights | None) -> Preprocessing:
    """With weights, what they were trained with; else the training split's own channels, mean and deviation."""
    channels = start.channels if start else findings.channels
    mean, std = findings.mean, findings.std
    if start and start.preprocessing:
        mean, std = start.preprocessing.mean, start.preprocessing.std
    if len(mean) != channels:
        mean, std = (float(np.mean(mean)),) * channels, (float(np.mean(std)),) * channels
    std = tuple(max(deviation, 1 / 255) for deviation in std)
    return Preprocessing(recipe.size or 1, recipe.size or 1, channels, recipe.fit or "crop", mean, std)


def _summary(recipe: Recipe, preprocessing: Preprocessing, outputs: int) -> Summary:
    shape = (preprocessing.channels, preprocessing.height, preprocessing.width)
    return summarize(build_meta_network(recipe, outputs, preprocessing), shape)


def _fit_to_machine(recipe: Recipe, options: RuntimeOptions, summary: Summary) -> tuple[Runtime, int, dict[str, str]]:
    """The runtime, and a batch that fits into memory, with the reason where that made it smaller."""
    runtime = choose(options.device, options.precision, options.threads, summary.macs)
    requested, budget = recipe.batch or 1, memory_budget()
    batch = batch_for_memory(requested, summary, recipe.optimization.optimizer or "", runtime, budget)
    reasons = {"batch": f"what fits into {budget / 2**30:.0f} GiB of memory"} if batch < requested else {}
    return runtime, batch, reasons
