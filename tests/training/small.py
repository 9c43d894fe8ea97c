"""A training small enough for tests: scikit-learn's digits, dropout, batch normalization, mixup and an average.

`python -m tests.training.small RUN [PAUSE]` runs or resumes it, a checkpoint after every step, PAUSE seconds long.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

from convolve.models.network import Card, Network, Stage
from convolve.runtime import Runtime
from convolve.targets import ArrayTargets
from convolve.tasks.classify.task import Classify
from convolve.training.checkpoints import RunFiles
from convolve.training.evaluation import evaluate_batches
from convolve.training.events import Events
from convolve.training.loop import fit
from convolve.training.recipe import Optimization, Recipe, Regularization
from convolve.training.step import State, Training
from convolve.values import Batch, Floats, Indices

RUNTIME = Runtime("cpu", "fp32", channels_last=True, threads=1, reasons=())
RECIPE = Recipe(
    network="small",
    epochs=3,
    batch=16,
    seed=3,
    optimization=Optimization("adamw", 0.01, 0.9, 0.01, "one-cycle", 1.0, 1.0),
    regularization=Regularization(ema_decay=0.99, patience=0),
    task_options={"label_smoothing": 0.1, "mixup": 0.2},
)


@dataclass(frozen=True)
class Digits:
    """Shuffled batches, each a function of (epoch, number)."""

    images: Floats
    targets: Indices
    batch: int = 16

    def __len__(self) -> int:
        return math.ceil(len(self.images) / self.batch)

    def epoch(self, number: int, start: int = 0) -> Generator[Batch, None, None]:
        order = np.random.default_rng([7, number]).permutation(len(self.images))
        for index in range(start, len(self)):
            chosen = order[index * self.batch : (index + 1) * self.batch]
            yield Batch(self.images[chosen], ArrayTargets(self.targets[chosen]), chosen)


def digits(first: int, last: int, batch: int = 16) -> Digits:
    images, targets = load_digits(return_X_y=True)
    pixels = (images[first:last].reshape(-1, 8, 8, 1) / 8 - 1).astype(np.float32)
    return Digits(pixels, targets[first:last].astype(np.int64), batch)


def network() -> Network:
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        stem = [nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.MaxPool2d(2)]
        body = [nn.Conv2d(4, 8, 3, padding=1), nn.ReLU(inplace=True)]
        head = nn.Sequential(nn.Flatten(), nn.Dropout(0.2), nn.Linear(8 * 16, 10))
        return assembled({"stem": Stage(nn.Sequential(*stem), 4, 2), "body": Stage(nn.Sequential(*body), 8, 2)}, head)


def linear() -> Network:
    """Scores straight from the pixels, all weights 0."""
    layer = nn.Linear(64, 10)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return assembled({}, nn.Sequential(nn.Flatten(), layer))


def assembled(stages: dict[str, Stage], head: nn.Module) -> Network:
    card = Card("small", "", "", 2026, "", "", input=(1, 8, 8), classes=10, minimum=8)
    return Network(card, stages, head)


def training(
    recipe: Recipe = RECIPE, images: int = 160, learning: Network | None = None, runtime: Runtime = RUNTIME
) -> Training:
    classes = tuple(str(digit) for digit in range(10))
    task = Classify(learning or network(), classes, **recipe.task_options)  # type: ignore[arg-type]
    runtime.prepare(task.network, learning=True)
    held = digits(1000, 1200, 200)

    def validate(measured: nn.Module) -> dict[str, float]:
        assert isinstance(measured, Network)
        return evaluate_batches(task.with_network(measured), held.epoch(0), runtime)

    return Training(task, digits(0, images, recipe.batch or 16), validate, recipe, runtime)


def rest(seconds: float) -> Events:
    def pause(state: State) -> None:
        del state
        time.sleep(seconds)

    return Events(step=(pause,))


if __name__ == "__main__":
    pause = float(sys.argv[2]) if len(sys.argv) > 2 else 0.0
    fit(training(), RunFiles(Path(sys.argv[1]), seconds=0.0, fraction=1e9), rest(pause))
