"""The outputs of YOLO v1, which its authors' program calls the detection layer.

Redmon, Divvala, Girshick, Farhadi 2015, "You only look once: unified, real-time object detection", section 2; the
constants, and what the paper leaves open, are those of the program (darknet, `detection_layer.c`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from convolve.layers.anchor_grid import grid_targets
from convolve.layers.box_head import Candidates, Maps
from convolve.layers.overlaps import box_iou
from convolve.targets import BoxTensors


@dataclass(frozen=True)
class DetectionOptions:
    """The program's settings, by default those of the paper: sides are given as their square roots (``roots``), and
    confidence is to become the IoU of the box (``rescore``) or 1. The scales weigh the squared errors.
    """

    roots: bool = True
    rescore: bool = True
    object_scale: float = 1.0
    no_object_scale: float = 0.5
    class_scale: float = 1.0
    box_scale: float = 5.0


class _Parts(NamedTuple):
    """(N, S, C), (N, S, B) and (N, S, B, 4), for S cells row by row; the last are x, y in the cell, and width and
    height, or their roots, of the image.
    """

    classes: Tensor
    confidences: Tensor
    boxes: Tensor


class _Responsible(NamedTuple):
    """For P targets the ``indices`` (image, cell, box) of the box that has to find each, the ``numbers`` (P, 4) and the
    ``confidence`` (P,) that it should have, and the ``classes`` (P,) of its cell.
    """

    indices: tuple[Tensor, Tensor, Tensor]
    numbers: Tensor
    confidence: Tensor
    classes: Tensor


@final
class DetectionOutput(nn.Module):
    """The boxes in rows (N, S * (C + 5 * B)) of numbers for ``grid`` (rows, columns) of S cells, and how wrong they
    are: of all cells the C classes, of all the confidences in each of B ``boxes``, of all these boxes.

    Numbers are not squashed. Deviations: scores are cut to [0, 1] in `decode`. The program shuffles the targets of an
    image and ignores those with a side of less than 0.005 of the image's; here all count, in their order. `loss` has
    the gradient of the program, that of half the squared errors times their scales; the program prints the sum of the
    squares of that gradient.
    """

    anchors: Final = None

    def __init__(self, grid: tuple[int, int], boxes: int, options: DetectionOptions = DetectionOptions()) -> None:
        super().__init__()
        self.grid, self.boxes, self.options = grid, boxes, options

    def decode(self, outputs: Maps, size: tuple[int, int]) -> Candidates:
        """S * B boxes, with the probabilities of their cell's classes times their confidence."""
        parts = self._take_apart(outputs[0])
        scores = (parts.classes[:, :, None] * parts.confidences[..., None]).clamp(0, 1)
        return Candidates(self._corners(parts.boxes, size).flatten(1, 2), scores.flatten(1, 2))

    def loss(self, outputs: Maps, targets: BoxTensors, size: tuple[int, int]) -> dict[str, Tensor]:
        """`loss`, and its parts `box`, `objectness` and `classes`. Of several targets in a cell the first counts."""
        with torch.autocast(outputs[0].device.type, enabled=False):
            parts = self._take_apart(outputs[0])
            found = self._responsible(parts, targets, size)
            errors = self._errors(parts, found)
        means = {name: value / (2 * len(outputs[0])) for name, value in errors.items()}
        return {"loss": torch.stack(list(means.values())).sum(), **means}

    def fit_anchors(self, sides: Tensor, seed: int) -> None:
        """Nothing: there are no anchors."""

    def _responsible(self, parts: _Parts, targets: BoxTensors, size: tuple[int, int]) -> _Responsible:
        extent = torch.tensor((size[1], size[0]), device=parts.boxes.device)
        goals = grid_targets(targets, extent / torch.tensor(self.grid[::-1], device=extent.device), size)
        row, column = goals.cells(torch.Size(self.grid))
        cell = row * self.grid[1] + column
        first = _first_of_each(targets.image * parts.boxes.shape[1] + cell, parts.boxes[..., 0, 0].numel())
        image, cell = targets.image[first], cell[first]
        with torch.no_grad():
            corners = self._corners(parts.boxes, size)[image, cell]
            box, iou = _best_box(corners, targets.boxes[first].float(), extent)
        offsets = goals.position[first] - torch.stack((column, row), 1)[first]
        sides = goals.sides[first] / extent
        numbers = torch.cat((offsets, sides.sqrt() if self.options.roots else sides), 1)
        confidence = iou if self.options.rescore else torch.ones_like(iou)
        return _Responsible((image, cell, box), numbers, confidence, targets.classes[first])

    def _errors(self, parts: _Parts, found: _Responsible) -> dict[str, Tensor]:
        """Squared errors times their scales."""
        options, (image, cell, box) = self.options, found.indices
        hot = F.one_hot(found.classes, parts.classes.shape[2])
        idle = torch.ones_like(parts.confidences).index_put(found.indices, parts.boxes.new_zeros(()))
        objects = ((parts.confidences[image, cell, box] - found.confidence) ** 2).sum()
        nothing = (idle * parts.confidences**2).sum()
        return {
            "box": options.box_scale * ((parts.boxes[image, cell, box] - found.numbers) ** 2).sum(),
            "objectness": options.object_scale * objects + options.no_object_scale * nothing,
            "classes": options.class_scale * ((parts.classes[image, cell] - hot) ** 2).sum(),
        }

    def _take_apart(self, outputs: Tensor) -> _Parts:
        cells = self.grid[0] * self.grid[1]
        classes = outputs.shape[1] // cells - 5 * self.boxes
        values = torch.split(outputs.float(), [cells * classes, cells * self.boxes, 4 * cells * self.boxes], 1)
        return _Parts(
            torch.unflatten(values[0], 1, (cells, classes)),
            torch.unflatten(values[1], 1, (cells, self.boxes)),
            torch.unflatten(values[2], 1, (cells, self.boxes, 4)),
        )

    def _corners(self, boxes: Tensor, size: tuple[int, int]) -> Tensor:
        """(N, S, B, 4) numbers to left, top, right, bottom in pixels."""
        rows, columns = self.grid
        down, across = torch.meshgrid(
            torch.arange(rows, device=boxes.device), torch.arange(columns, device=boxes.device), indexing="ij"
        )
        corners = torch.stack((across, down), -1).reshape(-1, 1, 2)
        extent = boxes.new_tensor((size[1], size[0]))
        centers = (boxes[..., :2] + corners) * (extent / boxes.new_tensor((columns, rows)))
        half = (boxes[..., 2:] ** 2 if self.options.roots else boxes[..., 2:]) * (extent / 2)
        return torch.cat((centers - half, centers + half), -1)


def _first_of_each(keys: Tensor, count: int) -> Tensor:
    """The indices, ascending, of the first of equal keys (M,), which are less than ``count``."""
    order = torch.arange(len(keys), device=keys.device)
    first = torch.full((count,), len(keys), device=keys.device).scatter_reduce(0, keys, order, "amin")
    return (first[keys] == order).nonzero()[:, 0]


def _best_box(boxes: Tensor, targets: Tensor, extent: Tensor) -> tuple[Tensor, Tensor]:
    """Which of the boxes (P, B, 4) overlaps its target (P, 4) most, and the IoU (P,); where none overlaps it, the one
    at the least distance of center and sides, as parts of the image's ``extent``.
    """
    iou = box_iou(boxes, targets[:, None])
    apart = torch.unflatten(boxes - targets[:, None], -1, (2, 2))
    centers, sides = apart.mean(-2) / extent, (apart[..., 1, :] - apart[..., 0, :]) / extent
    nearest = (centers**2 + sides**2).sum(-1).argmin(1)
    best = torch.where(iou.amax(1) > 0, iou.argmax(1), nearest)
    return best, iou.gather(1, best[:, None])[:, 0]
