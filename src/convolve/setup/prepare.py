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
from convolve.choices import AUTO, IMAGENET, NO_WEIGHTS
from convolve.datasets.augment import input_sizes
from convolve.datasets.batches import Batches, BatchOptions, Examples
from convolve.datasets.cache import read_images
from convolve.datasets.doctor import Findings, diagnose, readable
from convolve.datasets.layouts import LAYOUT_NAMES, WITH_ANNOTATIONS, open_dataset
from convolve.datasets.parallel import reader_threads
from convolve.datasets.splits import SplitPlan, split
from convolve.datasets.survey import ImageFacts, Survey
from convolve.errors import DataError, NetworkError, OptionError
from convolve.interop.weights import SOURCES
from convolve.models import Card, Network
from convolve.models.gap import has_gap, with_gap
from convolve.options import merge
from convolve.progress import Listener, silent
from convolve.runtime import Runtime, choose, memory_budget
from convolve.setup.runtime_options import RuntimeOptions
from convolve.setup.starting_weights import StartingWeights, fetch_official_weights, find_starting_weights
from convolve.summary import Costs, count_costs
from convolve.tasks.info import TaskInfo
from convolve.tasks.registry import build_options, find_task, task_infos
from convolve.tasks.task import Task
from convolve.training.defaults import Facts, resolve
from convolve.training.evaluation import evaluate_batches
from convolve.training.plan import batch_for_memory
from convolve.training.recipe import Recipe, check
from convolve.training.step import BatchSource, Training
from convolve.values import Dataset, GroundTruth, Indices, Preprocessing, Splits

CACHE_BYTES = 20 << 30
PHOTOGRAPH = 96
"""From this median shorter side on, color images count as photographs."""
_MOST_IMAGES, _MOST_PIXELS = 250, 2**19


LearningParts = tuple[Task, BatchSource, BatchSource | None]
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
    """Read the recipe's data, or only a ``sample`` of it, resolve the recipe, split the data, build the network. Raises
    `ConvolveError`.
    """
    card = check_before_reading(recipe)
    if card is None:
        raise OptionError("Choose a network with --network; `convolve networks` lists them.")
    weights = recipe.transfer.weights
    start = find_starting_weights(weights, card.name, listener) if weights not in (None, AUTO, NO_WEIGHTS) else None
    reasons: dict[str, str] = {}
    if start and start.run:
        recipe, reasons = _as_its_run(recipe, start)
    dataset, info, task_reason = open_for_task(recipe, card, sample)
    task = find_task(info.name)
    dataset = task.accept(dataset, build_options(info.name, "train", recipe.task_options))
    ground_truth = dataset.ground_truths[task.info.ground_truth]
    if ground_truth.classes and not ground_truth.presence().any():
        raise DataError(f"None of the images in {dataset.root} has any of its classes; label some.")
    choices = partial(resolve_for_data, task=task, dataset=dataset, ground_truth=ground_truth)
    survey, source = read_images(
        dataset.images, lambda facts: find_preprocessing(choices(recipe, facts)[0], facts.channels, start), CACHE_BYTES
    )
    if weights in (None, AUTO) and ((card.classifier or card.name) in SOURCES or "/" in card.name):
        recipe, start = _with_official_weights(recipe, card, survey.facts, listener)
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
    outputs = task.outputs(ground_truth)
    with torch.device("meta"):  # without weights, for what the shapes alone tell
        skeleton, _ = build_network(resolved, outputs, preprocessing)
        size, change = (preprocessing.height, preprocessing.width), resolved.augmentation.multi_scale
        counted = [count_costs(skeleton, torch.empty(1, preprocessing.channels, *size))]
        counted += _costs_of_other_sizes(skeleton, preprocessing, change) if change else []
    macs, costs = sum(counted[0].macs), max(counted, key=lambda each: each.activation_bytes)
    runtime = choose(**vars(options), macs=macs)
    requested, budget = resolved.batch or 1, memory_budget()
    batch = batch_for_memory(requested, costs, resolved.optimization.optimizer or "", runtime, budget)
    if (recipe.batch is None or sample) and batch < requested:
        resolved = dataclasses.replace(resolved, batch=batch)
        reasons["batch"] = f"what fits into {budget / 2**30:.0f} GiB of memory"
    network, loaded = build_network(resolved, outputs, preprocessing, start)
    if start:
        reasons["weights"] = loaded if start.source == weights else f"{start.source}; {loaded}"
    examples = task.examples(dataset, source, preprocessing, CACHE_BYTES)
    batches = training_batches(resolved, task, dataset, examples, splits.train, preprocessing)
    if resolved.transfer.freeze:
        models.freeze(network, resolved.transfer.freeze)
    task_options = build_options(info.name, "train", resolved.task_options)
    instance = task.build(network, ground_truth, task_options, splits, preprocessing)
    prepared = Prepared(resolved, dataset, splits, preprocessing, runtime, macs, instance, examples, batches)
    return Preparation(prepared, survey, findings, reasons)


