"""From a recipe to everything that a training needs: data read and split, options resolved, a network built."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from convolve import models
from convolve.datasets.batches import Batches, BatchOptions, Examples
from convolve.datasets.cache import read_images
from convolve.datasets.doctor import diagnose, readable
from convolve.datasets.findings import Findings
from convolve.datasets.parallel import reader_threads
from convolve.datasets.splits import SplitPlan, split
from convolve.datasets.survey import ImageFacts
from convolve.errors import DataError, OptionError
from convolve.models import Card
from convolve.models.gap import with_gap
from convolve.options import merge
from convolve.runtime import Runtime, choose, memory_budget
from convolve.setup.data import open_for_task
from convolve.setup.network import StartingWeights, build_network, find_starting_weights
from convolve.setup.runtime_options import RuntimeOptions
from convolve.summary import summarize
from convolve.tasks.registry import build_options, find_task
from convolve.tasks.task import Task
from convolve.training.defaults import Facts, resolve
from convolve.training.plan import batch_for_memory
from convolve.training.recipe import Recipe, check
from convolve.values import Dataset, Floats, GroundTruth, Indices, Preprocessing, Splits

CACHE_BYTES = 20 << 30
_PHOTOGRAPH = 96
"""From this median shorter side on, color images count as photographs."""
_MOST_IMAGES, _MOST_PIXELS = 250, 2**19


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
        weights = task.sampling_weights(options, self.dataset.ground_truths[task.info.ground_truth], part)
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
    recipe, reasons = _as_in_run(recipe, start) if start else (recipe, {})
    dataset, info, task_reason = open_for_task(recipe, card)
    task = find_task(info.name)
    dataset = task.accept(dataset, build_options(task.info.name, "train", recipe.task_options))
    ground_truth = dataset.ground_truths[task.info.ground_truth]
    if ground_truth.classes and not ground_truth.presence().any():
        raise DataError(f"None of the images in {dataset.root} has any of its classes; label some.")
    choices = partial(_resolve, recipe, task, dataset, ground_truth)
    survey, source = read_images(
        dataset.images, lambda facts: _preprocessing(choices(facts)[0], facts.channels, start), CACHE_BYTES
    )
    resolved, more = choices(survey.facts)
    reasons = {**more, "task": task_reason, **reasons}
    survey = readable(dataset, ground_truth, survey)
    own = resolved.splitting
    plan = SplitPlan(own.validation or 0.0, own.test or 0.0, own.group_by, resolved.seed or 0, fold, own.folds or 1)
    splits = split(dataset, ground_truth, plan, survey.usable)
    if not len(splits.validation):
        raise OptionError("The best epoch is selected on a validation split; give --validation a fraction above 0.")
    findings = diagnose(dataset, ground_truth, splits, survey)
    preprocessing = _preprocessing(resolved, findings.channels, start, findings)
    outputs = task.outputs(ground_truth)
    with torch.device("meta"):  # without weights, for what the shapes alone tell
        meta_network, _ = build_network(resolved, outputs, preprocessing)
    summary = summarize(meta_network, (preprocessing.channels, preprocessing.height, preprocessing.width))
    runtime = choose(**vars(runtime_options), macs=summary.macs)
    requested, budget = resolved.batch or 1, memory_budget()
    batch = batch_for_memory(requested, summary, resolved.optimization.optimizer or "", runtime, budget)
    if recipe.batch is None and batch < requested:
        resolved = dataclasses.replace(resolved, batch=batch)
        reasons["batch"] = f"what fits into {budget / 2**30:.0f} GiB of memory"
    network, loaded = build_network(resolved, outputs, preprocessing, start)
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
    survey, source = read_images(
        dataset.images, lambda facts: _preprocessing(choices(facts)[0], facts.channels, None), 0
    )
    resolved, _ = choices(survey.facts)
    survey = readable(dataset, ground_truth, survey)
    findings = diagnose(dataset, ground_truth, None, survey)
    preprocessing = _preprocessing(resolved, findings.channels, None, findings)
    examples = task.examples(dataset, source, preprocessing, 0)
    options = build_options(task.info.name, "train", resolved.task_options)
    weights = task.sampling_weights(options, ground_truth, survey.usable)
    return training_batches(resolved, examples, survey.usable, preprocessing, weights), preprocessing


def build_task(task: type[Task], recipe: Recipe, network: models.Network, dataset: Dataset, splits: Splits) -> Task:
    """The task of a resolved recipe, its network frozen as asked. Raises `NetworkError`."""
    if recipe.transfer.freeze:
        models.freeze(network, recipe.transfer.freeze)
    options = build_options(task.info.name, "train", recipe.task_options)
    return task.build(network, dataset.ground_truths[task.info.ground_truth], options, splits)


def training_batches(
    recipe: Recipe, examples: Examples, images: Indices, preprocessing: Preprocessing, weights: Floats | None = None
) -> Batches:
    """Shuffled and augmented; drawn by ``weights`` if given."""
    indices = examples.of(images)
    options = BatchOptions(
        preprocessing,
        recipe.batch or 1,
        recipe.seed or 0,
        shuffle=True,
        augmentation=recipe.augmentation if augments(recipe) else None,
        sampler_weights=weights,
        workers=reader_threads(),
        drop_last=len(indices) % (recipe.batch or 1) == 1,  # batch normalization cannot learn from a single image
    )
    return Batches(examples.source, examples.targets, indices, options)


def evaluation_batches(examples: Examples, images: Indices, preprocessing: Preprocessing) -> Batches:
    """In order, without augmentation."""
    options = BatchOptions(
        preprocessing, evaluation_batch_size(preprocessing), seed=0, shuffle=False, workers=reader_threads()
    )
    return Batches(examples.source, examples.targets, examples.of(images), options)


def evaluation_batch_size(preprocessing: Preprocessing) -> int:
    """How many images are evaluated together: few enough that the maps of a large network stay within 2 GB."""
    return min(_MOST_IMAGES, max(1, _MOST_PIXELS // (preprocessing.height * preprocessing.width)))


def augments(recipe: Recipe) -> bool:
    """Whether a recipe's augmentation changes anything."""
    chosen = dataclasses.asdict(recipe.augmentation)
    return chosen.pop("crop") != 1.0 or any(chosen.values())


