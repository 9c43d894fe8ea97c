"""The head of `yolo_compact`: one map of stride 8, on which every position proposes one box, without anchors.

Lin et al. 2017, "Feature pyramid networks for object detection", figure 3: deep maps, upsampled, are added to fine ones.
Tian et al. 2019, "FCOS", section 3.1: each position predicts a box and the scores of the classes; no anchors.
Feng et al. 2021, "TOOD: task-aligned one-stage object detection", sections 3.2 and 3.3: the assignment and its targets.
Ge et al. 2021, "YOLOX", section 2.1: the center's offset and the logarithms of the sides.
Zheng et al. 2020, "Distance-IoU loss", equation 7: the loss of boxes.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import NamedTuple, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from convolve.layers.box_head import Candidates, Maps
from convolve.layers.initializers import he_normal
from convolve.targets import BoxTensors

POSITIVES = 10
"""Positions that learn one object."""
IOU_POWER = 6.0
"""How much a position's box counts against its score when positions are chosen (TOOD: alpha 1, beta 6)."""
LEAST_IOU = 0.01
"""Boxes that overlap an object less are compared by their scores, so that each object is learned by some position."""
BOX_WEIGHT = 5.0
PRIOR = 0.005
"""The score of every class before training."""
_EDGE_LIMIT = math.log(1000 / 16)
_SMALL, _SMALLEST = 1e-7, 1e-30


class Matches(NamedTuple):
    """Which position learns which object: K pairs.

    ``objects`` (K,) are rows of the targets and ``positions`` (K,) count through the positions of all images.
    ``weights`` (K,) compare an object's positions: the best one's is 1. ``scores`` (K,) are what the positions should
    give: the same, where the best one's is its IoU.
    """

    objects: Tensor
    positions: Tensor
    weights: Tensor
    scores: Tensor


def convolution(channels: int, width: int, side: int) -> nn.Sequential:
    """A convolution that keeps the map's size, with normalization and ReLU.

    Shape: (N, channels, H, W) -> (N, width, H, W)
    """
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(channels, width, side, padding=side // 2, bias=False),
            norm=nn.BatchNorm2d(width),
            relu=nn.ReLU(inplace=True),
        )
    )


