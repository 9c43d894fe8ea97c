"""What a training consists of, how far it is, and one step of it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self, final

import torch
from torch import Tensor, nn

from convolve.errors import TrainingError
from convolve.files import shell_quote
from convolve.memory import lacks_memory
from convolve.runtime import Runtime
from convolve.training.learner import Learner
from convolve.training.recipe import Recipe
from convolve.training.schedules import learning_rate_at
from convolve.training.time_limit import TimeLimit
from convolve.values import Batch

MEASURED_STEPS = 5
"""Of an epoch: of about so many the norm of the gradient is measured, evenly spread."""


class Learnable(Protocol):
    """What training and measuring need of a task."""

    @property
    def monitored(self) -> str:
        """The metric that selects the best epoch; higher is better."""
        ...

    @property
    def network(self) -> nn.Module:
        """What learns."""
        ...

    def loss(self, images: Tensor, targets: Any, random: torch.Generator | None) -> dict[str, Tensor]:
        """(N, C, H, W) images and their targets to named scalars; `loss`, the mean of the batch, is obligatory."""
        ...

    def loss_and_predictions(self, images: Tensor, targets: Any) -> tuple[dict[str, Tensor], Any]:
        """Both in evaluation mode."""
        ...

    def evaluator(self) -> Evaluator:
        """What gathers the metrics of a split."""
        ...


class Phases(Learnable, Protocol):
    """What learns in place of a task of which other parts learn in other epochs."""

    def with_network(self, network: Any) -> Self:
        """The same with another network."""
        ...

    def begin_epoch(self, epoch: int, epochs: int) -> None:
        """Called before each ``epoch``, from 0, of so many ``epochs``, also where a training goes on within it."""
        ...


class Evaluator(Protocol):
    """Gathers predictions batch by batch into metrics."""

    def add(self, predictions: Any, batch: Batch) -> None:
        """Count what was predicted for a batch."""
        ...

    def metrics(self) -> dict[str, float]:
        """The metrics of all batches so far."""
        ...


class BatchSource(Protocol):
    """What the loop needs of `datasets.batches.Batches`."""

    def __len__(self) -> int: ...

    def epoch(self, number: int, start: int = 0) -> Generator[Batch, None, None]:
        """An epoch's batches from number ``start`` on, the same whenever they are asked for.

        Closed early, it ends the threads that prepare them.
        """
        ...


@final
@dataclass(frozen=True)
class Training:
    """Everything that a training consists of; ``recipe`` is resolved, and the network prepared by ``runtime``.

    ``validate`` evaluates a network on the validation split: metrics by name, with the task's monitored one among them.
    No epoch begins after the ``limit``, if there is one. The ``phases``, if any, are the task, and are told of epochs.
    """

    task: Learnable
    train: BatchSource
    validate: Callable[[nn.Module], dict[str, float]]
    recipe: Recipe
    runtime: Runtime
    limit: TimeLimit | None = None
    phases: Phases | None = None


@final
@dataclass
class State:
    """Everything that decides how a training goes on, besides weights, their average and the optimizer's tensors.

    ``epoch`` (from 0) is running and has made ``step`` steps on ``images_done`` images, whose metrics, each times its
    images, add up to ``sums``. ``best`` is the best value of the monitored metric, reached in ``best_epoch``;
    ``waited`` epochs have passed since, ``stalled`` since then or since the plateau schedule last lowered the learning
    rate by ``factor``. ``history`` has one line of metrics per finished epoch. ``ended`` says why the training ended.
    ``gradient_norms`` add up those of ``measured`` of the running epoch's steps, by the network's parts.
    """

    epoch: int = 0
    step: int = 0
    images_done: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    best: float | None = None
    best_epoch: int | None = None
    waited: int = 0
    stalled: int = 0
    factor: float = 1.0
    learning_rate: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)
    ended: str = ""
    gradient_norms: dict[str, float] = field(default_factory=dict)
    measured: int = 0

    def add(self, metrics: dict[str, float], images: int) -> None:
        """Count one step's metrics, the means over its images."""
        self.images_done += images
        for name, value in metrics.items():
            self.sums[name] = self.sums.get(name, 0.0) + value * images

    def add_gradients(self, norms: dict[str, float], scale: float) -> None:
        """Count one step's norms times ``scale``."""
        self.measured += 1
        for name, value in norms.items():
            self.gradient_norms[name] = self.gradient_norms.get(name, 0.0) + value * scale

    @property
    def metrics(self) -> dict[str, float]:
        """The running epoch's means so far."""
        return {name: value / self.images_done for name, value in self.sums.items()}

    def close_epoch(self, validation: dict[str, float], monitored: str) -> bool:
        """Write the epoch's line, start the next one; True when its monitored metric is the best so far.

        A metric that is not a number is never the best, except that the first epoch always is. While it is 0, as
        average precision is until a first box fits, a lower loss is better.
        """
        line = {f"train_{name}": value for name, value in self.metrics.items()}
        norms = {f"gradient_norm_{name}": value / self.measured for name, value in self.gradient_norms.items()}
        self.history.append(
            {"epoch": self.epoch + 1, "learning_rate": self.learning_rate, **line, **validation, **norms}
        )
        value = validation[monitored]
        better = self.best is None or value > self.best or self.best != self.best
        if value == self.best == 0 and self.best_epoch:
            better = validation["loss"] < self.history[self.best_epoch - 1]["loss"]
        if better:
            self.best, self.best_epoch = value, self.epoch + 1
        self.waited = 0 if better else self.waited + 1
        self.stalled = 0 if better else self.stalled + 1
        self.epoch, self.step, self.images_done, self.sums = self.epoch + 1, 0, 0, {}
        self.measured, self.gradient_norms = 0, {}
        return better


