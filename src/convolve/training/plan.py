"""Before training: how large a batch the memory allows, by arithmetic, and how long it will take, by a few steps."""

from __future__ import annotations

import copy
import statistics
import time
from contextlib import closing
from dataclasses import dataclass, replace
from typing import final

from convolve.errors import TrainingError
from convolve.progress import format_duration
from convolve.runtime import Runtime
from convolve.summary import Costs
from convolve.training.learner import Learner
from convolve.training.running_statistics import images_to_estimate
from convolve.training.step import State, Training, isolated, step

_WARM_UP, _FEWEST, _STEPS, _PATIENCE = 2, 3, 12, 3
SECONDS = 5.0
"""How long steps are measured, after the first ones have warmed caches up."""
_FORWARD_FRACTION = 1 / 3
_ACTIVATIONS, _PROGRAM = 2.0, 400 << 20
_MOMENTS = {"sgd": 0, "gradient-descent": 0, "momentum": 1, "nesterov": 1, "adagrad": 1, "rmsprop": 2}


@final
@dataclass(frozen=True)
class Plan:
    """``epochs`` of about ``seconds_per_epoch``, validation included; ``images_per_second`` in training."""

    epochs: int
    seconds_per_epoch: float
    images_per_second: float

    def __str__(self) -> str:
        counted = f"{self.epochs} epoch{'s' if self.epochs > 1 else ''}"
        return f"{counted}, about {format_duration(self.epochs * self.seconds_per_epoch)} on this machine"


def measure(training: Training, validation_images: int, seconds: float = SECONDS) -> Plan:
    """Time a few steps on a copy of the network: weights, optimizer and random state stay as they are.

    The first steps, which warm caches up, do not count. What counts is the median of the others: of three at least,
    and of as many as take about ``seconds``, unless steps are so slow that these take three times as long. Raises
    `TrainingError` when the memory does not suffice.
    """
    if not len(training.train):
        raise TrainingError("There is no batch of two images to learn from; give more images.")
    trial = replace(training, task=copy.deepcopy(training.task))
    learner = Learner(trial.task.network, trial.recipe)
    learner.train()
    times: list[float] = []
    images = 0
    with isolated(trial):
        enough = False
        while not enough:
            state, since = State(), time.perf_counter()
            with closing(trial.train.epoch(0)) as batches:
                for batch in batches:
                    if not step(trial, learner, state, batch):
                        raise TrainingError(
                            "The loss became non-finite (NaN or inf) in the first steps; use a lower --learning-rate."
                        )
                    now = time.perf_counter()
                    times.append(now - since)
                    since, images = now, max(images, len(batch.images))
                    counted = times[_WARM_UP:]
                    enough = len(counted) >= _STEPS or (len(counted) >= _FEWEST and sum(counted) >= seconds)
                    enough = enough or (len(times) > 1 and sum(times) >= _PATIENCE * seconds)
                    if enough:
                        break
    median = statistics.median(times[min(_WARM_UP, len(times) - 1) :])
    forward = validation_images + min(images_to_estimate(trial), images * len(trial.train))
    per_epoch = median * (len(trial.train) + _FORWARD_FRACTION * forward / images)
    return Plan(trial.recipe.epochs or 1, per_epoch, images / median)


def batch_for_memory(requested: int, costs: Costs, optimizer: str, runtime: Runtime, budget: int) -> int:
    """``requested``, halved until a step fits into ``budget`` bytes: by arithmetic alone, so that it is repeatable.

    Counted are weights, gradients and the optimizer's moments in fp32, and for each image every layer's output with
    its gradient (held against `bench/memory.py`). Raises `TrainingError` when not even one image fits.
    """
    bytes_each = costs.activation_bytes * (_ACTIVATIONS / 2 if runtime.precision == "bf16" else _ACTIVATIONS)
    fixed = costs.weight_bytes * (2 + _MOMENTS.get(optimizer, 2)) + _PROGRAM
    batch = requested
    while batch > 1 and fixed + batch * bytes_each > budget:
        batch //= 2
    if fixed + batch * bytes_each > budget:
        raise TrainingError(
            f"Training needs {(fixed + bytes_each) / 2**30:.1f} GiB for one image, but {budget / 2**30:.1f} GiB may be "
            "used; use a smaller --size or network."
        )
    return batch
