"""Whether an attribution depends on what the network has learned: cascading randomization.

Adebayo et al. 2018, "Sanity Checks for Saliency Maps", section 4.1: re-initialize the network part by part, from the
head down to the first layer, and compare the maps with those of the trained network. A map that stays the same when all
that was learned is lost shows the image, not the network.

Parts are the head and the stages, not single layers. What is re-initialized are a part's weights and the statistics of
its batch normalization (mean 0, variance 1), as before the first step of a training, which is what the paper's
re-initialized variables hold. Residual networks then add up what their blocks give, so that scores and gradients grow
with depth, but stay finite: ranks do not depend on their scale.

Deviations: weights that start at 0, as the scores of fully convolutional networks do, are drawn instead: with a head of
zeros no method shows anything, whatever comes before it, and every method would pass.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from convolve.models import Network
from convolve.values import Flags, Floats

BOUND = 0.5
"""Mean rank correlation from which on the maps of a randomly initialized network count as the same."""
HEAD = "head"
_SEED = 0


@dataclass(frozen=True)
class SanityCheck:
    """How similar maps are to those of the trained network when the ``parts`` down to each are randomly initialized.

    ``similarities``: Spearman's rank correlation of the maps' absolute values, the mean over the images, for each part;
    the last is that of a network that has learned nothing.
    """

    parts: tuple[str, ...]
    similarities: tuple[float, ...]

    @property
    def top(self) -> float | None:
        """The similarity when only the head and the last stage are random; None for a network without stages."""
        stages = [value for part, value in zip(self.parts, self.similarities, strict=True) if part != HEAD]
        return stages[0] if stages else None

    @property
    def passed(self) -> bool:
        """Whether the maps depend on what was learned: the last similarity lies below `BOUND`."""
        return self.similarities[-1] < BOUND


def sanity_check(
    network: Network, initialized: Network, maps: Callable[[Network], Floats], regions: Flags | None = None
) -> SanityCheck:
    """Compare ``maps(network)`` (N, H, W) with those of copies that become ``initialized``; both networks stay as they
    are.

    Where the pixels of ``regions`` (N, H, W) are explained, maps are compared there alone: that the attribution lies
    there, and not elsewhere, is what was asked for, whatever the network has learned.
    """
    before = maps(network)
    parts, similarities = [], []
    for part, randomized in randomized_copies(network, initialized):
        parts.append(part)
        similarities.append(similarity(before, maps(randomized), regions))
    return SanityCheck(tuple(parts), tuple(similarities))


def randomized_copies(network: Network, initialized: Network) -> Iterator[tuple[str, Network]]:
    """One copy of the network, randomized from the head down: after each part, its name and the copy as it then is.

    A part takes everything from ``initialized``, a network of the same build with randomly initialized weights:
    parameters, and the statistics of batch normalization. Only kernels of zeros are drawn instead, with a standard
    deviation of one by the root of the number of inputs that each weighs. Parts without parameters are left out.
    """
    random = torch.Generator().manual_seed(_SEED)
    randomized = copy.deepcopy(network)
    initial = dict(_parts(initialized))
    for name, part in reversed(_parts(randomized)):
        part.load_state_dict(initial[name].state_dict())
        _draw_zeros(part, random)
        yield name, randomized


def similarity(first: Floats, second: Floats, regions: Flags | None = None) -> float:
    """Spearman's rank correlation of (N, H, W) maps' absolute values, the mean over N; of the pixels of ``regions``
    (N, H, W) alone, if given.

    0 for an image where either map is constant, for then it shows nothing.
    """
    inside = np.ones(first.shape, dtype=bool) if regions is None else regions
    triples = zip(np.abs(first), np.abs(second), inside, strict=True)
    return float(np.mean([_rank_correlation(one[region], other[region]) for one, other, region in triples]))


def _rank_correlation(first: Floats, second: Floats) -> float:
    from scipy.stats import rankdata  # type: ignore[import-untyped]

    ranks, others = (rank - rank.mean() for rank in (rankdata(first), rankdata(second)))
    scale = float(np.sqrt((ranks**2).sum() * (others**2).sum()))
    return float((ranks * others).sum()) / scale if scale > 0 else 0.0


@torch.no_grad()
def _draw_zeros(part: nn.Module, random: torch.Generator) -> None:
    for weight in part.parameters():
        if weight.dim() > 1 and not weight.any():
            drawn = torch.randn(weight.shape, generator=random) / weight[0].numel() ** 0.5
            weight.copy_(drawn)


def _parts(network: Network) -> list[tuple[str, nn.Module]]:
    parts = [*network.stages.items(), (HEAD, network.head)]
    return [(name, part) for name, part in parts if any(True for _ in part.parameters())]
