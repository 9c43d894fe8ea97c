"""Training: mini-batches in random order, with a gradient and an optimizer step for each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from convolve.from_scratch.arrays import Array, Labels
from convolve.from_scratch.networks import Model
from convolve.from_scratch.optimizers import Optimizer


@dataclass(frozen=True)
class LabeledData:
    """``x`` (N, …) in the model's number format and ``labels`` (N,)."""

    x: Array
    labels: Labels


def train(
    model: Model, data: LabeledData, optimizer: Optimizer, epochs: int, batch_size: int | None = 100, seed: int = 0
) -> Iterator[float]:
    """Train, and yield the mean loss of each epoch as it ends; training stops when the iteration does.

    ``batch_size`` None makes all examples one batch; the last batch may be smaller. ``seed`` decides the order.
    """
    random = np.random.default_rng(seed)
    count = len(data.labels)
    size = batch_size or count
    for _ in range(epochs):
        order, total = random.permutation(count), 0.0
        for start in range(0, count, size):
            batch = order[start : start + size]
            loss, gradients = model.gradients(data.x[batch], data.labels[batch])
            optimizer.step(model.parameters, gradients)
            total += loss * len(batch)
        yield total / count


def accuracy(model: Model, data: LabeledData, batch_size: int = 1000) -> float:
    """The fraction of examples whose true class has the highest score."""
    starts = range(0, len(data.labels), batch_size)
    predictions = [model.scores(data.x[start : start + batch_size]).argmax(1) for start in starts]
    return float((np.concatenate(predictions) == data.labels).mean())
