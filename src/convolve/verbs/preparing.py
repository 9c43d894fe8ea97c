"""From a recipe to everything that a training needs: data looked at and divided, choices settled, a network built."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from convolve.datasets.batches import Batches, BatchOptions, Examples
from convolve.datasets.cache import open_cache
from convolve.datasets.doctor import diagnose, fingerprint
from convolve.datasets.findings import Findings
from convolve.datasets.layouts import open_dataset
from convolve.datasets.splits import SplitPlan, split
from convolve.datasets.survey import Survey, survey
from convolve.errors import DataError, OptionError
from convolve.models import Network
from convolve.models.freeze import freeze
from convolve.options import merge
from convolve.runtime import Runtime, choose, memory_budget
from convolve.summary import summarize
from convolve.tasks.task import Kind, Task, find
from convolve.training.defaults import Facts, settle
from convolve.training.plan import batch_for_memory
from convolve.training.recipe import Recipe
from convolve.training.run import Run
from convolve.values import Dataset, Floats, Indices, Preprocessing, Splits
from convolve.verbs.making import check_making, network_of, skeleton
from convolve.verbs.running import Running
from convolve.verbs.starting import Start, starting_weights

READERS = 2
CACHE_BYTES = 20 << 30
_SCORED, _SCORED_PIXELS = 250, 2**19  # at most so many images, and pixels, are measured together
_PHOTOGRAPH = 96
_FEWEST = Facts(images=1, channels=1, side=1, photographs=False)


@dataclass(frozen=True)
class Prepared:
    """A training that has not begun, or a trained network about to be measured; ``recipe`` has nothing left open."""

    recipe: Recipe
    dataset: Dataset
    splits: Splits
    preprocessing: Preprocessing
    runtime: Runtime
    kind: Kind[Any, Any]
    task: Task
    examples: Examples

    def learning(self) -> Batches:
        """The training split's batches, shuffled and varied."""
        weights = self.kind.sampling(self.recipe, self.dataset, self.splits.train)
        return learning_batches(self.recipe, self.examples, self.splits.train, self.preprocessing, weights)

    def measuring(self, part: Indices) -> Batches:
        """A split's batches, in order and as they are."""
        return measuring_batches(self.examples, part, self.preprocessing)


@dataclass(frozen=True)
class Beginning:
    """What was prepared, what the doctor found, and why the recipe was settled so."""

    prepared: Prepared
    findings: Findings
    reasons: Mapping[str, str]


def prepare(recipe: Recipe, running: Running, fold: int = 0) -> Beginning:
    """Look at the data, settle the recipe, divide the data, build the network. Raises `ConvolveError`."""
    if recipe.data is None:
        raise OptionError("Name the data to learn from: a folder, a file or a named set such as digits.")
    settle(recipe, _FEWEST)  # what is wrong with any data is said before a person waits for it to be read
    check_making(recipe)
    start = starting_weights(recipe.transfer.weights, recipe.network or "") if recipe.transfer.weights else None
    recipe, kept = _as_trained(recipe, start)
    dataset = open_dataset(recipe.data or "", recipe.task)
    kind = find(task_of(recipe, dataset))
    dataset = kind.accept(dataset, recipe)
    seen = survey(dataset.images)
    settled, reasons = settle(recipe, _facts(task_of(recipe, dataset), dataset, seen))
    reasons |= kept
    splits = split(dataset, _split_plan(settled, fold), seen.usable)
    if not len(splits.validation):
        raise OptionError("Some images must select the best epoch; give --validation a share above 0.")
    findings = diagnose(dataset, splits, seen, READERS)
    preprocessing = _preprocessing(settled, findings, start)
    runtime, batch, more = _fitted_to_machine(settled, running, preprocessing, len(dataset.labels.classes))
    if recipe.batch is None:
        settled, reasons = dataclasses.replace(settled, batch=batch), reasons | more
    network, loaded = network_of(settled, len(dataset.labels.classes), preprocessing, start)
    if start:
        named = start.source == recipe.transfer.weights  # then it is said already
        reasons["weights"] = loaded if named else f"{start.source}; {loaded}"
    task = build_task(kind, settled, network, dataset, splits)
    examples = examples_of(kind, dataset, preprocessing)
    prepared = Prepared(settled, dataset, splits, preprocessing, runtime, kind, task, examples)
    return Beginning(prepared, findings, reasons)


def preview(recipe: Recipe, dataset: Dataset, seen: Survey, findings: Findings) -> tuple[Batches, Preprocessing]:
    """What a training by this recipe would see, of all usable images."""
    settled, _ = settle(recipe, _facts(task_of(recipe, dataset), dataset, seen))
    preprocessing = _preprocessing(settled, findings, None)
    kind = find(task_of(recipe, dataset))
    examples, weights = examples_of(kind, dataset, preprocessing, 0), kind.sampling(settled, dataset, seen.usable)
    return learning_batches(settled, examples, seen.usable, preprocessing, weights), preprocessing


def examples_of(
    kind: Kind[Any, Any], dataset: Dataset, preprocessing: Preprocessing, budget: int = CACHE_BYTES
) -> Examples:
    """What batches show of a dataset, from a cache of at most ``budget`` bytes."""
    source = open_cache(dataset.images, preprocessing, None, budget, READERS)
    examples: Examples = kind.examples(dataset, source, preprocessing, budget)
    return examples


