"""Anchors, and the regions of an image that may hold an object: which anchors learn what, and which boxes are proposed.

Ren, He, Girshick, Sun 2015, "Faster R-CNN: towards real-time object detection with region proposal networks", section
3; the constants, and what the paper leaves open, are those of the authors' program (`py-faster-rcnn`). Several maps:
Lin, Dollár, Girshick, He, Hariharan, Belongie 2017, "Feature pyramid networks for object detection", section 4.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, final

import torch
from torch import Tensor

from convolve.layers.box_coding import BoxCoder, clip_boxes
from convolve.layers.operators import load_nms
from convolve.layers.overlaps import box_iou

_BASE = 16
_CODER = BoxCoder(extra=1.0)
POSITIVE, NEGATIVE, IGNORED = 1, 0, -1
"""Labels of anchors."""


@dataclass(frozen=True)
class ProposalOptions:
    """The program's settings, by default those of its files.

    An anchor is positive from an IoU of ``positive`` on, or as the best of a target, and negative below ``negative``;
    with ``inside`` only those wholly in the image learn. Of each image ``samples`` do, ``fraction`` of them positive
    at most; errors of boxes count linearly above ``beta``. Boxes with a side below ``least_side`` are dropped, before
    the best ones are taken if ``filter_first``. In each map the best ``training[0]`` or ``testing[0]`` go through
    non-maximum suppression above an IoU of ``overlap``, and the best ``[1]`` of all are left.
    """

    coder: BoxCoder = _CODER
    positive: float = 0.7
    negative: float = 0.3
    inside: bool = True
    samples: int = 256
    fraction: float = 0.5
    beta: float = 1 / 9
    least_side: float = 16.0
    filter_first: bool = True
    overlap: float = 0.7
    training: tuple[int, int] = (12_000, 2_000)
    testing: tuple[int, int] = (6_000, 300)


@final
class Matches(NamedTuple):
    """For boxes (B, 4) the ``labels`` (B,), and the rows (B,) of the ``targets`` that they overlap most, which mean
    nothing where there is no target.
    """

    labels: Tensor
    targets: Tensor


def published_anchors(scales: Sequence[float] = (8, 16, 32), ratios: Sequence[float] = (0.5, 1, 2)) -> Tensor:
    """(A, 4) anchors of the first cell, of ``ratios`` of height to width and ``scales`` of 16 pixels; ratio by ratio.

    Right and bottom are the last pixels. Sides are rounded before they are scaled, to even numbers, as by NumPy.
    """
    anchors = []
    center = (_BASE - 1) / 2
    for ratio in ratios:
        width = round((_BASE**2 / ratio) ** 0.5)
        height = round(width * ratio)
        for scale in scales:
            across, down = (width * scale - 1) / 2, (height * scale - 1) / 2
            anchors.append((center - across, center - down, center + across, center + down))
    return torch.tensor(anchors)


def centered_anchors(sides: Tensor) -> Tensor:
    """(A, 2) widths and heights to (A, 4) anchors around the corner of the first cell, rounded to whole pixels."""
    return torch.cat((-sides, sides), -1).div(2).round()


def anchor_sides(sizes: Sequence[float], ratios: Sequence[float] = (0.5, 1, 2)) -> Tensor:
    """(A, 2) widths and heights of anchors with the areas of squares of these ``sizes``; ratio by ratio."""
    roots = [ratio**0.5 for ratio in ratios]
    return torch.tensor([(size / root, size * root) for root in roots for size in sizes])


def shift_anchors(anchors: Tensor, shape: tuple[int, int], stride: int) -> Tensor:
    """The (A, 4) anchors of the first cell in all cells of a map of this shape (height, width): (H * W * A, 4)."""
    down = torch.arange(shape[0], device=anchors.device) * stride
    across = torch.arange(shape[1], device=anchors.device) * stride
    y, x = torch.meshgrid(down, across, indexing="ij")
    moves = torch.stack((x, y, x, y), -1).reshape(-1, 1, 4)
    return (moves + anchors).flatten(0, 1)


def match_anchors(anchors: Tensor, targets: Tensor, size: tuple[int, int], options: ProposalOptions) -> Matches:
    """What anchors (B, 4) learn of targets (M, 4) in an image of a ``size`` (height, width).

    Negatives are decided first, so that the best anchors of a target that all overlap little are positive; all that
    are equally good are. A target that no anchor overlaps has no best one.
    """
    extra = options.coder.extra
    edges = box_edges(anchors, extra)
    extent = edges.new_tensor((size[1], size[0]))
    learning = ((edges[:, :2] >= 0) & (edges[:, 2:] <= extent)).all(1)
    if not options.inside:
        learning = torch.ones_like(learning)
    rows = learning.nonzero()[:, 0]
    labels = torch.full((len(anchors),), IGNORED, device=anchors.device)
    matched = torch.zeros(len(anchors), dtype=torch.int64, device=anchors.device)
    if not len(targets):
        labels[rows] = NEGATIVE
        return Matches(labels, matched)
    overlaps = box_iou(box_edges(targets, extra)[:, None], edges[rows])
    best, matched[rows] = overlaps.max(0)
    highest = overlaps.amax(1, keepdim=True) if len(rows) else overlaps.new_zeros(len(targets), 1)
    favored = ((overlaps == highest) & (highest > 0)).any(0)
    labels[rows[best < options.negative]] = NEGATIVE
    labels[rows[favored | (best >= options.positive)]] = POSITIVE
    return Matches(labels, matched)


def sample_labels(labels: Tensor, count: int, fraction: float, random: torch.Generator | None) -> tuple[Tensor, Tensor]:
    """The rows of ``count`` boxes that learn, at random: those with labels above 0, ``fraction`` of all at most, and
    those of label 0, which fill up; fewer if there are fewer.
    """
    random = random or torch.Generator(labels.device).manual_seed(0)
    positive = _choose((labels > 0).nonzero()[:, 0], int(count * fraction), random)
    return positive, _choose((labels == 0).nonzero()[:, 0], count - len(positive), random)


@torch.no_grad()
def propose(
    scores: Sequence[Tensor],
    deltas: Sequence[Tensor],
    anchors: Sequence[Tensor],
    size: tuple[int, int],
    options: ProposalOptions,
    counts: tuple[int, int],
) -> Tensor:
    """The regions of one image, the highest scores first: (K, 4), cut at the edges of the image.

    Of each map ``scores`` (B,), ``deltas`` (B, 4) and ``anchors`` (B, 4); of each the best ``counts[0]`` are suppressed
    among themselves, and the best ``counts[1]`` of all are left.
    """
    found = [_propose_of_map(*each, size, options, counts[0]) for each in zip(scores, deltas, anchors, strict=True)]
    boxes, ranks = (torch.cat(parts) for parts in zip(*found, strict=True))
    return boxes[ranks.topk(min(counts[1], len(ranks))).indices]


def _propose_of_map(
    scores: Tensor, deltas: Tensor, anchors: Tensor, size: tuple[int, int], options: ProposalOptions, most: int
) -> tuple[Tensor, Tensor]:
    """Boxes (K, 4) and scores (K,)."""
    extra = options.coder.extra
    if not options.filter_first:
        scores, rows = scores.topk(min(most, len(scores)))
        deltas, anchors = deltas[rows], anchors[rows]
    boxes = clip_boxes(options.coder.decode(anchors, deltas), size, extra)
    large = (boxes[:, 2:] - boxes[:, :2] + extra >= options.least_side).all(1)
    boxes, scores = boxes[large], scores[large]
    scores, rows = scores.topk(min(most, len(scores)))
    boxes = boxes[rows]
    kept = load_nms()(box_edges(boxes, extra), scores, options.overlap)
    return boxes[kept], scores[kept]


def box_edges(boxes: Tensor, extra: float) -> Tensor:
    """Boxes (..., 4) of which right and bottom are the last pixels, where ``extra`` is 1, to boxes of edges."""
    return boxes + boxes.new_tensor((0.0, 0.0, extra, extra)) if extra else boxes


def _choose(rows: Tensor, count: int, random: torch.Generator) -> Tensor:
    if len(rows) <= count:
        return rows
    return rows[torch.randperm(len(rows), generator=random, device=rows.device)[:count]]
