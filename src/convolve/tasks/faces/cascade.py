"""How three networks find faces: the first one proposes windows at all sizes, and the two others look at them again.

Zhang, Zhang, Li, Qiao 2016, "Joint face detection and alignment using multitask cascaded convolutional networks",
section II. Windows that overlap a better one are suppressed, within each size by an IoU above 0.5 and else above 0.7,
at the end by what they share of the smaller one, above 0.7. What is left becomes a square around its regressed edges.

Deviations: as in facenet-pytorch, images and windows are resized by the mean over areas, and windows that reach beyond
the image end there; in the authors' program they are filled up with zeros. A window of which nothing is inside is
dropped. Edges are the authors', who count pixels from 1: a box is up to a pixel to the right and below.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, cast

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from convolve.layers.area_table import AreaTable
from convolve.layers.operators import load_nms
from convolve.models import Network
from convolve.models.mtcnn import Cascade

POINTS = ("left eye", "right eye", "nose", "left mouth corner", "right mouth corner")
"""As they are seen in the image."""
MEAN, DIVISOR = 127.5, 128.0
"""Of pixels from 0 to 255."""
WINDOW, STRIDE, FACTOR = 12, 2, 0.709
"""Side of the first network's windows, pixels between two of them, and of an image's size, that of the next smaller."""
_WITHIN_SIZE, _OVERLAP, _SHARED = 0.5, 0.7, 0.7
_AT_ONCE = 512
"""Windows that go through a network together."""


@dataclass(frozen=True)
class CascadeRule:
    """The side of the smallest face in pixels, and the least score of a window in each of the three networks."""

    smallest: int = 20
    thresholds: tuple[float, float, float] = (0.6, 0.7, 0.7)


class FoundFaces(NamedTuple):
    """K faces of one image, the highest scores first: (K, 4) left, top, right, bottom; (K,) scores; (K, 5, 2) x and y
    of the `POINTS`.
    """

    boxes: Tensor
    scores: Tensor
    points: Tensor


def find_faces(network: Network, image: Tensor, rule: CascadeRule) -> FoundFaces:
    """The faces in an image (3, H, W) of numbers from 0 to 255, on the network's device."""
    head = cast(Cascade, network.head)
    table = AreaTable(image)
    boxes = _propose(network, image, rule)
    if len(boxes):
        boxes, numbers = _look_again(head.refinement, table, boxes, rule.thresholds[1])
        kept = load_nms()(boxes[:, :4], boxes[:, 4], _OVERLAP)
        boxes = _square(_regress(boxes[kept], numbers[kept, 2:6]))
    if not len(boxes):
        return FoundFaces(boxes[:, :4], boxes[:, 4], boxes.new_zeros(0, len(POINTS), 2))
    boxes, numbers = _look_again(head.output, table, boxes, rule.thresholds[2])
    sides = boxes[:, 2:4] - boxes[:, :2] + 1
    points = torch.unflatten(numbers[:, 6:], 1, (2, len(POINTS))).mT * sides[:, None] + boxes[:, None, :2] - 1
    boxes = _regress(boxes, numbers[:, 2:6])
    kept = suppress_parts(boxes[:, :4], boxes[:, 4], _SHARED)
    return FoundFaces(boxes[kept, :4], boxes[kept, 4], points[kept])


def pyramid(size: tuple[int, int], smallest: int) -> list[float]:
    """By what an image of a ``size`` (height, width) is multiplied, so that faces are as large as a window."""
    scale, side, scales = WINDOW / smallest, min(size) * WINDOW / smallest, []
    while side >= WINDOW:
        scales.append(scale)
        scale, side = scale * FACTOR, side * FACTOR
    return scales


