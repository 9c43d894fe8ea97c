"""From what was prepared to a training: what learns, from which batches, and how it is validated."""

from __future__ import annotations

import math
from functools import partial

from convolve.models import Network
from convolve.runtime import memory_budget
from convolve.setup.prepare import Prepared, evaluation_batches
from convolve.tasks.task import Task
from convolve.training.evaluation import evaluate_batches
from convolve.training.step import BatchSource, Training

LearningParts = tuple[Task, BatchSource, BatchSource | None]
"""What learns, its training batches, and its validation batches where they are not the images."""


def build_training(prepared: Prepared) -> Training:
    """A training that can begin: its network is prepared by the runtime, and frozen stages are computed once."""
    prepared.runtime.prepare(prepared.task.network, learning=True)
    parts: LearningParts = (prepared.task, prepared.batches, None)
    if prepared.recipe.transfer.freeze:
        parts = _skip_frozen_stages(prepared, prepared.recipe.transfer.freeze) or parts
    task, train, validation = parts
    validate = partial(_validate, task, validation, prepared)
    return Training(task, train, validate, prepared.recipe, prepared.runtime)


def _skip_frozen_stages(prepared: Prepared, stage: str) -> LearningParts | None:
    """What is learned after the frozen ``stage``, whose maps are computed only once; None where its input is augmented,
    a later stage needs earlier ones, or memory does not suffice.
    """
    from convolve.training.frozen import cache_features

    task, splits, input_size = prepared.task, prepared.splits, prepared.preprocessing
    network = task.network
    if prepared.batches.augmented or task.changes_images or network.head_inputs:
        return None
    stride = network.strides[stage]
    cells = math.ceil(input_size.height / stride) * math.ceil(input_size.width / stride)
    examples = sum(len(prepared.examples.of(part)) for part in (splits.train, splits.validation))
    if 4 * network.channels[stage] * cells * examples > memory_budget() // 2:
        return None
    cache = partial(cache_features, network, stage, runtime=prepared.runtime)
    evaluation = partial(evaluation_batches, prepared.examples, preprocessing=input_size)
    validation = evaluation(splits.validation)
    features = cache(prepared.batches, evaluation(splits.train)), cache(validation, validation)
    return task.with_network(network.tail(stage)), *features


def _validate(task: Task, batches: BatchSource | None, prepared: Prepared, network: Network) -> dict[str, float]:
    """The metrics of a network (the one that is evaluated, such as a moving average) at a task."""
    if batches is None:
        batches = evaluation_batches(prepared.examples, prepared.splits.validation, prepared.preprocessing)
    return evaluate_batches(task.with_network(network), batches.epoch(0), prepared.runtime)
