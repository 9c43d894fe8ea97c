"""The sides of `bench.train_step`, `bench.networks_step` and `bench.memory`: one training step from memory."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

import numpy as np
import timm
import torch
import torchvision
from torch import nn
from torch.nn import functional as F

from bench import plain
from convolve.models import create
from convolve.runtime import choose, describe_machine, keep_large_blocks
from convolve.summary import summarize
from convolve.targets import ArrayTargets
from convolve.tasks.classify.task import Classify
from convolve.tasks.segment.task import Segment
from convolve.training.learner import Learner
from convolve.training.recipe import Optimization, Recipe
from convolve.training.step import State, Training, step
from convolve.values import Batch

SIZE, CLASSES = 224, 1000
LEARNING_RATE = 1e-4  # so small that no network becomes non-finite on random images
_LARGE_BLOCK = 1 << 30
_WITHOUT_SLOW_START = {"googlenet": {"init_weights": False}}  # its own initialization takes minutes


def machine() -> str:
    """The line to quote next to every number."""
    facts = describe_machine()
    return (
        f"{facts['processor']}, {facts['cores']} cores, {facts['memory_bytes'] / 2**30:.0f} GiB, "
        f"{facts['system']}, Python {facts['python']}, torch {facts['torch']}"
    )


def stock(name: str, batch: int, side: int = SIZE) -> Callable[[], None]:
    """Torchvision's network, timm's for `timm/NAME`, or of `bench.plain` for `plain/NAME`, in fp32, default memory
    format, SGD with momentum: the loop of the tutorials.
    """
    torch.manual_seed(0)
    network = _stock_network(name)
    optimizer = torch.optim.SGD(network.parameters(), lr=LEARNING_RATE, momentum=0.9)
    images, targets = _random_batch(name, batch, side)

    def once() -> None:
        optimizer.zero_grad()
        loss = _stock_loss(network(images), targets)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        loss.item()

    return once


def tuned(name: str, batch: int, precision: str | None = None, side: int = SIZE) -> Callable[[], None]:
    """The network of `stock` with what PyTorch offers for speed on a processor: autocast to bfloat16 where the
    processor is fast in it, channels-last, a fused optimizer, and large blocks kept by the allocator. No
    `torch.compile`, which was slower (docs/benchmarks.md).
    """
    torch.manual_seed(0)
    keep_large_blocks(_LARGE_BLOCK)
    network = _stock_network(name).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), lr=LEARNING_RATE, momentum=0.9, fused=True)
    images, targets = _random_batch(name, batch, side)
    images = images.to(memory_format=torch.channels_last)
    bf16 = choose(precision=precision).precision == "bf16"

    def once() -> None:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = _stock_loss(network(images), targets)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        loss.item()

    return once


def _random_batch(name: str, batch: int, side: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Images and class indices, of every pixel for the networks of `bench.plain`."""
    pixels = name.startswith("plain/")
    targets = torch.randint(plain.CLASSES, (batch, side, side)) if pixels else torch.randint(CLASSES, (batch,))
    return torch.randn(batch, 3, side, side), targets


def _stock_network(name: str) -> nn.Module:
    library, _, inner = name.rpartition("/")
    if library == "timm":
        return timm.create_model(inner)
    if library == "plain":
        return plain.NETWORKS[inner]()
    network: nn.Module = getattr(torchvision.models, name)(**_WITHOUT_SLOW_START.get(name, {}))
    return network


def _stock_loss(scores: torch.Tensor | tuple[torch.Tensor, ...], targets: torch.Tensor) -> torch.Tensor:
    """The cross-entropy; GoogLeNet's auxiliary heads count 0.3 each, as in its paper and the tutorials."""
    if isinstance(scores, torch.Tensor):
        return F.cross_entropy(scores, targets)
    first, *others = scores
    return F.cross_entropy(first, targets) + 0.3 * sum(F.cross_entropy(other, targets) for other in others)


@dataclass(frozen=True)
class OneBatch:
    """One batch in memory, as a source of one step per epoch."""

    batch: Batch

    def __len__(self) -> int:
        return 1

    def epoch(self, number: int, start: int = 0) -> Generator[Batch, None, None]:
        """The batch."""
        del number, start
        yield self.batch


def ours(name: str, batch: int, precision: str | None = None, side: int = SIZE) -> Callable[[], None]:
    """Our network in the real step of the real loop, on the runtime that is chosen."""
    torch.manual_seed(0)
    pixels = name in plain.NETWORKS
    count, shape = (plain.CLASSES, (batch, side, side)) if pixels else (CLASSES, (batch,))
    network = create(name, count, 3)
    runtime = choose(precision=precision, macs=summarize(network, (3, side, side)).macs)
    runtime.prepare(network, learning=True)
    optimization = Optimization("momentum", LEARNING_RATE, 0.9, 0.0, "constant", 0.0, 0.0)
    recipe = Recipe(network=name, epochs=10**6, batch=batch, seed=0, optimization=optimization)
    random = np.random.default_rng(0)
    images = random.standard_normal((batch, side, side, 3), dtype=np.float32)
    memory = Batch(images, ArrayTargets(random.integers(count, size=shape)), np.arange(batch))
    classes = tuple(str(number) for number in range(count))
    task = Segment(network, classes) if pixels else Classify(network, classes)
    training = Training(task, OneBatch(memory), lambda _: {}, recipe, runtime)
    learner, state = Learner(network, recipe), State()
    learner.train()

    def once() -> None:
        assert step(training, learner, state, memory)

    return once