@final
class CompactHead(nn.Module):
    """Maps of several strides, each twice the one before it, to one map of the first one's stride.

    Its channels are, at each position, the four numbers of a box and one score for each class: the box's center as an
    offset from the position in strides, and the logarithms of its sides relative to ``anchors``.
    """

    anchors: Tensor

    def __init__(self, classes: int, channels: Mapping[str, int], stride: int, width: int) -> None:
        super().__init__()
        self.stride = stride
        self.register_buffer("anchors", torch.full((1, 1, 2), 4.0 * stride))
        self.laterals = nn.ModuleList(convolution(count, width, 1) for count in channels.values())
        self.merged = convolution(width, width, 3)
        self.box_tower = convolution(width, width, 3)
        self.class_tower = convolution(width, width, 3)
        self.boxes = nn.Conv2d(width, 4, 1)
        self.scores = nn.Conv2d(width, classes, 1)
        self.apply(he_normal)
        nn.init.normal_(self.boxes.weight, std=0.01)
        nn.init.normal_(self.scores.weight, std=0.01)
        nn.init.constant_(self.scores.bias, -math.log((1 - PRIOR) / PRIOR))

    def forward(self, maps: Sequence[Tensor], size: tuple[int, int]) -> Maps:
        """Maps (N, channels, H / stride, W / stride), finest first, to one (N, 4 + classes, H / 8, W / 8)."""
        del size
        merged = self.laterals[-1](maps[-1])
        for lateral, finer in zip(reversed(self.laterals[:-1]), reversed(maps[:-1]), strict=True):
            merged = lateral(finer) + F.interpolate(merged, size=finer.shape[2:], mode="nearest")
        merged = self.merged(merged)
        return (torch.cat([self.boxes(self.box_tower(merged)), self.scores(self.class_tower(merged))], dim=1),)

    def decode(self, outputs: Maps, size: tuple[int, int]) -> Candidates:
        """One box for each position, row after row."""
        del size
        boxes, logits = self._boxes_and_logits(outputs[0])
        return Candidates(boxes, logits.sigmoid())

    def loss(self, outputs: Maps, targets: BoxTensors, size: tuple[int, int]) -> dict[str, Tensor]:
        """Cross-entropy of the scores and `distance_iou_loss` of the boxes, each image's divided by its weights."""
        del size
        boxes, logits = self._boxes_and_logits(outputs[0])
        count, positions, _ = boxes.shape
        with torch.no_grad():
            matches = self.match(boxes, logits.sigmoid(), targets, outputs[0].shape[3])
        classes, image = targets.classes[matches.objects], targets.image[matches.objects]
        wanted = torch.zeros_like(logits).flatten(0, 1)
        wanted[matches.positions, classes] = matches.scores
        entropy = F.binary_cross_entropy_with_logits(logits, wanted.view_as(logits), reduction="none").sum((1, 2))
        away = distance_iou_loss(boxes.flatten(0, 1)[matches.positions], targets.boxes[matches.objects])
        scores, weights, distances = (
            boxes.new_zeros(count).index_add(0, image, values)
            for values in (matches.scores, matches.weights, away * matches.weights)
        )
        class_loss, box_loss = (entropy / scores.clamp(min=1.0)).mean(), (distances / weights.clamp(min=1.0)).mean()
        return {"loss": class_loss + BOX_WEIGHT * box_loss, "class": class_loss, "box": box_loss}

    def fit_anchors(self, sides: Tensor, seed: int) -> None:
        """The sides that the outputs 0 mean become the geometric means of ``sides``."""
        del seed
        if len(sides):
            self.anchors.copy_(sides.float().clamp(min=1.0).log().mean(0).exp().view(1, 1, 2))

    def match(self, boxes: Tensor, scores: Tensor, targets: BoxTensors, columns: int) -> Matches:
        """Give each object the `POSITIVES` positions within it whose boxes and scores agree best with it.

        A position that several objects want learns the one that its box overlaps most.
        """
        count, positions, _ = boxes.shape
        objects, places = self._inside(targets.boxes, positions // columns, columns)
        image = targets.image[objects]
        overlap = iou(boxes[image, places], targets.boxes[objects])
        score = scores[image, places, targets.classes[objects]]
        quality = score * overlap.clamp(min=LEAST_IOU) ** IOU_POWER

        table = quality.new_full((len(targets.boxes), positions), -1.0)
        table[objects, places] = quality
        least = table.topk(min(POSITIVES, positions), dim=1).values[:, -1]
        chosen = quality >= least[objects]
        objects, overlap, quality = objects[chosen], overlap[chosen], quality[chosen]
        owners = targets.image[objects] * positions + places[chosen]
        best = overlap.new_zeros(count * positions).scatter_reduce(0, owners, overlap, "amax")
        chosen = overlap >= best[owners]
        objects, owners, overlap, quality = objects[chosen], owners[chosen], overlap[chosen], quality[chosen]

        highest = [
            overlap.new_zeros(len(targets.boxes)).scatter_reduce(0, objects, values, "amax")[objects]
            for values in (quality, overlap)
        ]
        weights = quality / highest[0].clamp(min=_SMALLEST)
        return Matches(objects, owners, weights, weights * highest[1])

    def _inside(self, boxes: Tensor, rows: int, columns: int) -> tuple[Tensor, Tensor]:
        """Pairs (K,) of objects and positions whose center lies in the object's box; a box narrower than two strides
        is widened to them, so that it has at least one.
        """
        centers, reach = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2
        reach = reach.clamp(min=self.stride)
        within = [
            ((torch.arange(side, device=boxes.device) + 0.5) * self.stride - centers[:, axis, None]).abs()
            <= reach[:, axis, None]
            for axis, side in ((0, columns), (1, rows))
        ]
        objects, places = (within[1][:, :, None] & within[0][:, None, :]).flatten(1).nonzero(as_tuple=True)
        return objects, places

    def _boxes_and_logits(self, output: Tensor) -> tuple[Tensor, Tensor]:
        """(N, B, 4) boxes and (N, B, classes) logits in float32."""
        rows, columns = output.shape[2:]
        values = output.float().flatten(2).transpose(1, 2)
        y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
        grid = torch.stack([x, y], dim=-1).view(-1, 2).to(values) + 0.5
        centers = (grid + values[..., :2]) * self.stride
        reach = values[..., 2:4].clamp(max=_EDGE_LIMIT).exp() * (self.anchors[0] / 2)
        return torch.cat([centers - reach, centers + reach], dim=-1), values[..., 4:]


def iou(boxes: Tensor, others: Tensor) -> Tensor:
    """(K,) intersection over union of boxes (K, 4), each with its other (K, 4)."""
    shared = (torch.min(boxes[:, 2:], others[:, 2:]) - torch.max(boxes[:, :2], others[:, :2])).clamp(min=0).prod(1)
    areas = [(each[:, 2:] - each[:, :2]).prod(1) for each in (boxes, others)]
    return shared / (areas[0] + areas[1] - shared + _SMALL)


def distance_iou_loss(boxes: Tensor, others: Tensor) -> Tensor:
    """(K,) 1 - IoU + the squared distance of the centers, relative to the diagonal of the box around both."""
    span = torch.max(boxes[:, 2:], others[:, 2:]) - torch.min(boxes[:, :2], others[:, :2])
    apart = (boxes[:, :2] + boxes[:, 2:] - others[:, :2] - others[:, 2:]) / 2
    return 1 - iou(boxes, others) + apart.square().sum(1) / (span.square().sum(1) + _SMALL)
