"""The head of `yolo_compact`: one map, at each position of which there is one box, without anchors of several sizes.

Lin et al. 2017, "Feature pyramid networks for object detection", figure 3: coarse maps are added to finer ones.
Tian et al. 2019, "FCOS: fully convolutional one-stage object detection", section 3.1: each position predicts a box and
the scores of the classes.
Ge et al. 2021, "YOLOX: exceeding YOLO series in 2021", section 2.1: one box a position, its classes and its edges by
convolutions of their own; several positions learn one object.
Feng et al. 2021, "TOOD: task-aligned one-stage object detection", section 3.2: which positions these are, and scores
that say how good the box is.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final, NamedTuple, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from convolve.layers.box_head import Candidates, Maps
from convolve.layers.description import Series
from convolve.layers.initializers import gaussian, he_normal
from convolve.layers.overlaps import box_iou, distance_iou_loss
from convolve.targets import BoxTensors

POSITIVES = 10
"""How many positions learn an object; TOOD has 13."""
IOU_POWER = 6.0
"""How much the overlap counts against the score in an alignment, as in TOOD."""
LEAST_IOU = 0.01
"""Boxes that overlap an object less are told apart by their scores, so that no object is without positions."""
BOX_WEIGHT = 5.0
"""How much the loss of boxes counts against that of scores."""
_PRIOR = 0.005  # every score before training
_START = 4.0  # strides: the sides of boxes before anything is known of the data
_LARGEST = math.log(1000.0)  # a factor beyond which no side grows, so that the exponential stays finite
_LEAST = 1e-30


def rectified_convolution(channels: int, width: int, kernel: int = 3) -> nn.Sequential:
    """A convolution that keeps the map's size, with normalization and ReLU.

    Shape: (N, channels, H, W) -> (N, width, H, W)
    """
    layers = OrderedDict(
        conv=nn.Conv2d(channels, width, kernel, padding=kernel // 2, bias=False),
        norm=nn.BatchNorm2d(width),
        relu=nn.ReLU(inplace=True),
    )
    return nn.Sequential(layers)


@final
class CompactLayers(nn.Module):
    """Maps of several strides become one of the finest one's size, from which boxes and scores have their own layers.

    ``channels`` are those of the maps, fine to coarse; all layers between have ``width`` channels.
    """

    def __init__(self, channels: Sequence[int], width: int, classes: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(rectified_convolution(count, width, 1) for count in channels)
        self.merged = rectified_convolution(width, width)
        self.box_tower = rectified_convolution(width, width)
        self.score_tower = rectified_convolution(width, width)
        self.apply(he_normal)
        self.boxes = gaussian(nn.Conv2d(width, 4, 1), 0.01)
        self.scores = gaussian(nn.Conv2d(width, classes, 1), 0.01, math.log(_PRIOR / (1 - _PRIOR)))

    def forward(self, maps: Sequence[Tensor]) -> Maps:
        """Maps (N, C, H, W), fine to coarse, to one of (N, 4 + classes, H, W) of the first one's height and width."""
        merged: Tensor = self.lateral[-1](maps[-1])
        for lateral, finer in zip(reversed(self.lateral[:-1]), reversed(maps[:-1]), strict=True):
            merged = lateral(finer) + F.interpolate(merged, size=finer.shape[2:], mode="nearest")
        merged = self.merged(merged)
        return (torch.cat([self.boxes(self.box_tower(merged)), self.scores(self.score_tower(merged))], dim=1),)

    def describe(self) -> Series:
        """Its layers, as if one after the other."""
        lateral = [f"lateral.{index}" for index in range(len(self.lateral))]
        return Series((*lateral, "merged", "box_tower", "boxes", "score_tower", "scores"))


class Positives(NamedTuple):
    """Which position learns which object: K pairs.

    ``objects`` (K,) are rows of the targets; ``positions`` (K,) count through those of all images. ``weights`` (K,)
    compare an object's positions with its best one, whose weight is 1; ``scores`` (K,) are those weights times the
    object's best IoU: what the positions should answer.
    """

    objects: Tensor
    positions: Tensor
    weights: Tensor
    scores: Tensor


