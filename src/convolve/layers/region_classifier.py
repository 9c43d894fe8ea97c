"""The second stage: regions of a map become a class and a better box each.

Girshick 2015, "Fast R-CNN", sections 2.1 to 2.3, with the constants of the authors' program; several maps: Lin, Dollár,
Girshick, He, Hariharan, Belongie 2017, "Feature pyramid networks for object detection", section 4.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from convolve.layers.box_coding import BoxCoder
from convolve.layers.description import Series
from convolve.layers.initializers import gaussian
from convolve.layers.overlaps import box_iou
from convolve.layers.region_proposals import Matches, box_edges, sample_labels
from convolve.layers.roi_pooling import roi_align, roi_max_pool

DEVIATIONS = (0.1, 0.1, 0.2, 0.2)
"""By which the program divides the deltas of regions."""
_CODER = BoxCoder(extra=1.0, deviations=DEVIATIONS)
_USUAL_SIDE, _USUAL_LEVEL = 224.0, 4  # a region of 224x224 is pooled from the map of stride 2**4


@dataclass(frozen=True)
class RegionOptions:
    """The program's settings, by default those of Faster R-CNN.

    Of each image ``samples`` regions learn, ``fraction`` of them objects at most: those that overlap a target by
    ``foreground`` or more. Others are background if they overlap one by ``background`` at least. Errors of boxes count
    linearly above ``beta``.
    """

    coder: BoxCoder = _CODER
    samples: int = 128
    fraction: float = 0.25
    foreground: float = 0.5
    background: float = 0.0
    beta: float = 1.0


@final
@dataclass(frozen=True)
class RegionPool:
    """How regions are pooled to ``side`` x ``side`` cells: by their maxima, or by RoIAlign if they ``align``.

    ``strides`` are those of the maps, doubling. Of several maps a region is pooled from one: a region of 224x224 pixels
    from that of stride 16, one half as wide from the next finer, rounded down.
    """

    side: int
    strides: tuple[int, ...]
    align: bool = False

    def __call__(self, maps: Sequence[Tensor], regions: Tensor) -> Tensor:
        """Maps (N, C, H, W) and regions (K, 5), each an image's index and a box, to (K, C, side, side)."""
        if len(maps) == 1:
            return self._pool(maps[0], regions, self.strides[0])
        levels = self.levels(regions[:, 1:])
        order = levels.argsort(stable=True)
        counts = torch.bincount(levels, minlength=len(maps)).tolist()
        parts = regions[order].split_with_sizes(counts)
        pooled = [self._pool(*each) for each in zip(maps, parts, self.strides, strict=True)]
        return torch.cat(pooled)[order.argsort()]

    def levels(self, boxes: Tensor) -> Tensor:
        """(K, 4) boxes to the index (K,) of the map that each is pooled from (equation 1 of the second paper)."""
        area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
        level = (_USUAL_LEVEL + (area.sqrt() / _USUAL_SIDE).log2() + 1e-6).floor()
        first = self.strides[0].bit_length() - 1
        return level.clamp(first, first + len(self.strides) - 1).long() - first

    def _pool(self, maps: Tensor, regions: Tensor, stride: int) -> Tensor:
        if self.align:
            return roi_align(maps, regions, self.side, 1 / stride, samples=2, aligned=False)
        return roi_max_pool(maps, regions, self.side, 1 / stride)


class RegionOutputs(NamedTuple):
    """Of K regions: ``logits`` (K, 1 + C), the background's first, and ``deltas`` (K, 1 + C, 4), of each class its own.

    Both are float32.
    """

    logits: Tensor
    deltas: Tensor


