"""Training without a question: a network, its input size, weights and epochs for the data, the machine and the time.

Candidates stand in a table, the best first. Each that suits the data is tried: a few of its steps are timed on a sample
of the images, on this machine as it is now. The first that learns enough within the time is taken. All ends in values
of an ordinary recipe, which repeats the run.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from convolve import models
from convolve.choices import AUTO, IMAGENET, NO_WEIGHTS
from convolve.datasets.survey import ImageFacts, survey
from convolve.errors import DataError, OptionError, TrainingError, WeightsError
from convolve.interop.weights import has_cached_weights
from convolve.layers.design import Design, fits_published, flags
from convolve.options import merge
from convolve.progress import Listener, Message, format_duration
from convolve.setup.prepare import (
    build_training,
    check_before_reading,
    open_for_task,
    prepare,
    resolve_for_data,
    split_by_recipe,
)
from convolve.setup.runtime_options import RuntimeOptions
from convolve.setup.starting_weights import PHOTOGRAPH, fetch_official_weights
from convolve.tasks.registry import build_options, find_task
from convolve.tasks.task import Task
from convolve.training.plan import SECONDS, measure
from convolve.training.recipe import Recipe, Splitting, Transfer, values
from convolve.training.run import open_run, recipe_to_build
from convolve.training.time_limit import TimeLimit
from convolve.values import Dataset, GroundTruth, Indices

MINUTES = 10.0
"""How long a training takes at most when neither a network nor a time is given."""
_SAMPLE, _BATCHES = 64, 4
"""Images in a sample: so many, or enough for so many batches."""
_ENOUGH = 0.5
"""A candidate learns enough when it can make this fraction of the epochs that the data deserve."""
_USABLE = 0.85
"""Of the time that is left: the rest is for checkpoints, and for a machine that becomes slower."""
_REPORT = 5.0
"""Seconds for the report at least; on a busy machine it takes about as long as preparing a training."""
_TRIAL = 1 / 60
"""Of the time: how long a candidate's steps are timed at most."""
_CHOOSING = 0.25
"""Of the time: when so much is gone, only the last candidate is still tried."""


@dataclass(frozen=True)
class Candidate:
    """A network with a ``size`` of its input (None: what the recipe's defaults say) and what it needs: ``large`` images
    or small ones, at least so many ``images`` (few do not show what a fine resolution is for), and if it is
    ``pretrained`` on ImageNet those weights on this machine.
    """

    network: str
    size: int | None = None
    large: bool = True
    pretrained: bool = False
    images: int = 0

    def __str__(self) -> str:
        pretrained = " with ImageNet weights" if self.pretrained else ""
        return f"{self.network}{f' at {self.size} pixels' if self.size else ''}{pretrained}"


CANDIDATES: Mapping[str, tuple[Candidate, ...]] = {
    "image": (
        Candidate("resnet50_v1_5", 224, pretrained=True),
        Candidate("resnet18", 224, pretrained=True),
        Candidate("resnet18", 128, pretrained=True),
        Candidate("resnet18", 224, images=10_000),
        Candidate("resnet18", 128, images=1_000),
        Candidate("resnet18", 64),
        Candidate("resnet20_cifar", 32),
        Candidate("resnet18", large=False),
        Candidate("resnet20_cifar", large=False),
        Candidate("lenet5_keras", large=False),
    ),
    "pixels": (
        Candidate("fcn8s_resnet18", 224, pretrained=True),
        Candidate("fcn8s_resnet18", 224),
        Candidate("fcn8s_resnet18", 128),
        Candidate("fcn1s_resnet20_cifar", 64),
        Candidate("fcn1s_resnet20_cifar", 64, large=False),
    ),
    "box": (
        Candidate("localize_resnet18", 224, pretrained=True),
        Candidate("localize_resnet18", 128, pretrained=True),
        Candidate("localize_resnet18", 224, images=10_000),
        Candidate("localize_resnet18", 128),
        Candidate("localize_resnet20_cifar", 64),
        Candidate("localize_resnet18", large=False),
        Candidate("localize_resnet20_cifar", large=False),
    ),
    "boxes": (
        Candidate("yolo_compact_resnet18", 320, pretrained=True),
        Candidate("yolo_compact", 416, images=1_000),
        Candidate("yolo_compact", 320),
        Candidate("yolo_compact", 224),
        Candidate("yolo_compact", 128),
        Candidate("yolo_compact", 256, large=False),
        Candidate("yolo_compact", 128, large=False),
    ),
    "points": (
        Candidate("simple_baseline_resnet18", 256, pretrained=True),
        Candidate("simple_baseline_resnet18", 256),
        Candidate("simple_baseline_resnet18", 128),
        Candidate("simple_baseline_resnet18", 128, large=False),
        Candidate("simple_baseline_resnet18", 64, large=False),
    ),
}
"""By what a network gives scores for (`Card.output`): the best first, the fastest last."""


