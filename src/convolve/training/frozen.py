"""Frozen stages give the same maps in every epoch: compute them once, then train only what follows them."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import final

import numpy as np
import torch

from convolve.datasets.batches import Batches
from convolve.models import Network
from convolve.runtime import Runtime
from convolve.training.evaluation import evaluation_mode
from convolve.values import Batch, Floats, Indices, Matrices, Placement


@final
@dataclass(frozen=True)
class CachedFeatures:
    """Batches of a frozen stage's maps in place of images.

    ``maps`` (N, h, w, channels) float32 belong to the examples ``indices`` (N,), in ascending order, whose images of
    ``sizes`` (N, 2) have been brought to the input by ``matrices`` (N, 2, 3); ``batches`` gives their order.
    """

    batches: Batches
    maps: Floats
    indices: Indices
    matrices: Matrices
    sizes: Indices

    def __len__(self) -> int:
        return len(self.batches)

    def epoch(self, number: int, start: int = 0) -> Generator[Batch, None, None]:
        """The epoch's batches from number ``start`` on, in the order that the images would have had."""
        for chosen in self.batches.order(number)[start:]:
            rows = np.searchsorted(self.indices, chosen)
            placement = Placement(self.matrices[rows], self.sizes[rows], self.batches.preprocessing)
            yield Batch(self.maps[rows], self.batches.targets.targets(chosen, placement), chosen)


def cache_features(
    network: Network, stage: str, batches: Batches, each_once: Batches, runtime: Runtime
) -> CachedFeatures:
    """Run every example once through the network up to ``stage``, in evaluation mode.

    ``each_once`` holds each example of ``batches`` once, which a sampler would not.
    """
    found: dict[int, Floats] = {}
    with evaluation_mode(network), torch.inference_mode(), runtime.arithmetic():
        for batch in each_once.epoch(0):
            maps = network.features(runtime.images(batch.images))[stage].float().permute(0, 2, 3, 1).cpu().numpy()
            found |= dict(zip(batch.indices.tolist(), maps, strict=True))
    indices = np.array(sorted(found), dtype=np.int64)
    placement = each_once.placement(indices)
    maps = np.ascontiguousarray(np.stack([found[index] for index in indices.tolist()]))
    return CachedFeatures(batches, maps, indices, placement.matrices, placement.sizes)
