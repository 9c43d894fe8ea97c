"""From a recipe to everything that a training needs: data read and split, options resolved, a network built and given
the weights that it starts from.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from convolve import models
from convolve.choices import AUTO, NO_WEIGHTS
from convolve.datasets.augment import input_sizes
from convolve.datasets.batches import Batches, BatchOptions, Examples
from convolve.datasets.cache import read_images
from convolve.datasets.doctor import Findings, diagnose, readable
from convolve.datasets.layouts import LAYOUT_NAMES, WITH_ANNOTATIONS, open_dataset
from convolve.datasets.parallel import reader_threads
from convolve.datasets.splits import SplitPlan, split, with_subset
from convolve.datasets.survey import ImageFacts, Survey
from convolve.errors import DataError, NetworkError, OptionError
from convolve.interop.weights import SOURCES
from convolve.layers.design import Design
from convolve.models import Card, Network
from convolve.models.gap import has_gap, with_gap
from convolve.models.network import OUTPUT_WORDS
from convolve.progress import Listener, silent
from convolve.runtime import Runtime, choose, memory_budget
from convolve.setup.runtime_options import RuntimeOptions
from convolve.setup.starting_weights import (
    PHOTOGRAPH,
    StartingWeights,
    as_trained,
    find_starting_weights,
    with_official_weights,
)
from convolve.summary import Costs, count_costs
from convolve.tasks.info import TaskInfo
from convolve.tasks.registry import build_options, find_task, task_infos
from convolve.tasks.task import Task
from convolve.training.defaults import Facts, resolve
from convolve.training.evaluation import evaluate_batches
from convolve.training.plan import batch_for_memory
from convolve.training.recipe import Recipe, check
from convolve.training.running_statistics import estimate, is_precise
from convolve.training.step import BatchSource, Phases, Training
from convolve.values import Dataset, GroundTruth, Indices, Preprocessing, Splits

CACHE_BYTES = 20 << 30
_MOST_IMAGES, _MOST_PIXELS = 250, 2**19


LearningParts = tuple[Task | Phases, BatchSource, BatchSource | None]
"""What learns, its training batches, and its validation batches where they are not the images."""


@dataclass(frozen=True)
class Prepared:
    """A training that has not begun.

    ``recipe`` has nothing left open; ``macs`` are the network's multiply-adds of one image; ``batches`` are those of
    the training split, shuffled and augmented.
    """

    recipe: Recipe
    dataset: Dataset
    splits: Splits
    preprocessing: Preprocessing
    runtime: Runtime
    macs: int
    task: Task
    examples: Examples
    batches: Batches


@dataclass(frozen=True)
class Preparation:
    """What was prepared, what is known of the images, what the doctor found, and why the options were resolved so."""

    prepared: Prepared
    survey: Survey
    findings: Findings
    reasons: Mapping[str, str]


def prepare(
    recipe: Recipe, options: RuntimeOptions, fold: int = 0, sample: Dataset | None = None, listener: Listener = silent
) -> Preparation:
    """Read the recipe's data or a ``sample`` of it, resolve it, split, build the network. Raises `ConvolveError`."""
    card = check_before_reading(recipe)
    if card is None:
        raise OptionError("Choose a network with --network; `convolve networks` lists them.")
    weights = recipe.transfer.weights
    start = find_starting_weights(weights, card.name, listener) if weights not in (None, AUTO, NO_WEIGHTS) else None
    recipe, reasons = as_trained(recipe, start) if start else (recipe, {})
    dataset, info, task_reason = open_for_task(recipe, card, sample)
    card = models.card_of_counterpart(card, info.classifiers_as) if info.classifiers_as else card
    recipe = dataclasses.replace(recipe, network=card.name) if info.classifiers_as else recipe
    task = find_task(info.name)
    dataset = task.accept(dataset, build_options(info.name, "train", recipe.task_options))
    ground_truth = dataset.ground_truths[task.info.ground_truth]
    if ground_truth.classes and not ground_truth.presence().any():
        raise DataError(f"None of the images in {dataset.root} has any of its classes; label some.")
    head = start is not None and start.fits_head(card.name)
    choices = partial(resolve_for_data, task=task, dataset=dataset, ground_truth=ground_truth, head=head)
    survey, source = read_images(
        dataset.images, lambda facts: find_preprocessing(choices(recipe, facts)[0], facts.channels, start), CACHE_BYTES
    )
    if weights in (None, AUTO) and ((card.classifier or card.name) in SOURCES or "/" in card.name):
        recipe, start = with_official_weights(recipe, card, survey.facts, listener)
    resolved, more = choices(recipe, survey.facts)
    reasons = {**more, "task": task_reason, **reasons}
    if dataset.layout in LAYOUT_NAMES:  # so that the run is always read in the same way
        sources = _sources_below(recipe.data or "", dataset) if dataset.sources else None
        reading = dataclasses.replace(resolved.reading, layout=dataset.layout, annotations=sources)
        resolved = dataclasses.replace(resolved, reading=reading)
    survey = readable(dataset, ground_truth, survey)
    splits = split_by_recipe(resolved, dataset, ground_truth, survey.usable, fold)
    findings = diagnose(dataset, ground_truth, splits, survey, info.imbalance_remedy)
    preprocessing = find_preprocessing(resolved, findings.channels, start, findings)
    outputs = task.outputs(ground_truth.take(splits.train) if info.learned_outputs else ground_truth, card)
    with torch.device("meta"):  # without weights, for what the shapes alone tell
        skeleton, _ = build_network(resolved, outputs, preprocessing)
        size, change = (preprocessing.height, preprocessing.width), resolved.augmentation.multi_scale
        counted = [count_costs(skeleton, torch.empty(1, preprocessing.channels, *size))]
        counted += _costs_of_other_sizes(skeleton, preprocessing, change) if change else []
    macs, costs = sum(counted[0].macs), max(counted, key=lambda each: each.activation_bytes)
    runtime = choose(**vars(options), macs=macs, trained_in=info.trained_in)
    requested, budget = resolved.batch or 1, memory_budget()
    batch = batch_for_memory(requested, costs, resolved.optimization.optimizer or "", runtime, budget)
    if (recipe.batch is None or sample) and batch < requested:
        resolved = dataclasses.replace(resolved, batch=batch)
        reasons["batch"] = f"what fits into {budget / 2**30:.0f} GiB of memory"
    network, loaded = build_network(resolved, outputs, preprocessing, start)
    reasons |= {"weights": loaded if start.source == weights else f"{start.source}; {loaded}"} if start else {}
    task_options = build_options(info.name, "train", resolved.task_options)
    examples = task.examples(dataset, source, preprocessing, task_options, CACHE_BYTES)
    if examples.precompute:
        examples.precompute(np.concatenate([splits.train, splits.validation, splits.test]), listener)
    batches = training_batches(resolved, task, dataset, examples, splits.train, preprocessing)
    if resolved.transfer.freeze:
        models.freeze(network, resolved.transfer.freeze)
    instance = task.build(network, ground_truth, task_options, splits, preprocessing)
    prepared = Prepared(resolved, dataset, splits, preprocessing, runtime, macs, instance, examples, batches)
    return Preparation(prepared, survey, findings, reasons)


