"""A network's answers for a whole split."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from convolve.runtime import Runtime
from convolve.tasks.task import Task
from convolve.values import Batch, Floats, Indices, Scored


def score(task: Task, batches: Iterable[Batch], runtime: Runtime) -> Scored:
    """Predict every batch in evaluation mode; the network's mode is put back afterwards, also after an error."""
    scores: list[Floats] = []
    targets: list[Any] = []
    indices: list[Indices] = []
    with evaluating(task.network), torch.inference_mode():
        for batch in batches:
            with runtime.autocast():
                scores.append(task.predict(runtime.images(batch.images)).cpu().numpy())
            targets.append(batch.targets)
            indices.append(batch.indices)
    return Scored(np.concatenate(scores), np.concatenate(targets), np.concatenate(indices))


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Evaluation mode for the length of a block; every part's own mode comes back."""
    modes = {name: part.training for name, part in network.named_modules()}
    network.eval()
    try:
        yield
    finally:
        for name, part in network.named_modules():
            part.training = modes[name]
