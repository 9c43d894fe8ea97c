"""Intersection over union, on tensors of boxes: left, top, right, bottom; and the loss that is made of it.

Zheng et al. 2020, "Distance-IoU loss: faster and better learning for bounding box regression", equation 7.
"""

from __future__ import annotations

import torch
from torch import Tensor

from convolve.targets import BoxTensors

_LEAST = 1e-9  # so that two boxes without an area overlap by 0
_LEAST_DIAGONAL = 1e-30


def box_iou(first: Tensor, second: Tensor) -> Tensor:
    """IoU (…) of boxes (…, 4) and (…, 4), of shapes that broadcast; 0 for a box whose area is not a number."""
    extent = torch.minimum(first[..., 2:], second[..., 2:]) - torch.maximum(first[..., :2], second[..., :2])
    common = extent.clamp(min=0).prod(-1)
    areas = [(boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1]) for boxes in (first, second)]
    return (common / (areas[0] + areas[1] - common).clamp(min=_LEAST)).nan_to_num(0.0)


def size_overlaps(first: Tensor, second: Tensor) -> Tensor:
    """IoU of boxes of these widths and heights (..., 2) and (..., 2) around one center, of shapes that broadcast."""
    common = torch.minimum(first, second).prod(-1)
    return common / (first.prod(-1) + second.prod(-1) - common).clamp(min=_LEAST)


def best_overlaps(boxes: Tensor, targets: BoxTensors) -> tuple[Tensor, Tensor]:
    """For each of the boxes (N, B, 4) of N images the greatest IoU with a target of its image, and that target's index.

    Both are (N, B). Of equal ones it is the first; where an image has no target the IoU is 0 and the index means
    nothing.
    """
    counts = torch.bincount(targets.image, minlength=len(boxes))
    starts = counts.cumsum(0) - counts
    most = int(counts.max()) if len(targets.image) else 0
    if not most:
        return boxes.new_zeros(boxes.shape[:2]), torch.zeros(boxes.shape[:2], dtype=torch.int64, device=boxes.device)
    rows = torch.arange(len(targets.image), device=boxes.device) - starts[targets.image]
    padded = boxes.new_zeros(len(boxes), most, 4)  # what is missing has no area, and overlaps nothing
    padded[targets.image, rows] = targets.boxes.to(boxes)
    best, index = box_iou(boxes[:, :, None], padded[:, None]).max(2)
    return best, index + starts[:, None]


def distance_iou_loss(boxes: Tensor, targets: Tensor) -> Tensor:
    """(K,) for boxes (K, 4), each with its target (K, 4): 1 - IoU, plus the squared distance of the centers relative to
    the squared diagonal of the smallest box around both.
    """
    span = torch.maximum(boxes[:, 2:], targets[:, 2:]) - torch.minimum(boxes[:, :2], targets[:, :2])
    apart = (boxes[:, :2] + boxes[:, 2:] - targets[:, :2] - targets[:, 2:]) / 2
    return 1 - box_iou(boxes, targets) + (apart**2).sum(1) / (span**2).sum(1).clamp(min=_LEAST_DIAGONAL)
