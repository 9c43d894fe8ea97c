"""Whether a map depends on what the network has learnt: cascading randomisation.

Adebayo et al. 2018, "Sanity Checks for Saliency Maps", section 4.1: take the weights' values away part by part, from
the head down to the first layer, and see how long the maps stay as they were. A map that survives the loss of every
weight shows the picture, not the network.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import rankdata  # type: ignore[import-untyped]
from torch import nn

from convolve.networks import Network
from convolve.values import Floats

BOUND = 0.5
"""Mean rank correlation from which on the maps of a network without its weights count as the same."""
Maps = Callable[[Network], Floats]


@dataclass(frozen=True)
class Survival:
    """How alike maps are to those of the trained network when the ``parts`` down to each have lost their weights.

    ``similarity``: Spearman's rank correlation of the maps' absolute values, the mean over the images, for each part;
    the last is that of a network without any weights.
    """

    parts: tuple[str, ...]
    similarity: tuple[float, ...]

    @property
    def passed(self) -> bool:
        """Whether the maps are gone with the weights: the last similarity lies below `BOUND`."""
        return self.similarity[-1] < BOUND


def survival(network: Network, maps: Maps, seed: int = 0) -> Survival:
    """What becomes of ``maps(network)`` (N, H, W) as a copy of the network loses its weights; itself is not touched."""
    before = maps(network)
    names, found = [], []
    for name, bereft in randomised(network, seed):
        names.append(name)
        found.append(similarity(before, maps(bereft)))
    return Survival(tuple(names), tuple(found))


def randomised(network: Network, seed: int = 0) -> Iterator[tuple[str, Network]]:
    """One copy of the network, from the head down: after each part, its name and the copy as it then is.

    Each parameter's values are put in random order, which keeps their distribution, so that neither the scores nor the
    gradients vanish or grow, and takes away all that was learnt. Parts are the head and the stages, those without
    parameters left out.
    """
    bereft = copy.deepcopy(network)
    random = torch.Generator().manual_seed(seed)
    for name, part in reversed(_parts(bereft)):
        with torch.no_grad():
            for parameter in part.parameters():
                order = torch.randperm(parameter.numel(), generator=random).to(parameter.device)
                parameter.copy_(parameter.flatten()[order].reshape(parameter.shape))
        yield name, bereft


def similarity(first: Floats, second: Floats) -> float:
    """Spearman's rank correlation of (N, H, W) maps' absolute values, the mean over N.

    0 for an image where either map is the same everywhere, for then it shows nothing.
    """
    ranks = [rankdata(np.abs(maps).reshape(len(maps), -1), axis=1) for maps in (first, second)]
    ours, theirs = (rank - rank.mean(axis=1, keepdims=True) for rank in ranks)
    scale = np.sqrt((ours**2).sum(axis=1) * (theirs**2).sum(axis=1))
    return float(np.divide((ours * theirs).sum(axis=1), scale, out=np.zeros(len(first)), where=scale > 0).mean())


def _parts(network: Network) -> list[tuple[str, nn.Module]]:
    found = [*network.stages.items(), ("head", network.head)]
    return [(name, part) for name, part in found if any(True for _ in part.parameters())]
