"""Anchors: the sizes of boxes that a detection network starts from, found in those of the training set.

Redmon, Farhadi 2016, "YOLO9000", section 2 ("Dimension Clusters"): k-means with the distance 1 - IoU.
"""

from __future__ import annotations

import torch
from torch import Tensor

from convolve.layers.overlaps import size_overlaps

_ROUNDS, _STARTS = 100, 5
_MOST = 20_000
_EQUAL = 1e-12  # for sides that are all among the anchors already


def fit_anchors(sides: Tensor, count: int, seed: int) -> Tensor:
    """(count, 2) widths and heights that the ``sides`` (M, 2) overlap best, from small to large areas.

    The best of five attempts from different starts, which the ``seed`` decides; of more than 20,000 sides so many are
    drawn. Fewer different sides than anchors give some anchors twice.
    """
    random = torch.Generator().manual_seed(seed)
    sides = sides.detach().to("cpu", torch.float64)
    if len(sides) > _MOST:
        sides = sides[torch.randperm(len(sides), generator=random)[:_MOST]]
    attempts = [_move_to_means(sides, _draw_anchors(sides, count, random)) for _ in range(_STARTS)]
    anchors = max(attempts, key=lambda found: mean_best_overlap(sides, found))
    return anchors[anchors.prod(1).argsort(stable=True)].float()


def _draw_anchors(sides: Tensor, count: int, random: torch.Generator) -> Tensor:
    """Some of the sides, each drawn with a probability that grows with its distance from those drawn before (Arthur,
    Vassilvitskii 2007, "k-means++").
    """
    first = int(torch.randint(len(sides), (1,), generator=random))
    anchors = sides[first : first + 1]
    while len(anchors) < count:
        distance = 1 - size_overlaps(sides[:, None], anchors).amax(1)
        drawn = int(torch.multinomial(distance.clamp(min=0) ** 2 + _EQUAL, 1, generator=random))
        anchors = torch.cat((anchors, sides[drawn : drawn + 1]))
    return anchors


def _move_to_means(sides: Tensor, anchors: Tensor) -> Tensor:
    """Each anchor becomes the mean of the sides that are most like it, until these are the same as before."""
    assigned = torch.full((len(sides),), -1)
    for _ in range(_ROUNDS):
        nearest = size_overlaps(sides[:, None], anchors).argmax(1)
        if torch.equal(nearest, assigned):
            break
        assigned = nearest
        members = torch.bincount(assigned, minlength=len(anchors))[:, None]
        sums = torch.zeros_like(anchors).index_add(0, assigned, sides)
        anchors = torch.where(members > 0, sums / members.clamp(min=1), anchors)
    return anchors


def mean_best_overlap(sides: Tensor, anchors: Tensor) -> float:
    """How well anchors (A, 2) describe sides (M, 2): the mean IoU of each with its best anchor, at a common center."""
    return float(size_overlaps(sides[:, None].double(), anchors.double().to(sides.device)).amax(1).mean())
