"""How long two pieces of work take, one against the other."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from convolve.models import Network

_ROUNDS = 15


def time_in_turn(*works: Callable[[], object]) -> list[float]:
    """Median seconds of one core that each work takes; they take turns, so that what else the machine does slows all
    alike.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the time of one core is hardly changed by other programs
    try:
        for work in works:
            work()  # the first time allocates memory
        seconds: list[list[float]] = [[] for _ in works]
        for _ in range(_ROUNDS):
            for work, found in zip(works, seconds, strict=True):
                began = time.process_time()
                work()
                found.append(time.process_time() - began)
    finally:
        torch.set_num_threads(threads)
    return [statistics.median(found) for found in seconds]


def time_steps(networks: Mapping[str, str], batch: int, size: int, seed: int) -> dict[str, float]:
    """Median seconds of one core of a training step of each network on a batch of random gray images, in turn."""
    import torch
    from torch.nn import functional

    from convolve import models

    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(batch, 1, size, size, generator=generator)
    labels = torch.randint(10, (batch,), generator=generator)
    built = [models.create(text, 10, 1, (size, size), seed).train() for text in networks.values()]

    def step(network: Network) -> None:
        network.zero_grad()
        functional.cross_entropy(network(images), labels).backward()  # type: ignore[no-untyped-call]

    times = time_in_turn(*(partial(step, network) for network in built))
    return dict(zip(networks, times, strict=True))
