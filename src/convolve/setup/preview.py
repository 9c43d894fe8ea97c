"""The batches that a training would learn from, before there is one: what a contact sheet shows."""

from __future__ import annotations

from convolve.datasets.batches import Batches
from convolve.datasets.cache import open_cache
from convolve.datasets.doctor import Findings
from convolve.datasets.survey import Survey
from convolve.setup.prepare import find_preprocessing, resolve_for_data, training_batches
from convolve.tasks.registry import build_options, find_task
from convolve.training.recipe import Recipe
from convolve.values import Dataset, Preprocessing


def preview(
    recipe: Recipe, dataset: Dataset, task_name: str, survey: Survey, findings: Findings
) -> tuple[Batches, Preprocessing]:
    """The batches that a training by this recipe would learn from, of all usable images, without a cache."""
    task = find_task(task_name)
    ground_truth = dataset.ground_truths[task.info.ground_truth]
    resolved, _ = resolve_for_data(recipe, survey.facts, task, dataset, ground_truth, head=False)
    preprocessing = find_preprocessing(resolved, findings.channels, None, findings)
    source = open_cache(dataset.images, preprocessing, None, budget=0)
    options = build_options(task.info.name, "train", resolved.task_options)
    examples = task.examples(dataset, source, preprocessing, options, 0)
    return training_batches(resolved, task, dataset, examples, findings.usable, preprocessing), preprocessing
