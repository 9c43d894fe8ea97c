"""The parts of an image that a network sees: the image as a whole, and with tiles overlapping parts of it too.

A box that ends where its tile does, and the image goes on, is cut off: it is left out, since a neighboring tile or the
image as a whole shows the object entirely. So are, where there are tiles, boxes that end where the image as a whole is
cropped. What several views show is one object for non-maximum suppression over all
of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from convolve.datasets.boxes import MIN_VISIBLE, boxes_in_input
from convolve.datasets.input_boxes import input_matrices, to_image, undo_matrices
from convolve.datasets.preprocess import fit_to_input
from convolve.metrics.boxes import BoxArray
from convolve.tasks.detect.suppression import CONSIDERED, RankedBoxes
from convolve.values import Floats, Matrices, Pixels, Placement, Preprocessing

_OVERLAP = 1 / 4
"""Fraction of a tile that its neighbor shows too."""
_NEAR = 0.01
"""Fraction of a tile: a box that ends nearer to its edge than this is cut off there."""


@dataclass(frozen=True)
class View:
    """The network's input ``pixels`` (H, W, C), and the ``matrix`` (2, 3) that takes the image's pixels there.

    ``edges`` are left, top, right and bottom of the part in the image's pixels; infinite where the image ends.
    """

    pixels: Pixels
    matrix: Matrices
    edges: tuple[float, float, float, float] = (-np.inf, -np.inf, np.inf, np.inf)


def cut_views(
    small: Pixels, size: tuple[int, int], whole: Pixels | None, tile: int | None, preprocessing: Preprocessing
) -> Iterator[View]:
    """The views of an image of a ``size`` (height, width): all of it, decoded as ``small`` as the input needs; and,
    where it is larger than ``tile``, its parts at full size.
    """
    matrix = input_matrices(np.array([size]), preprocessing)[0]
    if tile is None or whole is None or max(size) <= tile:
        yield View(fit_to_input(small, preprocessing), matrix)
        return
    yield View(fit_to_input(small, preprocessing), matrix, _visible_edges(matrix, size, preprocessing))
    height, width = size
    if preprocessing.fit == "crop":
        tile = min(tile, height, width)  # so that nothing of a tile is cropped
    for top in _starts(height, tile):
        for left in _starts(width, tile):
            bottom, right = min(top + tile, height), min(left + tile, width)
            part = whole[top:bottom, left:right]
            matrix = input_matrices(np.array([part.shape[:2]]), preprocessing)[0]
            matrix[:, 2] -= matrix[:, :2] @ (left, top)
            yield View(fit_to_input(part, preprocessing), matrix, _inner_edges((left, top, right, bottom), size))


def regions_in_views(regions: BoxArray, views: Sequence[View], preprocessing: Preprocessing) -> tuple[Floats, ...]:
    """Regions (K, 4) in pixels of an image as each of its views shows them, (R, 4) in pixels of the input; those of
    which a view shows less than training lets be are left out.
    """
    image, scales = np.zeros(len(regions), dtype=np.int64), np.ones((1, 2))
    placements = [Placement(view.matrix[None], np.zeros((1, 2), np.int64), preprocessing) for view in views]
    return tuple(boxes_in_input(regions, image, scales, placement, MIN_VISIBLE)[0] for placement in placements)


def _visible_edges(
    matrix: Matrices, size: tuple[int, int], preprocessing: Preprocessing
) -> tuple[float, float, float, float]:
    """The edges of what the input shows of an image of a ``size`` (height, width) that the ``matrix`` takes there."""
    inputs = np.array([[0.0, 0.0, preprocessing.width, preprocessing.height]])
    left, top, right, bottom = to_image(inputs, matrix[None], np.array([size]))[0].tolist()
    return _inner_edges((left, top, right, bottom), size)


def _inner_edges(part: tuple[float, float, float, float], size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of a part of an image of a ``size`` (height, width), infinite where both end."""
    left, top, right, bottom = part
    height, width = size
    return (
        -np.inf if left < 1 else left,
        -np.inf if top < 1 else top,
        np.inf if right > width - 1 else right,
        np.inf if bottom > height - 1 else bottom,
    )


def merge_views(found: Sequence[RankedBoxes], views: Sequence[View]) -> RankedBoxes:
    """What was found in the views of an image, in that image's pixels, the highest scores first."""
    parts = [_in_image(one, view) for one, view in zip(found, views, strict=True)]
    merged = RankedBoxes(*(torch.cat(columns) for columns in zip(*parts, strict=True)))
    return merged.take(merged.scores.argsort(descending=True, stable=True)[: CONSIDERED * 4])


def _in_image(found: RankedBoxes, view: View) -> RankedBoxes:
    """The boxes of a view that are not cut off, in pixels of the image."""
    boxes = torch.from_numpy(undo_matrices(found.boxes.double().numpy(), view.matrix[None]))
    edges = torch.tensor(view.edges, dtype=torch.float64)
    finite = edges[torch.isfinite(edges)]
    if not len(finite):
        return RankedBoxes(boxes, found.scores, found.classes)
    near = _NEAR * float(max(view.pixels.shape[:2]) / min(view.matrix[[0, 1], [0, 1]]))
    inside = (boxes[:, :2] > edges[:2] + near).all(1) & (boxes[:, 2:] < edges[2:] - near).all(1)
    return RankedBoxes(boxes, found.scores, found.classes).take(inside.nonzero()[:, 0])


def _starts(length: int, tile: int) -> list[int]:
    """Where tiles begin along a side, evenly spread, each overlapping the next by a quarter at least."""
    if length <= tile:
        return [0]
    count = 1 + -(-(length - tile) // max(1, round(tile * (1 - _OVERLAP))))
    return [round(start) for start in np.linspace(0, length - tile, count).tolist()]