def learning_batches(
    recipe: Recipe, examples: Examples, part: Indices, preprocessing: Preprocessing, weights: Floats | None = None
) -> Batches:
    """Batches to learn images from, as a settled recipe has them: shuffled, varied, perhaps drawn by ``weights``."""
    shown = examples.of(part)
    options = BatchOptions(
        preprocessing,
        recipe.batch or 1,
        recipe.seed or 0,
        shuffle=True,
        augmentation=recipe.augmentation if varies(recipe) else None,
        sampler_weights=weights,
        workers=READERS,
        drop_last=len(shown) % (recipe.batch or 1) == 1,  # batch normalization cannot learn from one image alone
    )
    return Batches(examples.source, examples.truth, shown, options)


def scoring_batch(preprocessing: Preprocessing) -> int:
    """How many images are measured together: few enough that the maps of a large network stay within 2 GB."""
    return min(_SCORED, max(1, _SCORED_PIXELS // (preprocessing.height * preprocessing.width)))


def measuring_batches(examples: Examples, part: Indices, preprocessing: Preprocessing) -> Batches:
    """Batches to measure images on: in order, and nothing varied."""
    options = BatchOptions(preprocessing, scoring_batch(preprocessing), seed=0, shuffle=False, workers=READERS)
    return Batches(examples.source, examples.truth, examples.of(part), options)


def _as_trained(recipe: Recipe, start: Start | None) -> tuple[Recipe, dict[str, str]]:
    """With a run's weights, the run's own size and fit where the person says nothing of them, and the reasons."""
    if start is None or start.run is None or start.preprocessing is None:
        return recipe, {}
    own = Recipe(size=start.preprocessing.height, fit=start.preprocessing.fit)
    names = [name for name in ("size", "fit") if getattr(recipe, name) is None]
    return merge(own, recipe), dict.fromkeys(names, f"as {start.run} was trained")


def unchanged(run: Run, dataset: Dataset, splits: Splits) -> bool:
    """Whether a dataset is to the last byte what the run was trained on; reads every file."""
    usable = np.sort(np.concatenate([splits.train, splits.validation, splits.test]))
    return fingerprint(dataset, usable) == str(run.manifest.data["fingerprint"])


def _split_plan(recipe: Recipe, fold: int) -> SplitPlan:
    shares = recipe.splitting
    return SplitPlan(
        shares.validation or 0.0, shares.test or 0.0, shares.group_by, recipe.seed or 0, fold, shares.folds or 1
    )


def build_task(kind: Kind[Any, Any], recipe: Recipe, network: Network, dataset: Dataset, splits: Splits) -> Task:
    """The task of a settled recipe, its network frozen as asked. Raises `NetworkError`."""
    if recipe.transfer.freeze:
        freeze(network, recipe.transfer.freeze)
    task: Task = kind.build(network, recipe, dataset, splits)
    return task


def task_of(recipe: Recipe, dataset: Dataset) -> str:
    """The task that a recipe names, or that the dataset's truth asks for."""
    return recipe.task or ("classify" if dataset.masks is None else "segment")


def varies(recipe: Recipe) -> bool:
    """Whether augmentation changes anything."""
    chosen = dataclasses.asdict(recipe.augmentation)
    return chosen.pop("crop") != 1.0 or any(chosen.values())


def _facts(task: str, dataset: Dataset, seen: Survey) -> Facts:
    counts = dataset.labels.take(seen.usable).counts()
    counts = counts[counts > 0]
    if not len(counts):
        raise DataError(f"No readable image of {dataset.root} carries a label; label some.")
    side, longer = (int(np.median(sides)) for sides in (seen.sizes.min(1), seen.sizes.max(1)))
    learned = np.concatenate([part for name, part in dataset.given.items() if name != "test"] or [seen.usable])
    return Facts(
        images=len(learned),
        channels=3 if seen.color.any() else 1,
        side=side,
        longer=longer,
        photographs=bool(seen.color.any()) and side >= _PHOTOGRAPH,
        imbalance=float(counts.max() / counts.min()),
        multiple=dataset.labels.multiple,
        pixels=task == "segment",
    )


def _preprocessing(recipe: Recipe, findings: Findings, start: Start | None) -> Preprocessing:
    """With weights, what they were trained with; else the training split's own channels, mean and deviation."""
    channels = start.channels if start else findings.channels
    mean, std = findings.mean, findings.std
    if start and start.preprocessing:
        mean, std = start.preprocessing.mean, start.preprocessing.std
    if len(mean) != channels:
        mean, std = (float(np.mean(mean)),) * channels, (float(np.mean(std)),) * channels
    std = tuple(max(deviation, 1 / 255) for deviation in std)
    return Preprocessing(recipe.size or 1, recipe.size or 1, channels, recipe.fit or "crop", mean, std)


def _fitted_to_machine(
    recipe: Recipe, running: Running, preprocessing: Preprocessing, classes: int
) -> tuple[Runtime, int, dict[str, str]]:
    """The runtime, and a batch that fits into memory, with the reason where that made it smaller."""
    shape = (preprocessing.channels, preprocessing.height, preprocessing.width)
    summary = summarize(skeleton(recipe, classes, preprocessing), shape)
    runtime = choose(running.device, running.precision, running.threads, summary.macs)
    wanted, budget = recipe.batch or 1, memory_budget()
    batch = batch_for_memory(wanted, summary, recipe.optimization.optimizer or "", runtime, budget)
    reasons = {"batch": f"what {budget / 2**30:.0f} GiB of memory allow"} if batch < wanted else {}
    return runtime, batch, reasons