def _check_before_reading(recipe: Recipe) -> Card:
    """Raise for what is wrong with any data, before a person waits for it to be read; the network's card."""
    if recipe.data is None:
        raise OptionError("Give the data to train on: a folder, a file, or a built-in dataset such as digits.")
    check(recipe)
    if recipe.network is None:
        raise OptionError("Choose a network with --network; `convolve networks` lists them.")
    card = models.card(recipe.network)
    if recipe.transfer.gap or recipe.save_memory:  # not every network can do these
        with torch.device("meta"):
            network = models.create(recipe.network)
            if recipe.save_memory:
                models.save_memory(network)
            if recipe.transfer.gap:
                with_gap(network, card.classes)
    if recipe.task is not None:
        build_options(recipe.task, "train", recipe.task_options)
    return card


def _as_in_run(recipe: Recipe, start: StartingWeights) -> tuple[Recipe, dict[str, str]]:
    """With a run's weights, the run's own size and fit where the person gives none, and the reasons."""
    if start.run is None or start.preprocessing is None:
        return recipe, {}
    own = Recipe(size=start.preprocessing.height, fit=start.preprocessing.fit)
    names = [name for name in ("size", "fit") if getattr(recipe, name) is None]
    return merge(own, recipe), dict.fromkeys(names, f"as {start.run} was trained")


def _resolve(
    recipe: Recipe, task: type[Task], dataset: Dataset, ground_truth: GroundTruth, facts: ImageFacts
) -> tuple[Recipe, dict[str, str]]:
    counts = ground_truth.presence().sum(0)
    counts = counts[counts > 0]
    trained = [part for name, part in dataset.given_splits.items() if name != "test"]
    return resolve(
        recipe,
        Facts(
            images=sum(map(len, trained)) or facts.images,
            channels=facts.channels,
            side=facts.shorter_side,
            longer=facts.longer_side,
            photographs=facts.channels == 3 and facts.shorter_side >= _PHOTOGRAPH,
            imbalance=float(counts.max() / counts.min()) if len(counts) else 1.0,
        ),
        task.info,
        task.defaults,
        ground_truth,
    )


def _preprocessing(
    recipe: Recipe, channels: int, start: StartingWeights | None, findings: Findings | None = None
) -> Preprocessing:
    """With weights, what they were trained with; else the training split's own channels, mean and deviation.

    Before there are ``findings``, mean and deviation are not known.
    """
    mean, std = (findings.mean, findings.std) if findings else ((0.0,), (1.0,))
    if start:
        channels = start.channels
        if start.preprocessing:
            mean, std = start.preprocessing.mean, start.preprocessing.std
    if len(mean) != channels:
        mean, std = (float(np.mean(mean)),) * channels, (float(np.mean(std)),) * channels
    std = tuple(max(deviation, 1 / 255) for deviation in std)
    return Preprocessing(recipe.size or 1, recipe.size or 1, channels, recipe.fit or "crop", mean, std)
