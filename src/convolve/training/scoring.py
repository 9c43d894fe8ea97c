"""A network's answers for a split, batch by batch or as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from convolve.runtime import Runtime
from convolve.training.step import Learnable
from convolve.values import Batch, Scored


def answers(task: Learnable, batches: Iterable[Batch], runtime: Runtime) -> Iterator[Scored]:
    """Predict batch after batch in evaluation mode; the network's mode is put back afterwards, also after an error."""
    with evaluating(task.network):
        for batch in batches:
            with torch.inference_mode(), runtime.arithmetic():
                scores = task.predict(runtime.images(batch.images)).cpu().numpy()
            yield Scored(scores, batch.targets, batch.indices)


def score(task: Learnable, batches: Iterable[Batch], runtime: Runtime) -> Scored:
    """All that `answers` gives, in one."""
    return joined(answers(task, batches, runtime))


def joined(parts: Iterable[Scored]) -> Scored:
    """Several batches' answers as one."""
    every = list(parts)
    targets: Any = np.concatenate([part.targets for part in every])
    scores, indices = (np.concatenate([getattr(part, name) for part in every]) for name in ("scores", "indices"))
    return Scored(scores, targets, indices)


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
