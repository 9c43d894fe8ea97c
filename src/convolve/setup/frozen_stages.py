"""Transfer learning with frozen stages: their maps are computed once, and only what follows them is trained."""

from __future__ import annotations

import math
from functools import partial

from convolve.runtime import memory_budget
from convolve.setup.prepare import LearningParts, Prepared, evaluation_batches
from convolve.training.frozen import cache_features


def skip_frozen_stages(prepared: Prepared, stage: str) -> LearningParts | None:
    """What is learned after the frozen ``stage``, whose maps are computed only once; None where its input is augmented,
    a later stage needs earlier ones, or memory does not suffice.
    """
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
