"""Which task a dataset is for, and the dataset as that task sees it."""

from __future__ import annotations

from convolve import models
from convolve.datasets.layouts import open_dataset
from convolve.errors import DataError, NetworkError, OptionError
from convolve.models import Card
from convolve.tasks.info import TaskInfo
from convolve.tasks.registry import task_info, task_names
from convolve.training.recipe import Recipe
from convolve.values import Dataset

_FROM_FILES = ("labels", "masks")
"""Ground truth that only the data itself can have; a task may compute any other."""


def open_for_task(recipe: Recipe, card: Card | None) -> tuple[Dataset, TaskInfo, str]:
    """The recipe's data with the images that have ground truth for its task, the task, and why it is that one.

    ``card`` is that of the network, if it is known. Raises `DataError` where the data has nothing for the task,
    `NetworkError` where the network is for another one.
    """
    dataset = open_dataset(recipe.data or "", recipe.reading)
    if recipe.task is not None:
        task, reason = task_info(recipe.task), "as requested"
    else:
        tasks = [info for info in map(task_info, task_names()) if info.ground_truth in dataset.ground_truths]
        if not tasks:
            raise OptionError(f"{dataset.root} holds {', '.join(dataset.ground_truths)}; choose a --task for it.")
        # The most specific ground truth that the network is for.
        task = ([info for info in tasks if card is None or info.output == card.output] or tasks)[-1]
        others = [info for info in tasks if info.ground_truth != task.ground_truth]
        instead = f"; --task {others[-1].name} would use its {others[-1].ground_truth}" if others else ""
        reason = f"the data has {task.ground_truth}{instead}"
    if card is not None and card.output != task.output:
        raise NetworkError(_network_advice(card, task))
    if task.ground_truth in _FROM_FILES and task.ground_truth not in dataset.ground_truths:
        raise DataError(_missing(dataset, task))
    return restrict(dataset, task.ground_truth), task, reason


def restrict(dataset: Dataset, ground_truth: str) -> Dataset:
    """The images that a ground truth covers; all where there is none of that name, which a task may then compute."""
    return dataset.for_ground_truth(ground_truth) if ground_truth in dataset.ground_truths else dataset


def _missing(dataset: Dataset, task: TaskInfo) -> str:
    """That a task has no ground truth in a dataset, how this was read, and why not otherwise."""
    notes = "".join(f" Note: {note}." for note in dataset.notes)
    return (
        f"{dataset.root} has no {task.ground_truth} for --task {task.name}: it was read as {dataset.layout} "
        f"({dataset.reason}), with {', '.join(dataset.ground_truths)}; choose another task or add them.{notes}"
    )


def _network_advice(card: Card, task: TaskInfo) -> str:
    instead = models.counterpart(card.name, task.output)
    remedy = f"use --network {instead}" if instead else "choose another --network or --task"
    given, needed = ("the whole image" if output == "image" else output for output in (card.output, task.output))
    return f"{card.name} gives scores for {given}, but the task {task.name} needs them for {needed}; {remedy}."