def _sources_below(data: str, dataset: Dataset) -> tuple[str, ...] | None:
    """The files of annotations by their paths below the folder ``data``; None where that is one of them itself, or the
    layout has none that can be chosen.
    """
    folder = Path(os.path.expanduser(data))  # noqa: PTH111
    below = Path(os.path.relpath(dataset.root, folder))
    if dataset.layout not in WITH_ANNOTATIONS or not folder.is_dir():
        return None
    return tuple((below / name).as_posix() for name in dataset.sources)


def open_for_task(recipe: Recipe, card: Card | None, sample: Dataset | None = None) -> tuple[Dataset, TaskInfo, str]:
    """The recipe's data, or a ``sample`` of it, with the images that have ground truth for its task, the task, and why
    it is that one.

    ``card`` is that of the network, if it is known. Raises `DataError` where the data has nothing for the task,
    `NetworkError` where the network is for another one, `OptionError` where the task has no training.
    """
    layout = recipe.reading.layout or (find_task(recipe.task).info.layout if recipe.task else None)
    dataset = sample or open_dataset(recipe.data or "", dataclasses.replace(recipe.reading, layout=layout))
    if recipe.task is not None:
        task, reason = find_task(recipe.task).info, "as requested"
    else:
        tasks = [info for info in task_infos() if info.ground_truth in dataset.ground_truths]
        if not tasks:
            raise OptionError(f"{dataset.root} holds {', '.join(dataset.ground_truths)}; choose a --task for it.")
        # The most specific ground truth that the network is for.
        fitting = [info for info in tasks if card is None or card.output in (info.output, *info.other_outputs)]
        task = (fitting or tasks)[-1]
        others = [info for info in tasks if info.ground_truth != task.ground_truth]
        instead = f"; --task {others[-1].name} would use its {others[-1].ground_truth}" if others else ""
        reason = f"the data has {task.ground_truth}{instead}"
    if task.untrained:
        raise OptionError(task.untrained)
    if card is not None and card.output not in (task.output, *task.other_outputs):
        other = models.counterpart(card.name, task.output)
        remedy = f"use --network {other}" if other else "choose another --network or --task"
        given, needed = (OUTPUT_WORDS.get(each, each) for each in (card.output, task.output))
        raise NetworkError(
            f"{card.name} gives scores for {given}, but the task {task.name} needs them for {needed}; {remedy}."
        )
    if task.ground_truth in dataset.ground_truths:  # else the task may compute it
        dataset = dataset.for_ground_truth(task.ground_truth)
    return dataset, task, reason


