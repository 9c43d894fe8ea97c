"""Which of the proposed regions of images a detector learns from.

Girshick 2015, "Fast R-CNN", section 2.3, "Mini-batch sampling"; Girshick, Donahue, Darrell, Malik 2014, "Rich feature
hierarchies for accurate object detection and semantic segmentation", section 2.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from convolve.layers.overlaps import box_iou
from convolve.targets import BoxTensors


class SampledRegions(NamedTuple):
    """M regions to learn from: ``regions`` (M, 4) of the images ``image`` (M,), each with its ``labels`` (M,), 0 for
    background and 1 + the class index for an object, whose box is in ``boxes`` (M, 4); of background it means
    nothing.
    """

    regions: Tensor
    image: Tensor
    labels: Tensor
    boxes: Tensor


@dataclass(frozen=True)
class SamplingRule:
    """Of each image ``count`` regions at most, the ``fraction`` of them at most that overlap an object by an IoU of
    ``object_iou`` or more, and of the others those whose greatest IoU lies in [``least_iou``, ``object_iou``).

    The objects' own boxes are among the regions. Regions are drawn without repetition, fewer where there are fewer.

    Deviations: an image without objects gives background of any place; the authors leave such images out.
    """

    count: int = 64
    fraction: float = 0.25
    object_iou: float = 0.5
    least_iou: float = 0.1

    def sample(self, regions: Tensor, targets: BoxTensors, random: torch.Generator | None = None) -> SampledRegions:
        """From regions (N, R, 4), of which those without an area are none; without ``random`` always the same."""
        random = torch.Generator().manual_seed(0) if random is None else random
        parts = [self._of_image(regions, targets, image, random) for image in range(len(regions))]
        return SampledRegions(*(torch.cat(column) for column in zip(*parts, strict=True)))

    def _of_image(self, regions: Tensor, targets: BoxTensors, image: int, random: torch.Generator) -> SampledRegions:
        own = targets.image == image
        boxes, classes = targets.boxes[own].to(regions), targets.classes[own]
        proposed = regions[image]
        every = torch.cat([boxes, proposed[(proposed[:, 2:] > proposed[:, :2]).all(1)]])
        if len(boxes):
            best, match = box_iou(every[:, None], boxes).max(1)
            least = self.least_iou
        else:
            best, match, least = every.new_zeros(len(every)), torch.zeros(len(every), dtype=torch.int64), 0.0
        objects = _draw((best >= self.object_iou).nonzero()[:, 0], round(self.fraction * self.count), random)
        others = ((best < self.object_iou) & (best >= least)).nonzero()[:, 0]
        background = _draw(others, self.count - len(objects), random)
        rows = torch.cat([objects, background])
        labels = torch.zeros(len(rows), dtype=torch.int64, device=regions.device)
        matched = every[rows].clone()
        if len(objects):
            labels[: len(objects)] = 1 + classes[match[objects]]
            matched[: len(objects)] = boxes[match[objects]]
        return SampledRegions(every[rows], torch.full_like(labels, image), labels, matched)


def _draw(rows: Tensor, count: int, random: torch.Generator) -> Tensor:
    """At most ``count`` of the rows, none twice; all of them in their order where these are no more."""
    if len(rows) <= count:
        return rows
    order = torch.randperm(len(rows), generator=random, device=random.device)
    return rows[order[:count].to(rows.device)]