def step(training: Training, learner: Learner, state: State, batch: Batch) -> bool:
    """One step, or, of gradient descent, one batch of it; False, with nothing changed, if the loss is not finite."""
    recipe, runtime = training.recipe, training.runtime
    optimization, epochs, count = recipe.optimization, recipe.epochs or 1, len(training.train)
    whole = optimization.optimizer == "gradient-descent"
    key = f"{recipe.seed or 0} {state.epoch} {state.step}".encode()
    seed = int.from_bytes(hashlib.blake2b(key, digest_size=8).digest()) >> 1
    torch.manual_seed(seed)
    with runtime.arithmetic():
        random = torch.Generator(runtime.device).manual_seed(seed)
        losses = training.task.loss(runtime.images(batch.images), batch.targets.to(runtime.device), random)
    values = {name: value.item() for name, value in losses.items()}
    if not math.isfinite(values["loss"]):
        return False
    (losses["loss"] * len(batch.images) if whole else losses["loss"]).backward()  # type: ignore[no-untyped-call]
    steps = state.epoch if whole else state.epoch * count + state.step
    state.learning_rate = state.factor * learning_rate_at(optimization, steps, 1 if whole else count, epochs)
    state.step += 1
    state.add(values, len(batch.images))
    if whole and state.step < count:
        return True
    scale = 1 / state.images_done if whole else 1.0
    if whole or (state.step - 1) % max(1, count // MEASURED_STEPS) == 0:
        state.add_gradients(learner.gradient_norms(), scale)
    learner.update(state.learning_rate, steps + 1, gradient_scale=scale)
    return True


@contextmanager
def isolated(training: Training, run: Path | None = None) -> Iterator[None]:
    """Torch's random state is the training's own inside the block and is restored; out of memory becomes a sentence,
    which says how to continue where there is a ``run``.
    """
    devices = [training.runtime.device] if training.runtime.device.startswith("cuda") else []
    try:
        with torch.random.fork_rng(devices):
            yield
    except (RuntimeError, MemoryError, OSError) as error:
        if not lacks_memory(error):
            raise
        batch = training.recipe.batch or 2
        smaller = f"--batch {max(batch // 2, 1)}"
        remedy = f"try {smaller}"
        if run is not None:
            resume = f"convolve train --resume {shell_quote(run)}"
            remedy = f"close other programs and continue with `{resume}`, or train anew with {smaller}"
        raise TrainingError(f"There is not enough memory for {batch} images in a step; {remedy}.") from error
