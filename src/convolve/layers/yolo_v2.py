"""The outputs of YOLO v2, which its authors' program calls the region layer.

Redmon, Farhadi 2016, "YOLO9000: better, faster, stronger", section 2; the constants, and what the paper leaves open,
are those of the program (darknet, `region_layer.c`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from convolve.layers.anchor_grid import (
    AnchorGrid,
    Cells,
    GridTargets,
    Responsible,
    anchor_grid,
    assign_targets,
    grid_candidates,
    grid_targets,
    regression_targets,
)
from convolve.layers.anchors import fit_anchors
from convolve.layers.box_head import Candidates, Maps
from convolve.layers.overlaps import best_overlaps, box_iou, size_overlaps
from convolve.targets import BoxTensors

_WARM_UP_SCALE = 0.01


@dataclass(frozen=True)
class RegionOptions:
    """The program's settings, by default those of its files.

    Classes exclude each other (``softmax``) or not. Objectness is to become the IoU of the box (``rescore``) or 1. A
    target's anchor is the one most like it (``match_anchors``), or the one whose box is. A box that overlaps a target
    by more than ``ignore`` may be an object. The scales weigh the squared errors. During the first ``warm_up`` images
    all boxes learn to be their anchors, in the middle of their cells.
    """

    softmax: bool = True
    rescore: bool = True
    match_anchors: bool = True
    ignore: float = 0.6
    object_scale: float = 5.0
    no_object_scale: float = 1.0
    class_scale: float = 1.0
    box_scale: float = 1.0
    warm_up: int = 12_800


@final
class RegionOutput(nn.Module):
    """The boxes in a map (N, A * (5 + C), H, W), and how wrong they are; see `layers.anchor_grid`.

    ``anchors`` (1, A, 2) are widths and heights in pixels of the input, 32 times those that the paper gives in cells.
    ``images_seen`` counts the images that `loss` was given in training mode.

    Deviations: the program reads at most 30 targets of an image, and none after the first whose center is at x = 0;
    here all count. Centers outside of the image are moved to its edge, where the program writes to cells of other rows.
    Like the program, `loss` has the gradient of a squared error through the sigmoid for centers and objectness, of a
    squared error for sizes, and of a cross-entropy for classes; the program prints twice the sum of all their squares.
    In evaluation mode there is no warm-up.
    """

    anchors: Tensor
    images_seen: Tensor

    def __init__(self, anchors: Sequence[tuple[float, float]], options: RegionOptions = RegionOptions()) -> None:
        super().__init__()
        self.options = options
        self.register_buffer("anchors", torch.tensor([list(anchors)], dtype=torch.float32))
        self.register_buffer("images_seen", torch.zeros((), dtype=torch.int64))

    def decode(self, outputs: Maps, size: tuple[int, int]) -> Candidates:
        """A * H * W boxes, with the classes' probabilities times that of an object."""
        grid = anchor_grid(outputs[0], self.anchors[0], size)
        classes = grid.classes.softmax(-1) if self.options.softmax else grid.classes.sigmoid()
        return grid_candidates(grid.boxes(), grid.objectness.sigmoid(), classes)

    def loss(self, outputs: Maps, targets: BoxTensors, size: tuple[int, int]) -> dict[str, Tensor]:
        """`loss`, and its parts `box`, `objectness` and `classes`."""
        if self.training:
            self.images_seen += len(outputs[0])
        with torch.autocast(outputs[0].device.type, enabled=False):
            grid = anchor_grid(outputs[0], self.anchors[0], size)
            boxes, goals = grid.boxes(), grid_targets(targets, grid.cell, size)
            found = self._responsible(grid, boxes, goals, targets)
            parts = {
                "box": self._box_loss(grid, found, goals),
                "objectness": self._objectness_loss(grid, boxes, found, targets),
                "classes": self._class_loss(grid, found),
            }
        means = {name: value / len(outputs[0]) for name, value in parts.items()}
        return {"loss": torch.stack(list(means.values())).sum(), **means}

    def fit_anchors(self, sides: Tensor, seed: int) -> None:
        """k-means; nothing happens without any sides but 0."""
        sides = sides[(sides > 0).all(1)]
        if len(sides):
            self.anchors.copy_(fit_anchors(sides, self.anchors.shape[1], seed)[None])

    def _responsible(self, grid: AnchorGrid, boxes: Tensor, goals: GridTargets, targets: BoxTensors) -> Responsible:
        row, column = goals.cells(grid.objectness.shape)
        sizes = grid.anchors.expand(len(row), -1, -1)
        if not self.options.match_anchors:
            corners = boxes[targets.image, :, row, column]
            sizes = corners[..., 2:] - corners[..., :2]
        anchor = size_overlaps(sizes, goals.sides[:, None]).argmax(1)
        cells = Cells(targets.image, anchor, row, column)
        every = torch.arange(len(row), device=row.device)
        return assign_targets(grid, cells, every, targets.classes, several=not self.options.softmax)

    def _box_loss(self, grid: AnchorGrid, found: Responsible, goals: GridTargets) -> Tensor:
        offsets, scales = regression_targets(grid, found, goals)
        errors = (grid.offsets[found.cells].sigmoid() - offsets) ** 2 + (grid.scales[found.cells] - scales) ** 2
        loss = self.options.box_scale * (goals.weight[found.target] * errors.sum(1)).sum() / 2
        if not self.training:
            return loss
        idle = torch.ones_like(grid.objectness).index_put(tuple(found.cells), grid.cell.new_zeros(()))
        start = ((grid.offsets.sigmoid() - 0.5) ** 2 + grid.scales**2).sum(-1)
        return loss + _WARM_UP_SCALE * (self.images_seen < self.options.warm_up) * (idle * start).sum() / 2

    def _objectness_loss(self, grid: AnchorGrid, boxes: Tensor, found: Responsible, targets: BoxTensors) -> Tensor:
        best, _ = best_overlaps(boxes.flatten(1, 3), targets)
        idle = 1.0 - (best > self.options.ignore).float().reshape(grid.objectness.shape)
        idle = idle.index_put(tuple(found.cells), grid.cell.new_zeros(()))
        probability = grid.objectness.sigmoid()
        correct = box_iou(boxes[found.cells], targets.boxes[found.target].float()) if self.options.rescore else 1.0
        objects = ((probability[found.cells] - correct) ** 2).sum()
        nothing = (idle * probability**2).sum()
        return (self.options.object_scale * objects + self.options.no_object_scale * nothing) / 2

    def _class_loss(self, grid: AnchorGrid, found: Responsible) -> Tensor:
        logits = grid.classes[found.cells]
        if self.options.softmax:
            return self.options.class_scale * F.cross_entropy(logits, found.classes, reduction="sum")
        return self.options.class_scale * F.binary_cross_entropy_with_logits(logits, found.classes, reduction="sum")
