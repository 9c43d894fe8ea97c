"""From all boxes that a network gives out to the detections of an image: those that no better one overlaps too much.

Soft-NMS: Bodla, Singh, Chellappa, Davis 2017, "Soft-NMS - improving object detection with one line of code", equation
4 (Gaussian).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from convolve.layers.box_head import Candidates
from convolve.layers.operators import load_nms
from convolve.layers.overlaps import box_iou
from convolve.tasks.detect.options import Suppression

LEAST_SCORE = 0.005
"""Detections below it are never given out: average precision needs those of low scores, and hardly any lower ones."""
CONSIDERED = 1000
"""How many candidates of an image are considered at most, those of the highest scores."""
_SIGMA = 0.5  # as in the paper's experiments


@dataclass(frozen=True)
class SuppressionRule:
    """Which detections are suppressed: those that overlap a better one of the same class (`per-class`) or of any
    (`agnostic`) by an IoU above ``iou``; `soft` multiplies the scores of those of the same class by a Gaussian of their
    IoU instead. Of each image ``most`` are left at most, each with a score of at least ``threshold``.
    """

    kind: Suppression = "per-class"
    iou: float = 0.45
    threshold: float = LEAST_SCORE
    most: int = 100


class RankedBoxes(NamedTuple):
    """K boxes of one image, the highest scores first: (K, 4) left, top, right, bottom; (K,) scores; (K,) classes."""

    boxes: Tensor
    scores: Tensor
    classes: Tensor

    def take(self, rows: Tensor) -> RankedBoxes:
        """Some of them, in the order asked."""
        return RankedBoxes(self.boxes[rows], self.scores[rows], self.classes[rows])


def detect(candidates: Candidates, rule: SuppressionRule) -> Tensor:
    """(N, most, 6) detections, those of the highest scores first: left, top, right and bottom in pixels of the input,
    score, class index. An image that has fewer is filled up with zeros, whose score is 0.
    """
    detections = torch.zeros(len(candidates.boxes), rule.most, 6)
    for image, found in enumerate(best_candidates(candidates, rule.threshold)):
        boxes, scores, classes = suppress(found, rule)
        detections[image, : len(boxes)] = torch.cat([boxes, scores[:, None], classes[:, None].float()], 1)
    return detections


def best_candidates(candidates: Candidates, threshold: float) -> list[RankedBoxes]:
    """Those of each image with a score of at least ``threshold``, a thousand at most, in main memory: so few are
    suppressed there as fast, in double precision, which not every GPU has. Boxes without an area and what is not a
    finite number are left out.
    """
    classes = candidates.scores.shape[2]
    sides = candidates.boxes[..., 2:] - candidates.boxes[..., :2]
    proper = torch.isfinite(candidates.boxes).all(-1) & (sides > 0).all(-1)
    own = candidates.boxes.dim() == 4  # each class has its own boxes
    every = candidates.scores.where(proper if own else proper[..., None], 0.0).nan_to_num().flatten(1)
    scores, order = every.topk(min(CONSIDERED, every.shape[1]))
    kinds, rows = order % classes, order if own else order // classes
    boxes = candidates.boxes.flatten(1, -2).gather(1, rows[..., None].expand(-1, -1, 4)).cpu()
    scores, kinds = scores.cpu(), kinds.cpu()
    counts = ((scores >= threshold) & (scores > 0)).sum(1).tolist()
    return [RankedBoxes(boxes[i, :count], scores[i, :count], kinds[i, :count]) for i, count in enumerate(counts)]


def suppress(found: RankedBoxes, rule: SuppressionRule) -> RankedBoxes:
    """The detections of an image that are left, those of the highest scores first."""
    if not len(found.boxes):
        return found
    if rule.kind == "soft":
        return _soften(found, rule)
    boxes = found.boxes.double()  # in which moving boxes changes no overlap
    if rule.kind == "per-class":  # each class goes to where no other is
        boxes = boxes + (found.classes * (boxes.max() - boxes.min() + 1))[:, None]
    kept = load_nms()(boxes, found.scores.double(), rule.iou)
    return found.take(kept[: rule.most])


def _soften(found: RankedBoxes, rule: SuppressionRule) -> RankedBoxes:
    """In the order in which they are chosen, with the scores that they then have."""
    same = found.classes[:, None] == found.classes
    decay = torch.exp(-(box_iou(found.boxes[:, None], found.boxes) ** 2) / _SIGMA).where(same, 1.0)
    left, order, scores = found.scores.clone(), [], []
    for _ in range(min(rule.most, len(left))):
        score, best = left.max(0)
        order.append(best)
        scores.append(score)
        left = left * decay[best]
        left[best] = 0.0
    rows, final = torch.stack(order), torch.stack(scores)
    enough = final >= rule.threshold
    return RankedBoxes(found.boxes[rows], final, found.classes[rows]).take(enough)
