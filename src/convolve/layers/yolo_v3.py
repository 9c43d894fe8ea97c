"""The outputs of YOLO v3, on maps of several scales.

Redmon, Farhadi 2018, "YOLOv3: an incremental improvement", section 2; what the paper leaves open is as in the authors'
program (darknet, `yolo_layer.c`).
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
    candidates,
    grid_targets,
    responsible,
    wanted_boxes,
)
from convolve.layers.anchors import fit_anchors
from convolve.layers.box_head import Candidates, Maps
from convolve.layers.overlaps import best_overlaps, size_overlaps
from convolve.targets import BoxTensors


@dataclass(frozen=True)
class YoloOptions:
    """A box that overlaps a target by more than ``ignore`` may be an object; by more than ``accept`` it is one. The
    range of centers is ``reach`` times as wide as their cell, which is YOLO v4's `scale_x_y`.
    """

    ignore: float = 0.7
    accept: float = 1.0
    reach: float = 1.0


@final
class YoloOutput(nn.Module):
    """The boxes in maps (N, A * (5 + C), H, W) of several scales, and how wrong they are; see `layers.anchor_grid`.

    Each of the maps has the anchors whose indices are its ``masks``, of all ``sizes`` (K, 2) of anchors, widths and
    heights in pixels of the input. Of all of them a target has the one most like it; a map without it learns nothing of
    the target. ``anchors`` (scales, A, 2) are the maps' own, and so are ``options``, unless they are for all.

    Deviations: the program reads at most 90 targets of an image, and none after the first whose center is at x = 0;
    here all count. Centers outside of the image are moved to its edge, where the program writes to cells of other rows.
    Like the program, `loss` has the gradient of a cross-entropy for centers, objectness and each class, and of a
    squared error for sizes, summed over the maps; the program prints the mean over the maps of the sums of their
    squares.
    """

    anchors: Tensor
    unused: Tensor

    def __init__(
        self,
        sizes: Sequence[tuple[float, float]],
        masks: Sequence[Sequence[int]],
        *options: YoloOptions,
    ) -> None:
        super().__init__()
        self.masks = [list(mask) for mask in masks]
        self.options = options if len(options) == len(masks) else (options or (YoloOptions(),)) * len(masks)
        self._unused = sorted({*range(len(sizes))} - {index for mask in self.masks for index in mask})
        everything = torch.tensor(list(sizes), dtype=torch.float32)
        self.register_buffer("anchors", everything[torch.tensor(self.masks)])
        self.register_buffer("unused", everything[self._unused])

    def decode(self, outputs: Maps, size: tuple[int, int]) -> Candidates:
        """The boxes of all maps, with each class's probability times that of an object."""
        scales = []
        for map_, anchors, options in zip(outputs, self.anchors, self.options, strict=True):
            grid = anchor_grid(map_, anchors, size, options.reach)
            scales.append(candidates(grid.boxes(), grid.objectness.sigmoid(), grid.classes.sigmoid()))
        return Candidates(*(torch.cat(parts, 1) for parts in zip(*scales, strict=True)))

    def loss(self, outputs: Maps, targets: BoxTensors, size: tuple[int, int]) -> dict[str, Tensor]:
        """`loss`, and its parts `box`, `objectness` and `classes`."""
        with torch.autocast(outputs[0].device.type, enabled=False):
            sides = (targets.boxes[:, 2:] - targets.boxes[:, :2]).float()
            best = size_overlaps(self.sizes(), sides[:, None]).argmax(1)
            parts = [
                self._loss_of_map(index, anchor_grid(map_, anchors, size, options.reach), best, targets, size)
                for index, (map_, anchors, options) in enumerate(zip(outputs, self.anchors, self.options, strict=True))
            ]
        sums = torch.stack(parts).sum(0) / len(outputs[0])
        return {"loss": sums.sum(), "box": sums[0], "objectness": sums[1], "classes": sums[2]}

    def fit_anchors(self, sides: Tensor, seed: int) -> None:
        """k-means, the largest anchors to the maps that had the largest; nothing happens without any sides but 0."""
        sides = sides[(sides > 0).all(1)]
        if len(sides):
            sizes = fit_anchors(sides, len(self.sizes()), seed).to(self.anchors)
            self.anchors.copy_(sizes[torch.tensor(self.masks)])
            self.unused.copy_(sizes[self._unused])

    def sizes(self) -> Tensor:
        """(K, 2) all anchors, in their own order."""
        sizes = self.anchors.new_zeros(1 + max([*self._unused, *(index for mask in self.masks for index in mask)]), 2)
        sizes[self._unused] = self.unused
        for mask, anchors in zip(self.masks, self.anchors, strict=True):
            sizes[mask] = anchors
        return sizes

    def _loss_of_map(
        self, index: int, grid: AnchorGrid, best: Tensor, targets: BoxTensors, size: tuple[int, int]
    ) -> Tensor:
        wanted = grid_targets(targets, grid.cell, size)
        iou, likest = best_overlaps(grid.boxes().flatten(1, 3), targets)
        iou, likest = iou.reshape(grid.objectness.shape), likest.reshape(grid.objectness.shape)
        found = self._responsible(index, grid, wanted, best, (iou, likest), targets)
        offsets, scales = wanted_boxes(grid, found, wanted)
        centers = F.binary_cross_entropy_with_logits(grid.offsets[found.cells], offsets, reduction="none")
        errors = centers + (grid.scales[found.cells] - scales) ** 2 / 2
        idle = (1.0 - (iou > self.options[index].ignore).float()).index_put(tuple(found.cells), grid.cell.new_zeros(()))
        objectness = (idle * F.softplus(grid.objectness)).sum() + F.softplus(-grid.objectness[found.cells]).sum()
        classes = F.binary_cross_entropy_with_logits(grid.classes[found.cells], found.classes, reduction="sum")
        return torch.stack(((wanted.weight[found.target] * errors.sum(1)).sum(), objectness, classes))

    def _responsible(
        self,
        index: int,
        grid: AnchorGrid,
        goals: GridTargets,
        best: Tensor,
        nearest: tuple[Tensor, Tensor],
        targets: BoxTensors,
    ) -> Responsible:
        """The cells and anchors of targets, and before them those whose boxes are accepted for one."""
        row, column = goals.cells(grid.objectness.shape)
        mask = torch.tensor(self.masks[index], device=row.device)
        target, anchor = (best[:, None] == mask).nonzero(as_tuple=True)
        cells = Cells(targets.image[target], anchor, row[target], column[target])
        iou, likest = nearest
        if self.options[index].accept < 1:
            accepted = (iou > self.options[index].accept).nonzero(as_tuple=True)
            cells = Cells(*(torch.cat(pair) for pair in zip(accepted, cells, strict=True)))
            target = torch.cat((likest[accepted], target))
        return responsible(grid, cells, target, targets.classes, several=True)