def _as_its_run(recipe: Recipe, start: StartingWeights) -> tuple[Recipe, dict[str, str]]:
    """A recipe whose input is that of the run whose weights it starts from, where the recipe says nothing of it, and
    the reasons.
    """
    if start.preprocessing is None:
        return recipe, {}
    names = [name for name in ("size", "fit") if getattr(recipe, name) is None]
    reasons = dict.fromkeys(names, f"as {start.run} was trained")
    return merge(Recipe(size=start.preprocessing.height, fit=start.preprocessing.fit), recipe), reasons


def _with_official_weights(
    recipe: Recipe, card: Card, facts: ImageFacts, listener: Listener
) -> tuple[Recipe, StartingWeights | None]:
    """A recipe that starts from official weights, and these, where images are photographs and the weights can be had.

    Raises `WeightsError`.
    """
    photographs = facts.channels == 3 and facts.shorter_side >= PHOTOGRAPH
    if not photographs or not fetch_official_weights(card.name, listener):
        return recipe, None
    found = find_starting_weights(IMAGENET, card.name, listener)
    found = dataclasses.replace(found, source=f"pretrained, since the images are photographs; {found.source}")
    return dataclasses.replace(recipe, transfer=dataclasses.replace(recipe.transfer, weights=IMAGENET)), found


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
    `NetworkError` where the network is for another one.
    """
    dataset = sample or open_dataset(recipe.data or "", recipe.reading)
    if recipe.task is not None:
        task, reason = find_task(recipe.task).info, "as requested"
    else:
        tasks = [info for info in task_infos() if info.ground_truth in dataset.ground_truths]
        if not tasks:
            raise OptionError(f"{dataset.root} holds {', '.join(dataset.ground_truths)}; choose a --task for it.")
        # The most specific ground truth that the network is for.
        task = ([info for info in tasks if card is None or info.output == card.output] or tasks)[-1]
        others = [info for info in tasks if info.ground_truth != task.ground_truth]
        instead = f"; --task {others[-1].name} would use its {others[-1].ground_truth}" if others else ""
        reason = f"the data has {task.ground_truth}{instead}"
    if card is not None and card.output != task.output:
        other = models.counterpart(card.name, task.output)
        remedy = f"use --network {other}" if other else "choose another --network or --task"
        given, needed = ("the whole image" if each == "image" else each for each in (card.output, task.output))
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
    network = models.create(recipe.network or "", outputs, preprocessing.channels, size, seed=seed)
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
        sampler_weights=task.sampling_weights(task_options, dataset.ground_truths[task.info.ground_truth], images),
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
    """Raise for what is wrong with any data, before a person waits for it to be read; the network's card, if any."""
    if recipe.data is None:
        raise OptionError("Give the data to train on: a folder, a file, or a built-in dataset such as digits.")
    check(recipe, find_task(recipe.task).info.ranges if recipe.task else {})
    if recipe.task is not None:
        build_options(recipe.task, "train", recipe.task_options)
    if recipe.network is None:
        return None
    card = models.card(recipe.network)
    if recipe.transfer.gap or recipe.save_memory:  # not every network can do these
        with torch.device("meta"):
            network = models.create(recipe.network)
            if recipe.save_memory:
                models.save_memory(network)
            if recipe.transfer.gap:
                with_gap(network, card.classes)
    return card


def resolve_for_data(
    recipe: Recipe, facts: ImageFacts, task: type[Task], dataset: Dataset, ground_truth: GroundTruth
) -> tuple[Recipe, dict[str, str]]:
    """The recipe with nothing left open, and the reasons by the options' names; see `training.defaults.resolve`."""
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
            photographs=facts.channels == 3 and facts.shorter_side >= PHOTOGRAPH,
            imbalance=float(counts.max() / counts.min()) if len(counts) else 1.0,
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
    return splits


def find_preprocessing(
    recipe: Recipe, channels: int, start: StartingWeights | None, findings: Findings | None = None
) -> Preprocessing:
    """With weights, what they were trained with; else the channels of the network or of the images, and the training
    split's mean and deviation.

    Before there are ``findings``, mean and deviation are not known.
    """
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
    return Preprocessing(recipe.size or 1, recipe.size or 1, channels, recipe.fit or "crop", mean, std)


def build_training(prepared: Prepared) -> Training:
    """A training that can begin: its network is prepared by the runtime, and frozen stages are computed once."""
    prepared.runtime.prepare(prepared.task.network, learning=True)
    parts: LearningParts = (prepared.task, prepared.batches, None)
    if prepared.recipe.transfer.freeze:
        from convolve.setup.frozen_stages import skip_frozen_stages

        parts = skip_frozen_stages(prepared, prepared.recipe.transfer.freeze) or parts
    task, train, validation = parts
    validate = partial(_validate, task, validation, prepared)
    return Training(task, train, validate, prepared.recipe, prepared.runtime)


def _validate(task: Task, batches: BatchSource | None, prepared: Prepared, network: Network) -> dict[str, float]:
    """The metrics of a network (the one that is evaluated, such as a moving average) at a task."""
    if batches is None:
        batches = evaluation_batches(prepared.examples, prepared.splits.validation, prepared.preprocessing)
    return evaluate_batches(task.with_network(network), batches.epoch(0), prepared.runtime)
