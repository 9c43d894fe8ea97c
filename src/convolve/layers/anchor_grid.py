"""What YOLO v2 and v3 have in common: a map on which each cell describes a box for each of A anchors, and the boxes of
the ground truth that each cell and anchor has to find.

A map has A * (5 + C) channels: for each anchor x, y, w, h, objectness and C classes, before any activation. A box is
centered at sigmoid(x) and sigmoid(y) in its cell, and e**w and e**h times as large as its anchor (Redmon, Farhadi 2016,
"YOLO9000", section 2 and figure 3).
"""

from __future__ import annotations

from typing import NamedTuple, final

import torch
from torch import Tensor

from convolve.layers.box_head import Candidates
from convolve.targets import BoxTensors

_THINNEST = 1e-3  # of a pixel; thinner boxes count as so wide, for the logarithm's sake


@final
class Cells(NamedTuple):
    """Some of a grid's boxes, each by four indices (P,)."""

    image: Tensor
    anchor: Tensor
    row: Tensor
    column: Tensor


@final
class AnchorGrid(NamedTuple):
    """A map (N, A * (5 + C), H, W), taken apart: logits (N, A, H, W) of ``objectness``, (…, 2) of the center's
    ``offsets`` in its cell, (…, 2) logarithms of the ``scales`` of anchors (A, 2), and (…, C) of ``classes``.

    ``cell`` (2,) is the width and height of a cell, and ``anchors`` are in pixels of the image, too. The range of
    centers is ``reach`` times as wide as their cell.
    """

    offsets: Tensor
    scales: Tensor
    objectness: Tensor
    classes: Tensor
    anchors: Tensor
    cell: Tensor
    reach: float = 1.0

    def boxes(self) -> Tensor:
        """(N, A, H, W, 4) in pixels, without gradient."""
        with torch.no_grad():
            rows, columns = self.objectness.shape[2:]
            across = torch.arange(columns, device=self.cell.device).expand(rows, columns)
            down = torch.arange(rows, device=self.cell.device)[:, None].expand(rows, columns)
            offsets = self.offsets.sigmoid() * self.reach - (self.reach - 1) / 2
            centers = (offsets + torch.stack((across, down), -1)) * self.cell
            half = self.scales.exp() * (self.anchors[:, None, None] / 2)
            return torch.cat((centers - half, centers + half), -1)


def anchor_grid(outputs: Tensor, anchors: Tensor, size: tuple[int, int], reach: float = 1.0) -> AnchorGrid:
    """Take a map for images of ``size`` (height, width) apart, in float32."""
    values = torch.unflatten(outputs.float(), 1, (len(anchors), -1)).permute(0, 1, 3, 4, 2)
    rows, columns = outputs.shape[2:]
    cell = torch.tensor((size[1] / columns, size[0] / rows), device=outputs.device)
    return AnchorGrid(values[..., :2], values[..., 2:4], values[..., 4], values[..., 5:], anchors.float(), cell, reach)


def candidates(boxes: Tensor, objectness: Tensor, classes: Tensor) -> Candidates:
    """The boxes (N, A, H, W, 4) of a grid, with the probabilities of its classes (…, C) times that of an object."""
    scores = classes * objectness[..., None]
    return Candidates(boxes.flatten(1, 3), scores.flatten(1, 3))


@final
class GridTargets(NamedTuple):
    """Targets on a grid: ``position`` (M, 2) of the center and ``sides`` (M, 2), the former in cells and the latter in
    pixels, and ``weight`` (M,): 2 less the part of the image that the box covers.
    """

    position: Tensor
    sides: Tensor
    weight: Tensor

    def cells(self, shape: torch.Size) -> tuple[Tensor, Tensor]:
        """The row and the column (M,) of each center on a grid of this shape (…, H, W)."""
        column, row = self.position.long().unbind(1)
        return row.clamp(max=shape[-2] - 1), column.clamp(max=shape[-1] - 1)


def grid_targets(targets: BoxTensors, cell: Tensor, size: tuple[int, int]) -> GridTargets:
    """Centers outside of the image of ``size`` (height, width) are moved to its edge."""
    boxes, extent = targets.boxes.float(), torch.tensor((size[1], size[0]), device=cell.device)
    centers = torch.minimum(((boxes[:, :2] + boxes[:, 2:]) / 2).clamp(min=0), extent)
    sides = (boxes[:, 2:] - boxes[:, :2]).clamp(min=_THINNEST)
    return GridTargets(centers / cell, sides, 2 - (sides / extent).prod(1))


@final
class Responsible(NamedTuple):
    """The cells and anchors that have to find a target: ``cells`` (P,), each once, the index of its ``target`` (P,),
    and its ``classes`` (P, C), one or more of them 1.
    """

    cells: Cells
    target: Tensor
    classes: Tensor


def responsible(grid: AnchorGrid, cells: Cells, target: Tensor, classes: Tensor, *, several: bool) -> Responsible:
    """Of several targets (Q,) for the same one of ``cells`` (Q,) keep the last, with the classes of all if ``several``,
    else with its own. ``classes`` (M,) are those of all targets.
    """
    shape = grid.objectness.shape
    key = ((cells.image * shape[1] + cells.anchor) * shape[2] + cells.row) * shape[3] + cells.column
    order = torch.arange(len(key), device=key.device)
    last = torch.full((shape.numel(),), -1, device=key.device).scatter_reduce(0, key, order, "amax")[key]
    kept = last == order
    hot = torch.zeros(len(key), grid.classes.shape[-1], device=key.device)
    hot[last if several else order, classes[target]] = 1.0
    return Responsible(Cells(*(index[kept] for index in cells)), target[kept], hot[kept])


def wanted_boxes(grid: AnchorGrid, found: Responsible, targets: GridTargets) -> tuple[Tensor, Tensor]:
    """What the sigmoids of offsets (P, 2), and scales (P, 2), of the responsible cells should be."""
    corner = torch.stack((found.cells.column, found.cells.row), 1)
    offsets = (targets.position[found.target] - corner + (grid.reach - 1) / 2) / grid.reach
    return offsets, (targets.sides[found.target] / grid.anchors[found.cells.anchor]).log()