def suppress_parts(boxes: Tensor, scores: Tensor, most: float) -> Tensor:
    """The rows of boxes (K, 4) of which no better one shares more than ``most`` of the smaller one's area, best first;
    edges belong to a box. Of equal scores, which windows of the same pixels have, the last is the best, as published.
    """
    order = scores.argsort(stable=True).flip(0)
    sides = boxes[:, 2:] - boxes[:, :2] + 1
    corners = torch.maximum(boxes[:, None, :2], boxes[:, :2]), torch.minimum(boxes[:, None, 2:], boxes[:, 2:])
    shared = (corners[1] - corners[0] + 1).clamp(min=0).prod(-1)
    areas = sides.prod(-1)
    covers = (shared / torch.minimum(areas[:, None], areas) > most).tolist()
    kept: list[int] = []
    for row in order.tolist():
        if not any(covers[better][row] for better in kept):
            kept.append(row)
    return torch.tensor(kept, dtype=torch.long, device=boxes.device)


def _propose(network: Network, image: Tensor, rule: CascadeRule) -> Tensor:
    """(K, 5) squares that may hold a face, and their scores, by the first network."""
    nms, found = load_nms(), [image.new_zeros(0, 9)]
    height, width = image.shape[1:]
    for scale in pyramid((height, width), rule.smallest):
        size = int(height * scale + 1), int(width * scale + 1)
        numbers = network(_normalize(interpolate(image[None], size, mode="area"))).float()[0]
        scores = numbers[:2].softmax(0)[1]
        rows, columns = (scores >= rule.thresholds[0]).nonzero(as_tuple=True)
        corners = torch.stack([columns, rows], 1).float() * STRIDE + 1
        edges = torch.cat([corners / scale, (corners + WINDOW - 1) / scale], 1).floor()
        windows = torch.cat([edges, scores[rows, columns][:, None], numbers[2:, rows, columns].T], 1)
        found.append(windows[nms(windows[:, :4], windows[:, 4], _WITHIN_SIZE)])
    windows = torch.cat(found)
    windows = windows[nms(windows[:, :4], windows[:, 4], _OVERLAP)]
    sides = (windows[:, 2:4] - windows[:, :2]).repeat(1, 2)
    return _square(torch.cat([windows[:, :4] + windows[:, 5:] * sides, windows[:, 4:5]], 1))


def _look_again(network: Network, table: AreaTable, boxes: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    """Of squares (K, 5) those that a network gives more than a ``threshold``, with its scores, and its numbers."""
    edges = boxes[:, :4].trunc().long()
    height, width = table.size
    cut = torch.cat([edges[:, :2].clamp(min=1) - 1, edges[:, 2:].minimum(edges.new_tensor([width, height]))], 1)
    inside = (cut[:, 2:] > cut[:, :2]).all(1)
    boxes, cut = boxes[inside], cut[inside]
    side = network.card.input[1]
    parts = [network(_normalize(table.means(part, side))).float() for part in torch.split(cut, _AT_ONCE) if len(part)]
    numbers = torch.cat(parts) if parts else boxes.new_zeros(0, network.card.classes)
    scores = numbers[:, :2].softmax(1)[:, 1]
    sure = scores > threshold
    return torch.cat([boxes[sure, :4], scores[sure, None]], 1), numbers[sure]


def _regress(boxes: Tensor, offsets: Tensor) -> Tensor:
    """Boxes (K, 5) with their edges moved by fractions of their sides."""
    sides = (boxes[:, 2:4] - boxes[:, :2] + 1).repeat(1, 2)
    return torch.cat([boxes[:, :4] + offsets * sides, boxes[:, 4:]], 1)


def _square(boxes: Tensor) -> Tensor:
    """Boxes (K, 5) as squares of their longer sides around their centers."""
    sides = boxes[:, 2:4] - boxes[:, :2]
    longest = sides.amax(1, keepdim=True)
    corners = boxes[:, :2] + sides * 0.5 - longest * 0.5
    return torch.cat([corners, corners + longest, boxes[:, 4:]], 1)


def _normalize(pixels: Tensor) -> Tensor:
    return (pixels - MEAN) / DIVISOR