@dataclass(frozen=True)
class Chosen:
    """A recipe, the reasons by its values' names, and the time that the training may take, if that is limited."""

    recipe: Recipe
    reasons: Mapping[str, str] = field(default_factory=dict)
    limit: TimeLimit | None = None


@dataclass(frozen=True)
class _Data:
    """What candidates are tried on: data as it was ``opened``, and what the ``task`` ``accepted`` of it; the
    indices of images of it that can be read, ``spread`` evenly; the facts of all images, as those tell; and how many
    seconds reading all others will take.
    """

    opened: Dataset
    accepted: Dataset
    task: type[Task]
    spread: Indices
    facts: ImageFacts
    reading: float

    @property
    def ground_truth(self) -> GroundTruth:
        """What the task learns from."""
        return self.accepted.ground_truths[self.task.info.ground_truth]

    def sample(self, count: int) -> Dataset:
        """About ``count`` of the images, every fourth of them in the validation split."""
        indices = self.spread[np.unique(np.linspace(0, len(self.spread) - 1, count).astype(np.int64))]
        numbers = np.arange(len(indices))
        given = {"train": numbers[numbers % 4 != 0], "validation": numbers[numbers % 4 == 0]}
        return replace(self.opened.take(indices), given_splits=given)


@dataclass(frozen=True)
class _Trial:
    """How a candidate does here: its recipe, the seconds of ``preparing`` a training, of an ``epoch`` with its
    validation and of ``ending`` (evaluation and report), and how many epochs the data deserve, with the reason.
    """

    recipe: Recipe
    preparing: float
    epoch: float
    ending: float
    deserved: int
    reason: str

    def affordable(self, limit: TimeLimit, reading: float) -> int:
        """How many epochs of one fold fit into the time that is left."""
        folds = self.recipe.splitting.folds or 1
        seconds = _USABLE * (limit.left() - reading) / folds - self.preparing - self.ending
        return max(int(seconds / self.epoch), 0)


def choose(recipe: Recipe, runtime_options: RuntimeOptions, limit: TimeLimit, listener: Listener) -> Chosen:
    """Complete a recipe so that a training by it keeps within the limit. Raises `ConvolveError`.

    What the recipe has stays; where it has epochs, they win, and nothing limits the time.
    """
    if recipe.transfer.weights == AUTO:  # as where nothing is said
        recipe = replace(recipe, transfer=replace(recipe.transfer, weights=None))
    data = _open(recipe)
    candidates, note = _suitable(recipe, data, listener)
    passed: list[str] = []
    best: tuple[Candidate, _Trial] | None = None
    for candidate in candidates:
        if limit.left() < (1 - _CHOOSING) * limit.seconds and candidate != candidates[-1]:
            passed.append(f"{candidate} was not tried, for lack of time")
            continue
        listener(Message(f"Trying {candidate} for a moment ..."))
        try:
            trial = _try(merge(_as_recipe(candidate), recipe), data, runtime_options, limit)
        except (TrainingError, WeightsError) as error:
            if candidate == candidates[-1] and best is None:
                raise
            passed.append(f"{candidate} cannot be used here: {str(error).partition(';')[0]}")
            continue
        best = candidate, trial
        least = trial.deserved if recipe.epochs else _ENOUGH * trial.deserved
        if trial.affordable(limit, data.reading) >= least:
            break
        if candidate != candidates[-1]:
            passed.append(f"{candidate} would need {format_duration(trial.deserved * trial.epoch)}")
    if best is None:
        raise OptionError("Choose a network with --network; `convolve networks` lists them.")
    return _complete(recipe, *best, limit, data.reading, [each for each in (*passed, note) if each])