@final
class RegionClassifier(nn.Module):
    """Regions of maps to classes and boxes.

    ``layers`` turn (K, C, side, side) into (K, width). Boxes are those of the ``options.coder``: with an ``extra`` of 1
    right and bottom are the last pixels.
    """

    def __init__(self, pool: RegionPool, layers: nn.Module, width: int, classes: int, options: RegionOptions) -> None:
        super().__init__()
        self.pool = pool
        self.options = options
        self.layers = layers
        self.classes = gaussian(nn.Linear(width, classes + 1), 0.01)
        self.boxes = gaussian(nn.Linear(width, 4 * (classes + 1)), 0.001)

    def forward(self, maps: Sequence[Tensor], regions: Tensor) -> RegionOutputs:
        """Maps (N, C, H, W) and regions (K, 5), each an image's index and a box, to what they say."""
        return self.outputs(self.pool(maps, regions))

    def outputs(self, pooled: Tensor) -> RegionOutputs:
        """The same for regions that are pooled already."""
        features = self.layers(pooled)
        return RegionOutputs(self.classes(features).float(), torch.unflatten(self.boxes(features).float(), 1, (-1, 4)))

    def match(self, regions: Tensor, targets: Tensor, classes: Tensor) -> Matches:
        """What regions (K, 4) learn of targets (M, 4) of these ``classes`` (M,): labels are 1 + class, 0 for the
        background, and -1 for what does not learn.
        """
        if not len(targets):
            nothing = torch.zeros(len(regions), dtype=torch.int64, device=regions.device)
            return Matches(nothing if self.options.background <= 0 else nothing - 1, nothing)
        extra = self.options.coder.extra
        best, rows = box_iou(box_edges(regions, extra)[:, None], box_edges(targets, extra)).max(1)
        labels = torch.where(best >= self.options.foreground, 1 + classes[rows], 0)
        return Matches(labels.masked_fill(best < self.options.background, -1), rows)

    @torch.no_grad()
    def sample(
        self, regions: Tensor, targets: Tensor, classes: Tensor, random: torch.Generator | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Of an image's regions (K, 4) and its targets some at random, those with objects first: boxes (S, 4), labels
        (S,), and the deltas (S, 4) to their targets, which mean nothing for the background.
        """
        regions = torch.cat((regions, targets))
        matches = self.match(regions, targets, classes)
        rows = torch.cat(sample_labels(matches.labels, self.options.samples, self.options.fraction, random))
        boxes, labels = regions[rows], matches.labels[rows]
        if not len(targets):
            return boxes, labels, torch.zeros_like(boxes)
        return boxes, labels, self.options.coder.encode(boxes, targets[matches.targets[rows]])

    def losses(self, found: RegionOutputs, labels: Tensor, deltas: Tensor) -> dict[str, Tensor]:
        """`class`, a cross-entropy, and `box`, the errors of the true class's boxes; both means over all regions."""
        return {
            "class": F.cross_entropy(found.logits, labels, reduction="sum") / max(len(labels), 1),
            "box": box_loss(found.deltas, labels, deltas, self.options.beta),
        }

    def describe(self) -> Series:
        """Its layers, the outputs one after the other."""
        return Series(("layers", "classes", "boxes"))

    def decode(self, found: RegionOutputs, regions: Tensor) -> tuple[Tensor, Tensor]:
        """(K, C, 4) boxes, as edges, and (K, C) scores of regions (K, 4), without the background."""
        boxes = self.options.coder.decode(regions[:, None], found.deltas[:, 1:])
        return boxes, found.logits.softmax(1)[:, 1:]


def box_loss(found: Tensor, labels: Tensor, deltas: Tensor, beta: float = 1.0) -> Tensor:
    """The errors of the boxes of objects, by the number of all regions: ``found`` (K, 1 + C, 4) are the deltas for each
    class, of which that of the ``labels`` (K,) counts, 0 for the background, and ``deltas`` (K, 4) are the true ones.
    """
    objects = labels.nonzero()[:, 0]
    errors = F.smooth_l1_loss(found[objects, labels[objects]], deltas[objects], reduction="sum", beta=beta)
    return errors / max(len(labels), 1)
