"""What a training consists of, and one step of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, final

import torch
from torch import Tensor, nn

from convolve.errors import TrainingError
from convolve.runtime import Runtime
from convolve.training.learner import Learner
from convolve.training.recipe import Recipe
from convolve.training.schedules import rate_at
from convolve.training.state import State, step_seed
from convolve.values import Batch

_NO_MEMORY = ("can't allocate memory", "not enough memory", "out of memory")


class Learnable(Protocol):
    """What training and measuring need of a task."""

    criterion: str

    @property
    def network(self) -> nn.Module:
        """What learns."""
        ...

    def loss(self, images: Tensor, targets: Tensor, random: torch.Generator) -> dict[str, Tensor]:
        """(N, C, H, W) images and their targets to named scalars; `loss`, the mean of the batch, is obligatory."""
        ...

    def predict(self, images: Tensor) -> Tensor:
        """(N, C, H, W) images to answers as people read them."""
        ...


class Source(Protocol):
    """What the loop needs of `data.batches.Batches`."""

    def __len__(self) -> int: ...

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        """An epoch's batches from number ``start`` on, the same whenever they are asked for."""
        ...


@final
@dataclass(frozen=True)
class Training:
    """Everything that a training consists of; ``recipe`` is settled, and the network prepared by ``runtime``.

    ``validate`` measures a network on the validation split: figures by name, with the task's criterion among them.
    """

    task: Learnable
    train: Source
    validate: Callable[[nn.Module], dict[str, float]]
    recipe: Recipe
    runtime: Runtime


def step(training: Training, learner: Learner, state: State, batch: Batch) -> bool:
    """One step, or, of gradient descent, one batch of it; False, with nothing changed, if the loss is not finite."""
    recipe, runtime = training.recipe, training.runtime
    optimization, epochs, count = recipe.optimization, recipe.epochs or 1, len(training.train)
    whole = optimization.optimizer == "gradient-descent"
    seed = step_seed(recipe.seed or 0, state.epoch, state.step)
    torch.manual_seed(seed)
    with runtime.arithmetic():
        random = torch.Generator(runtime.device).manual_seed(seed)
        figures = training.task.loss(runtime.images(batch.images), runtime.targets(batch.targets), random)
    values = {name: value.item() for name, value in figures.items()}
    if not math.isfinite(values["loss"]):
        return False
    (figures["loss"] * len(batch.images) if whole else figures["loss"]).backward()  # type: ignore[no-untyped-call]
    made = state.epoch if whole else state.epoch * count + state.step
    state.rate = state.factor * rate_at(optimization, made, 1 if whole else count, epochs)
    state.step += 1
    state.add(values, len(batch.images))
    if not whole:
        learner.move(state.rate, made + 1)
    elif state.step == count:
        learner.move(state.rate, made + 1, share=1 / state.seen)
    return True


@contextmanager
def apart(training: Training) -> Iterator[None]:
    """Torch's random state is the training's own inside the block and comes back; no memory becomes a sentence."""
    devices = [training.runtime.device] if training.runtime.device.startswith("cuda") else []
    try:
        with torch.random.fork_rng(devices):
            yield
    except (RuntimeError, MemoryError) as error:
        if not isinstance(error, MemoryError) and not any(words in str(error) for words in _NO_MEMORY):
            raise
        smaller = max((training.recipe.batch or 2) // 2, 1)
        raise TrainingError(
            f"The memory does not suffice for {training.recipe.batch} images in a step; try --batch {smaller}."
        ) from error


@contextmanager
def batches(source: Source, epoch: int, start: int = 0) -> Iterator[Iterator[Batch]]:
    """An epoch's batches from number ``start`` on; left early, the source's threads end too."""
    found = source.epoch(epoch, start=start)
    try:
        yield found
    finally:
        close = getattr(found, "close", None)
        if close:
            close()