def build_network(
    recipe: Recipe, outputs: int, preprocessing: Preprocessing, start: StartingWeights | None = None
) -> tuple[Network, str]:
    """A resolved recipe's network, and what of the weights that it starts from was loaded.

    Weights are loaded into the network as its paper has it, and ``--gap`` replaces the head afterwards; those of a
    network whose head was replaced already are loaded into the new one. Raises `NetworkError`, `WeightsError`.
    """
    size, seed = (preprocessing.height, preprocessing.width), recipe.seed or 0
    network = models.create(recipe.network or "", outputs, preprocessing.channels, size, seed, recipe.design)
    if recipe.save_memory:
        models.save_memory(network)
    if not recipe.transfer.gap:
        return network, start.load(network) if start else ""
    pooled = with_gap(network, outputs, seed)
    if start is None:
        return pooled, ""
    if has_gap(start.state):
        return pooled, start.load(pooled)
    return pooled, f"{start.load(network)}; then --gap gave it a randomly initialized head"


def _costs_of_other_sizes(skeleton: Network, preprocessing: Preprocessing, change: float) -> list[Costs]:
    """What an image costs in each size that a training with ``--multi-scale`` draws. Raises `OptionError` where the
    network cannot take one of them.
    """
    counted = []
    for each in input_sizes(change, preprocessing):
        try:
            counted.append(count_costs(skeleton, torch.empty(1, each.channels, each.height, each.width)))
        except NetworkError as error:
            raise OptionError(
                f"--multi-scale {change:g} draws images of {each.width}x{each.height} pixels too, which "
                f"{skeleton.card.name}, built for {preprocessing.width}x{preprocessing.height}, cannot take; leave "
                "--multi-scale out, or choose another network."
            ) from error
    return counted


def training_batches(
    recipe: Recipe,
    task: type[Task],
    dataset: Dataset,
    examples: Examples,
    images: Indices,
    preprocessing: Preprocessing,
) -> Batches:
    """Shuffled and augmented by a resolved recipe, and drawn as the task asks."""
    indices = examples.of(images)
    task_options = build_options(task.info.name, "train", recipe.task_options)
    augmentation = dataclasses.asdict(recipe.augmentation)
    augments = augmentation.pop("crop") != 1.0 or any(augmentation.values())
    options = BatchOptions(
        preprocessing,
        recipe.batch or 1,
        recipe.seed or 0,
        shuffle=True,
        augmentation=recipe.augmentation if augments else None,
        sampler=task.sampler(task_options, dataset.ground_truths[task.info.ground_truth], images),
        workers=reader_threads(),
        drop_last=len(indices) % (recipe.batch or 1) == 1,  # batch normalization cannot learn from a single image
        reflect=task.info.reflect,
    )
    return Batches(examples.source, examples.targets, indices, options)


