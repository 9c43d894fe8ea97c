"""Frozen stages give the same maps in every epoch: compute them once, then train what stands behind them alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np
import torch

from convolve.datasets.batches import Batches
from convolve.models import Network
from convolve.runtime import Runtime
from convolve.training.scoring import evaluating
from convolve.values import Batch, Floats, Indices

_STILL = np.empty((0, 2, 3))  # nothing moves what is remembered


@final
@dataclass(frozen=True)
class Remembered:
    """Batches of maps in place of images.

    ``maps`` (N, h, w, channels) float32 belong to the examples ``indices`` (N,), in ascending order; ``batches`` says
    in which order they are asked for.
    """

    batches: Batches
    maps: Floats
    indices: Indices

    def __len__(self) -> int:
        return len(self.batches)

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        """The epoch's batches from number ``start`` on, in the order that the images would have had."""
        for chosen in self.batches.order(number)[start:]:
            rows = np.searchsorted(self.indices, chosen)
            yield Batch(self.maps[rows], self.batches.truth.targets(chosen, _STILL), chosen)


def remember(network: Network, stage: str, batches: Batches, every: Batches, runtime: Runtime) -> Remembered:
    """Run every example once through the network up to ``stage``, in evaluation mode.

    ``every`` holds each example of ``batches`` once, which a sampler would not.
    """
    found: dict[int, Floats] = {}
    with evaluating(network), torch.inference_mode(), runtime.arithmetic():
        for batch in every.epoch(0):
            maps = network.features(runtime.images(batch.images))[stage].float().permute(0, 2, 3, 1).cpu().numpy()
            found |= dict(zip(batch.indices.tolist(), maps, strict=True))
    indices = np.array(sorted(found), dtype=np.int64)
    return Remembered(batches, np.ascontiguousarray(np.stack([found[index] for index in indices.tolist()])), indices)
