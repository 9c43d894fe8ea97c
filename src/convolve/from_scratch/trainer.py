"""Training: batches in random order, a gradient each, a step each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from convolve.from_scratch.arrays import Array, Labels
from convolve.from_scratch.network import Model
from convolve.from_scratch.optimizers import Optimizer


@dataclass(frozen=True)
class Examples:
    """``x`` (N, …) in the model's number format and ``labels`` (N,)."""

    x: Array
    labels: Labels


@dataclass(frozen=True)
class Plan:
    """How often all examples are gone through, how many make a batch (None: all), and the seed of their order."""

    epochs: int
    batch: int | None = 100
    seed: int = 0


def train(model: Model, examples: Examples, optimizer: Optimizer, plan: Plan) -> Iterator[float]:
    """Train, and yield the mean loss of each epoch as it ends; stopping to iterate stops the training.

    A last batch may be smaller than the others.
    """
    random = np.random.default_rng(plan.seed)
    count = len(examples.labels)
    size = plan.batch or count
    for _ in range(plan.epochs):
        order, total = random.permutation(count), 0.0
        for start in range(0, count, size):
            chosen = order[start : start + size]
            loss, gradients = model.gradients(examples.x[chosen], examples.labels[chosen])
            optimizer.step(model.parameters, gradients)
            total += loss * len(chosen)
        yield total / count


def accuracy(model: Model, examples: Examples, batch: int = 1000) -> float:
    """The share of examples whose true class has the highest score."""
    starts = range(0, len(examples.labels), batch)
    guesses = [model.scores(examples.x[start : start + batch]).argmax(1) for start in starts]
    return float((np.concatenate(guesses) == examples.labels).mean())
