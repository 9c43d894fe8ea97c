"""The losses of embeddings (N, D) of length 1 with their identities (N,)."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def arcface_loss(embeddings: Tensor, targets: Tensor, centers: Tensor, margin: float, scale: float) -> Tensor:
    """The mean cross-entropy of `arcface_logits`. Deng et al. 2019, equation 3."""
    return F.cross_entropy(arcface_logits(embeddings, targets, centers, margin, scale), targets)


def arcface_logits(embeddings: Tensor, targets: Tensor, centers: Tensor, margin: float, scale: float) -> Tensor:
    """(N, identities): ``scale`` times the cosine to each of the ``centers`` (identities, D), to the own one at an
    angle that is larger by the ``margin``.

    Beyond an angle of π - m the cosine would rise again; there cos(θ) - m sin(m) takes its place, which goes on
    falling, as in the authors' program.
    """
    cosines = embeddings @ F.normalize(centers).T
    rows = torch.arange(len(targets), device=targets.device)
    own = cosines[rows, targets]
    sines = (1 - own.square()).clamp(min=1e-12).sqrt()
    larger = own * math.cos(margin) - sines * math.sin(margin)
    larger = torch.where(own > -math.cos(margin), larger, own - margin * math.sin(margin))
    return scale * cosines.index_put((rows, targets), larger)


def triplet_loss(embeddings: Tensor, targets: Tensor, margin: float) -> Tensor:
    """The mean over all pairs of one identity of max(0, |a - p|² - |a - n|² + margin); 0 without such pairs.

    Schroff et al. 2015, sections 3.1 and 3.2: of the images of others the semi-hard one is taken, the nearest that is
    farther from the anchor than the positive; where all are nearer, the farthest.
    """
    distances = 2 - 2 * embeddings @ embeddings.T
    same = targets[:, None] == targets[None]
    anchors, positives = (same & ~torch.eye(len(targets), dtype=torch.bool, device=same.device)).nonzero(as_tuple=True)
    others = ~same[anchors]
    anchors, positives, others = (each[others.any(1)] for each in (anchors, positives, others))
    if not len(anchors):
        return 0 * embeddings.sum()
    positive, rows = distances[anchors, positives], distances[anchors]
    farther = others & (rows > positive[:, None])
    nearest = rows.masked_fill(~farther, math.inf).amin(1)
    farthest = rows.masked_fill(~others, -math.inf).amax(1)
    negative = torch.where(farther.any(1), nearest, farthest)
    return F.relu(positive - negative + margin).mean()