@final
class CompactOutput(nn.Module):
    """The boxes in one map (N, 4 + C, H, W) whose positions are ``stride`` pixels apart, and how wrong they are.

    The four numbers are the offset of the box's center from that of the position, in strides, and the logarithms of
    its width and height, relative to the ``reference_size`` (2,) in pixels, the same for all positions; C are the
    logits of the classes. A score says both that there is an object of the class and how well the box fits it.

    Deviations from TOOD: any position inside of an object may learn it, or less than a stride from the center of a
    smaller one; the loss of boxes is weighted by alignments relative to the best one alone, since with the IoU as a
    factor small objects, whose boxes are far off at first, learn their boxes last. Scores have no focal loss.
    """

    anchors: Final = None
    reference_size: Tensor

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.register_buffer("reference_size", torch.full((2,), _START * stride))
        self.register_load_state_dict_pre_hook(_rename_anchors)  # type: ignore[no-untyped-call]

    def decode(self, outputs: Maps, size: tuple[int, int]) -> Candidates:
        """One box for each position, row after row."""
        del size
        boxes, logits = self._boxes_and_logits(outputs[0])
        return Candidates(boxes, logits.sigmoid())

    def loss(self, outputs: Maps, targets: BoxTensors, size: tuple[int, int]) -> dict[str, Tensor]:
        """`loss`, and its parts: `scores`, a cross-entropy over all positions, and `box`, the distance-IoU loss of the
        positive ones. Each image's are divided by the sums of what they should be, if more than 1.
        """
        del size
        with torch.autocast(outputs[0].device.type, enabled=False):
            boxes, logits = self._boxes_and_logits(outputs[0])
            with torch.no_grad():
                found = self.positives(Candidates(boxes, logits.sigmoid()), targets, outputs[0].shape[3])
            expected = torch.zeros_like(logits).flatten(0, 1)
            expected[found.positions, targets.classes[found.objects]] = found.scores
            entropy = F.binary_cross_entropy_with_logits(logits, expected.view_as(logits), reduction="none")
            errors = distance_iou_loss(boxes.flatten(0, 1)[found.positions], targets.boxes[found.objects])
            image = targets.image[found.objects]
            scores, weights, distances = (
                boxes.new_zeros(len(boxes)).index_add(0, image, values)
                for values in (found.scores, found.weights, found.weights * errors)
            )
            score = (entropy.sum((1, 2)) / scores.clamp(min=1)).mean()
            box = (distances / weights.clamp(min=1)).mean()
        return {"loss": score + BOX_WEIGHT * box, "scores": score, "box": box}

    def fit_anchors(self, sides: Tensor, seed: int) -> None:
        """The size that boxes are relative to becomes the geometric mean of the sides; without any it stays."""
        del seed
        if len(sides):
            self.reference_size.copy_(sides.to(self.reference_size).clamp(min=1).log().mean(0).exp())

    def positives(self, found: Candidates, targets: BoxTensors, columns: int) -> Positives:
        """The positions inside of each object whose scores and boxes are best aligned with it, ten unless some are
        equal; where objects have a position in common, it learns the one that its box overlaps most.

        ``columns`` is the width of the map.
        """
        images, positions, _ = found.boxes.shape
        objects, position = self._inside(targets.boxes, positions // columns, columns)
        image = targets.image[objects]
        iou = box_iou(found.boxes[image, position], targets.boxes[objects])
        score = found.scores[image, position, targets.classes[objects]]
        alignment = score * iou.clamp(min=LEAST_IOU) ** IOU_POWER

        table = iou.new_zeros(len(targets.boxes), positions)
        table[objects, position] = alignment
        lowest = table.topk(min(POSITIVES, positions), dim=1).values[:, -1]
        own = image * positions + position
        chosen = alignment >= lowest[objects]
        best = iou.new_zeros(images * positions).scatter_reduce(0, own[chosen], iou[chosen], "amax")
        chosen &= iou >= best[own]
        objects, own, iou, alignment = objects[chosen], own[chosen], iou[chosen], alignment[chosen]

        highest, best_iou = (
            iou.new_zeros(len(targets.boxes)).scatter_reduce(0, objects, values, "amax")[objects]
            for values in (alignment, iou)
        )
        weights = alignment / highest.clamp(min=_LEAST)
        return Positives(objects, own, weights, weights * best_iou)

    def _inside(self, boxes: Tensor, rows: int, columns: int) -> tuple[Tensor, Tensor]:
        """(K,) objects and (K,) positions: all pairs of which the position lies in the object, which is taken to be two
        strides wide and high at least.
        """
        centers, reach = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2
        within_row, within_column = (
            (self._middles(count, boxes) - centers[:, axis, None]).abs() <= reach[:, axis, None].clamp(min=self.stride)
            for axis, count in ((1, rows), (0, columns))
        )
        objects, position = (within_row[:, :, None] & within_column[:, None]).flatten(1).nonzero(as_tuple=True)
        return objects, position

    def _middles(self, count: int, like: Tensor) -> Tensor:
        """(count,) the centers of a row's or a column's positions, in pixels of the input."""
        return (torch.arange(count, device=like.device, dtype=like.dtype) + 0.5) * self.stride

    def _boxes_and_logits(self, output: Tensor) -> tuple[Tensor, Tensor]:
        """(N, B, 4) and (N, B, C) in float32, row after row."""
        rows, columns = output.shape[2:]
        values = output.float().flatten(2).transpose(1, 2)
        y, x = torch.meshgrid(self._middles(rows, values), self._middles(columns, values), indexing="ij")
        centers = torch.stack((x, y), dim=2).flatten(0, 1) + values[..., :2] * self.stride
        reach = values[..., 2:4].clamp(max=_LARGEST).exp() * self.reference_size / 2
        return torch.cat([centers - reach, centers + reach], dim=2), values[..., 4:]


def _rename_anchors(_module: nn.Module, state: dict[str, Tensor], prefix: str, *_: object) -> None:
    """Weights of earlier versions have the reference size as `anchors` (1, 1, 2)."""
    former = state.pop(f"{prefix}anchors", None)
    if former is not None:
        state[f"{prefix}reference_size"] = former.reshape(2)
