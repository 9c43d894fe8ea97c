"""Whether a map depends on what the network has learned: cascading randomization.

Adebayo et al. 2018, "Sanity Checks for Saliency Maps", section 4.1: re-initialize the network part by part, from the
head down to the first layer, and see how long the maps stay as they were. A map that survives the loss of all that was
learned shows the picture, not the network.

Parts are the head and the stages, not single layers; what a part has anew are its weights and the statistics of its
batch normalization (mean 0, variance 1), as before the first step of a training, which is what the paper's
re-initialized variables hold. Residual networks then add up what their blocks leave, so that scores and slopes grow
with depth, but stay finite: ranks do not mind their scale.

Deviations: weights that start at 0, as the scores of fully convolutional networks do, are drawn instead: of a head of
zeros no method shows anything, whatever stands before it, and every method would pass.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy.stats import rankdata  # type: ignore[import-untyped]
from torch import nn

from convolve.models import Network
from convolve.values import Floats

BOUND = 0.5
"""Mean rank correlation from which on the maps of a network that has learned nothing count as the same."""
HEAD = "head"
_SEED = 0
Flags = npt.NDArray[np.bool_]
Maps = Callable[[Network], Floats]


@dataclass(frozen=True)
class Survival:
    """How alike maps are to those of the trained network when the ``parts`` down to each are fresh.

    ``similarity``: Spearman's rank correlation of the maps' absolute values, the mean over the images, for each part;
    the last is that of a network that has learned nothing.
    """

    parts: tuple[str, ...]
    similarity: tuple[float, ...]

    @property
    def top(self) -> float | None:
        """The similarity when only the head and the last stage are fresh; None for a network without stages."""
        stages = [found for part, found in zip(self.parts, self.similarity, strict=True) if part != HEAD]
        return stages[0] if stages else None

    @property
    def passed(self) -> bool:
        """Whether the maps are gone with what was learned: the last similarity lies below `BOUND`."""
        return self.similarity[-1] < BOUND


def survival(network: Network, fresh: Network, maps: Maps, regions: Flags | None = None) -> Survival:
    """What becomes of ``maps(network)`` (N, H, W) as a copy of the network becomes ``fresh``; neither is touched.

    Where the pixels of ``regions`` (N, H, W) are explained, maps are compared there alone: that heat lies there, and
    not elsewhere, is what was asked for, whatever the network has learned.
    """
    before = maps(network)
    names, found = [], []
    for name, bereft in cascade(network, fresh):
        names.append(name)
        found.append(similarity(before, maps(bereft), regions))
    return Survival(tuple(names), tuple(found))


def cascade(network: Network, fresh: Network) -> Iterator[tuple[str, Network]]:
    """One copy of the network, from the head down: after each part, its name and the copy as it then is.

    A part takes everything over from ``fresh``, a network of the same build with its first weights: parameters, and the
    statistics of batch normalization. Kernels of zeros alone are drawn instead, with a deviation of one by the root of
    the number of values that each weighs. Parts without parameters are left out.
    """
    random = torch.Generator().manual_seed(_SEED)
    bereft = copy.deepcopy(network)
    first = dict(_parts(fresh))
    for name, part in reversed(_parts(bereft)):
        part.load_state_dict(first[name].state_dict())
        _draw_zeros(part, random)
        yield name, bereft


def similarity(first: Floats, second: Floats, regions: Flags | None = None) -> float:
    """Spearman's rank correlation of (N, H, W) maps' absolute values, the mean over N; of the pixels of ``regions``
    (N, H, W) alone, if given.

    0 for an image where either map is the same everywhere, for then it shows nothing.
    """
    inside = np.ones(first.shape, dtype=bool) if regions is None else regions
    pairs = zip(np.abs(first), np.abs(second), inside, strict=True)
    return float(np.mean([_correlation(ours[where], theirs[where]) for ours, theirs, where in pairs]))


def _correlation(first: Floats, second: Floats) -> float:
    ours, theirs = (rank - rank.mean() for rank in (rankdata(first), rankdata(second)))
    scale = float(np.sqrt((ours**2).sum() * (theirs**2).sum()))
    return float((ours * theirs).sum()) / scale if scale > 0 else 0.0


@torch.no_grad()
def _draw_zeros(part: nn.Module, random: torch.Generator) -> None:
    for weight in part.parameters():
        if weight.dim() > 1 and not weight.any():
            drawn = torch.randn(weight.shape, generator=random) / weight[0].numel() ** 0.5
            weight.copy_(drawn)


def _parts(network: Network) -> list[tuple[str, nn.Module]]:
    found = [*network.stages.items(), (HEAD, network.head)]
    return [(name, part) for name, part in found if any(True for _ in part.parameters())]