def evaluation_batches(
    examples: Examples, images: Indices, preprocessing: Preprocessing, *, shuffle: bool = False
) -> Batches:
    """Without augmentation, and few enough images in each that the maps of a large network stay within 2 GB."""
    size = min(_MOST_IMAGES, max(1, _MOST_PIXELS // (preprocessing.height * preprocessing.width)))
    options = BatchOptions(preprocessing, size, seed=0, shuffle=shuffle, workers=reader_threads())
    return Batches(examples.source, examples.targets, examples.of(images), options)


def check_before_reading(recipe: Recipe) -> Card | None:
    """Raise for what is wrong with any data, before a person waits for it to be read; the network's card, if any: that
    of the counterpart of a classifier that is named for a task which adds a head of its own to it.
    """
    if recipe.data is None:
        raise OptionError("Give the data to train on: a folder, a file, or a built-in dataset such as digits.")
    check(recipe, find_task(recipe.task).info.ranges if recipe.task else {})
    if recipe.task is not None:
        build_options(recipe.task, "train", recipe.task_options)
    if recipe.network is None:
        return None
    card = models.card(recipe.network)
    if recipe.task is not None:
        card = models.card_of_counterpart(card, find_task(recipe.task).info.classifiers_as)
    if recipe.transfer.gap or recipe.save_memory or recipe.design != Design():  # not every network can do these
        size = (recipe.size, recipe.size) if recipe.size and recipe.design != Design() else None
        with torch.device("meta"):
            network = models.create(card.name, size=size, design=recipe.design)
            if recipe.save_memory:
                models.save_memory(network)
            if recipe.transfer.gap:
                with_gap(network, card.classes)
    return card


def resolve_for_data(
    recipe: Recipe, facts: ImageFacts, task: type[Task], dataset: Dataset, ground_truth: GroundTruth, *, head: bool
) -> tuple[Recipe, dict[str, str]]:
    """The recipe with nothing left open, and the reasons by the options' names; see `training.defaults.resolve`."""
    counts = [count for count in ground_truth.presence().sum(0).tolist() if count]
    trained = [part for name, part in dataset.given_splits.items() if name != "test"]
    return resolve(
        recipe,
        Facts(
            images=sum(map(len, trained)) or facts.images,
            channels=facts.channels,
            side=facts.shorter_side,
            longer=facts.longer_side,
            photographs=facts.channels == 3 and facts.shorter_side >= PHOTOGRAPH,
            imbalance=max(counts) / min(counts) if counts else 1.0,
            head=head,
        ),
        task.info,
        task.defaults,
        ground_truth,
    )


def split_by_recipe(
    recipe: Recipe, dataset: Dataset, ground_truth: GroundTruth, usable: Indices, fold: int = 0
) -> Splits:
    """The ``usable`` images by a resolved recipe's fractions, or as the data itself is split. Raises `OptionError`
    where that leaves none to validate on.
    """
    own = recipe.splitting
    plan = SplitPlan(own.validation or 0.0, own.test or 0.0, own.group_by, recipe.seed or 0, fold, own.folds or 1)
    splits = split(dataset, ground_truth, plan, usable)
    if not len(splits.validation):
        raise OptionError("The best epoch is selected on a validation split; give --validation a fraction above 0.")
    return with_subset(splits, ground_truth, own.subset, recipe.seed or 0) if own.subset else splits


def find_preprocessing(
    recipe: Recipe, channels: int, start: StartingWeights | None, findings: Findings | None = None
) -> Preprocessing:
    """With weights, what they were trained with; else the channels of the network or of the images, and the training
    split's mean and deviation.

    Before there are ``findings``, mean and deviation are not known. A permutation is that of the weights, where they
    have learned from one. Raises `OptionError` where it would differ from batch to batch.
    """
    permutation = None
    if recipe.task_options.get("permute"):
        if recipe.augmentation.multi_scale:
            raise OptionError("--permute needs inputs of one size; leave out --multi-scale.")
        known = start.preprocessing.permutation if start and start.preprocessing else None
        permutation = (recipe.seed or 0) if known is None else known
    mean, std = (findings.mean, findings.std) if findings else ((0.0,), (1.0,))
    card = models.card(recipe.network or "")
    if card.own_channels:
        channels = card.input[0]
        if channels not in (1, 3):
            raise NetworkError(
                f"{card.name} takes images of {channels} channels, but images have 1 (gray) or 3 (color); choose "
                "another network."
            )
    if start:
        channels = start.channels
        if start.preprocessing:
            mean, std = start.preprocessing.mean, start.preprocessing.std
    if len(mean) != channels:
        mean, std = (float(np.mean(mean)),) * channels, (float(np.mean(std)),) * channels
    std = tuple(max(deviation, 1 / 255) for deviation in std)
    return Preprocessing(recipe.size or 1, recipe.size or 1, channels, recipe.fit or "crop", mean, std, permutation)


def build_training(prepared: Prepared) -> Training:
    """A training that can begin: its network is prepared by the runtime, and frozen stages are computed once."""
    prepared.runtime.prepare(prepared.task.network, learning=True)
    parts: LearningParts = (prepared.task.phases or prepared.task, prepared.batches, None)
    if prepared.recipe.transfer.freeze:
        from convolve.setup.frozen_stages import skip_frozen_stages

        parts = skip_frozen_stages(prepared, prepared.recipe.transfer.freeze) or parts
    validate, phases = partial(_validate, parts, prepared), prepared.task.phases
    return Training(*parts[:2], validate, prepared.recipe, prepared.runtime, phases=phases)


def _validate(parts: LearningParts, prepared: Prepared, network: Network) -> dict[str, float]:
    """The metrics of a network (the one that is evaluated, such as a moving average)."""
    task, train, validation = parts
    evaluated = task.with_network(network)
    if is_precise(prepared.recipe, task.network, len(train)):
        estimate(evaluated, task.network, train, prepared.runtime)
    if validation is None:
        validation = evaluation_batches(prepared.examples, prepared.splits.validation, prepared.preprocessing)
    return evaluate_batches(evaluated, validation.epoch(0), prepared.runtime)