def _open(recipe: Recipe) -> _Data:
    """Open the data, and read a few of its images."""
    card = check_before_reading(recipe)
    dataset, info, _ = open_for_task(recipe, card)
    task = find_task(info.name)
    accepted = task.accept(dataset, _task_options(recipe, info.name))
    spread = np.unique(np.linspace(0, len(dataset) - 1, min(_SAMPLE, len(dataset))).astype(np.int64))
    since = time.perf_counter()
    try:
        found = survey(dataset.images.take(spread))
        usable = spread[found.usable]
    except DataError:  # too many of these few cannot be read, or of all images
        spread = np.arange(len(dataset))
        found = survey(dataset.images)
        usable = found.usable
    each = (time.perf_counter() - since) / len(spread)
    if len(spread) < len(dataset):
        failed = np.setdiff1d(spread, usable)
        usable = np.setdiff1d(np.arange(len(dataset)), failed)
    facts = replace(found.facts, images=len(dataset))
    return _Data(dataset, accepted, task, usable, facts, each * (len(dataset) - len(spread)))


def _task_options(recipe: Recipe, task: str) -> Any:
    return build_options(task, "train", recipe.task_options)


def _suitable(recipe: Recipe, data: _Data, listener: Listener) -> tuple[list[Candidate], str]:
    """The candidates that suit the images and the recipe, and a note on what was left out, if anything was. Official
    weights are fetched where they would suit and are not here.
    """
    weights = recipe.transfer.weights
    if recipe.network is None and recipe.design != Design() and weights in (None, NO_WEIGHTS, IMAGENET):
        raise OptionError(f"Name the --network that {flags(recipe.design)} is to change.")
    photographs = data.facts.channels == 3 and data.facts.shorter_side >= PHOTOGRAPH
    automatic = weights is None and photographs and fits_published(recipe.design)
    if recipe.network is not None:  # only its epochs are chosen
        fetched = automatic and fetch_official_weights(recipe.network, listener)
        return [Candidate(recipe.network, large=photographs, pretrained=fetched)], ""
    if weights not in (None, NO_WEIGHTS, IMAGENET):
        if not Path(weights or "").is_dir():
            raise OptionError("Name the --network that these --weights are of.")
        own = recipe_to_build(open_run(Path(weights or ""))).network
        return [Candidate(own or "")], "as the weights are its own"
    large = data.facts.shorter_side >= PHOTOGRAPH
    named = data.task.suitable_networks(_task_options(recipe, data.task.info.name), data.facts.channels)
    suited = [Candidate(name, large=large) for name in named] or CANDIDATES.get(data.task.info.output)
    if suited is None:
        raise OptionError(
            f"Choose a network for the task {data.task.info.name} with --network; `convolve networks` lists them."
        )
    images = recipe.splitting.subset or data.facts.images
    enough = [candidate for candidate in suited if candidate.images <= images]
    fitting = [candidate for candidate in enough if candidate.large == large]
    fitting = [replace(candidate, size=recipe.size or candidate.size, images=0) for candidate in fitting]
    if weights == NO_WEIGHTS:
        return list(dict.fromkeys(each for each in fitting if not each.pretrained)), ""
    if weights == IMAGENET:
        fitting = [candidate for candidate in fitting if candidate.pretrained]
        if not fitting:
            raise OptionError("Name a --network for these --weights; for small images none is chosen.")
        return list(dict.fromkeys(fitting)), ""
    pretrained = [candidate for candidate in fitting if candidate.pretrained]
    if automatic and pretrained and not any(map(_has_weights, pretrained)):
        fetch_official_weights(pretrained[-1].network, listener)  # of the fastest
    here = [candidate for candidate in fitting if not candidate.pretrained or _has_weights(candidate)]
    lacking = not any(candidate.pretrained for candidate in here) and len(here) < len(fitting)
    note = "ImageNet weights are not on this machine (--weights imagenet downloads them)" if lacking else ""
    return list(dict.fromkeys(here)), note


def _has_weights(candidate: Candidate) -> bool:
    return has_cached_weights(models.card(candidate.network).classifier or candidate.network)


def _as_recipe(candidate: Candidate) -> Recipe:
    weights = IMAGENET if candidate.pretrained else NO_WEIGHTS if candidate.large else None
    return Recipe(network=candidate.network, size=candidate.size, transfer=Transfer(weights=weights))


def _try(recipe: Recipe, data: _Data, runtime_options: RuntimeOptions, limit: TimeLimit) -> _Trial:
    """Time some steps and a validation by this recipe, on a sample. Raises `ConvolveError`."""
    resolved, reasons = resolve_for_data(recipe, data.facts, data.task, data.accepted, data.ground_truth, head=False)
    usable = np.arange(len(data.accepted))
    splits = split_by_recipe(resolved, data.accepted, data.ground_truth, usable)
    sample = data.sample(max(_SAMPLE, _BATCHES * (resolved.batch or 1)))
    trial = replace(resolved, splitting=Splitting(validation=0.0, test=0.0))
    since = time.perf_counter()
    prepared = prepare(trial, runtime_options, sample=sample).prepared
    preparing = time.perf_counter() - since
    training = build_training(prepared)
    speed = measure(training, 0, min(SECONDS, _TRIAL * limit.seconds)).images_per_second
    since = time.perf_counter()
    training.validate(prepared.task.network)
    if time.perf_counter() - since < 1:  # else the first time, which warms caches up, is little of it
        since = time.perf_counter()
        training.validate(prepared.task.network)
    validating = (time.perf_counter() - since) / len(prepared.splits.validation)
    learned, batch = prepared.splits.train, prepared.recipe.batch or 1
    examples = len(splits.train) * len(prepared.examples.of(learned)) / len(learned)
    evaluated = len(splits.validation) + max(len(splits.test), len(splits.validation))
    return _Trial(
        resolved,
        preparing,
        epoch=math.ceil(examples / batch) * batch / speed + len(splits.validation) * validating,
        ending=validating * evaluated + max(_REPORT, preparing),
        deserved=resolved.epochs or 1,
        reason=reasons.get("epochs", "as requested"),
    )


def _complete(
    recipe: Recipe, candidate: Candidate, trial: _Trial, limit: TimeLimit, reading: float, notes: Sequence[str]
) -> Chosen:
    """The recipe with what was chosen, and why."""
    minutes = format_duration(limit.seconds)
    epochs = recipe.epochs or max(1, min(trial.affordable(limit, reading), trial.deserved))
    length = f"about {format_duration(epochs * trial.epoch)}"
    if epochs < trial.deserved:
        why = f"what fits into {minutes}, {length}; without a limit {trial.deserved}: {trial.reason}"
    else:
        why = f"{trial.reason}; {length} of {minutes}"
    images = "large images" if candidate.large else "small images"
    suited = f"the best of the candidates for {images} that learns enough in {minutes}"
    if epochs < _ENOUGH * trial.deserved:
        suited = f"the fastest of the candidates for {images}"
    found = {
        "network": "; ".join([suited, *notes]),
        "size": "tried together with the network",
        "epochs": why,
    }
    if candidate.pretrained:
        found["weights"] = "they are on this machine, and save most epochs"
    chosen = merge(merge(_as_recipe(candidate), Recipe(epochs=epochs)), recipe)
    before, after = values(recipe), values(chosen)
    reasons = {name: reason for name, reason in found.items() if before[name] is None and after[name] is not None}
    own = None if recipe.epochs else replace(limit, reserve=trial.ending)
    return Chosen(chosen, reasons, own)
