"""The class of each pixel of an image of any size, at its own size: in tiles where it is larger than the input.

A network sees an image at the scale at which it was trained: with `stretch` and `letterbox` all of it in one input,
with `crop` its shorter side as long as the input's, with `tiles` at full scale. What is larger than goes through the
network at once is cut into tiles, as few and as large as memory allows. They overlap by half an input, rounded to steps
of the network's coarsest map, so that every tile's maps are aligned with those of the whole image. Near an edge where
the image goes on a tile has weight 0, which rises from there, so that no seams are visible.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from torch import Tensor

from convolve.datasets.images import to_channels
from convolve.datasets.preprocess import fit_matrix, fit_to_input, normalize
from convolve.runtime import Runtime
from convolve.tasks.segment.view_size import PIXELS_AT_ONCE, view_size
from convolve.values import IGNORE, Floats, Matrices, Pixels, Preprocessing

if TYPE_CHECKING:
    from convolve.tasks.segment.task import Segment

_BAND = 2**20
"""Pixels of the prediction that are computed together, each with the probabilities of all classes, not stored."""
_IDENTITY = np.eye(2, 3)
"""Of an image that is not resized."""
_ZERO_WEIGHT, _RISING_WEIGHT = 3 / 8, 1 / 4
"""Fractions of the overlap in which a tile has weight 0, and over which its weight rises."""


def predict_image(
    image: Pixels,
    size: tuple[int, int],
    task: Segment,
    runtime: Runtime,
    preprocessing: Preprocessing,
    threshold: float = 0.0,
) -> Pixels:
    """(H, W) class indices of an image (h, w, 1 or 3), as in a mask of ``size`` (H, W); `IGNORE` where the
    most likely class has a probability below ``threshold``.
    """
    plane, matrix = _network_view(image, size, preprocessing)
    view = fit_to_input(to_channels(image, preprocessing.channels), plane)
    found = np.empty(size, np.uint8)
    bands = probability_bands(view, task, runtime, preprocessing)
    if view.shape[:2] == size and np.array_equal(matrix, _IDENTITY):
        done = 0
        for band in bands:
            confidence, classes = band.max(0)
            known = classes.masked_fill(confidence < threshold, IGNORE)
            found[done : done + band.shape[1]] = known.to(torch.uint8).numpy()
            done += band.shape[1]
        return found
    for rows, probabilities, shifted in _bands(bands, view.shape[0], size, matrix):
        found[rows] = _most_likely(probabilities, shifted, rows.start, found[rows].shape, threshold)
    return found


def probability_bands(view: Pixels, task: Segment, runtime: Runtime, preprocessing: Preprocessing) -> Iterator[Tensor]:
    """(classes, rows, W) probabilities of an image as the network sees it (H, W, C), blended from tiles: bands from
    the top down, each as soon as no other tile reaches it.
    """
    height, width = view.shape[:2]
    stride = max(task.network.strides.values())
    rows, columns = _axes((height, width), (preprocessing.height, preprocessing.width), stride)
    if (rows.reach, columns.reach) != (height, width):
        below, beyond = rows.reach - height, columns.reach - width
        padded = cv2.copyMakeBorder(view, 0, below, 0, beyond, cv2.BORDER_REFLECT_101)
        view = np.asarray(padded, np.uint8).reshape(rows.reach, columns.reach, -1)
    tiles = _tiles(view, rows, columns)
    predicted = (tile for some in tiles for tile in _predict_tiles(some, task, runtime, preprocessing))
    total = torch.zeros(len(task.classes), rows.tile, columns.reach)
    across_tiles = list(zip(columns.starts, columns.weights(), strict=True))
    for top, following, down in zip(rows.starts, (*rows.starts[1:], rows.reach), rows.weights(), strict=True):
        for (left, across), probabilities in zip(across_tiles, predicted, strict=False):
            total[:, :, left : left + columns.tile].addcmul_(probabilities, down[:, None] * across)
        ended = following - top
        yield total[:, : min(ended, height - top), :width]
        if following < rows.reach:
            total = torch.cat([total[:, ended:], torch.zeros(len(total), ended, columns.reach)], 1)


def _bands(
    bands: Iterator[Tensor], height: int, size: tuple[int, int], matrix: Matrices
) -> Iterator[tuple[slice, Floats, Matrices]]:
    """Bands of the prediction, from the top down: their rows, the probabilities under them, the matrix onto these."""
    rows_at_once, done, first, probabilities = max(1, _BAND // size[1]), 0, 0, np.empty((0, 0, 0), np.float32)
    for band in bands:
        needed = min(max(first, _row_above(matrix, done) - 1), first + probabilities.shape[1])
        unused = probabilities[:, needed - first :] if len(probabilities) else band.numpy()[:, :0]
        probabilities = np.concatenate([unused, band.numpy()], axis=1)
        first = needed
        known = first + probabilities.shape[1]
        while done < size[0]:
            end = min(done + rows_at_once, size[0])
            if known < height and known < _row_above(matrix, end) + 2:
                break
            yield slice(done, end), probabilities, matrix - np.array([[0, 0, 0], [0, 0, first]])
            done = end


def _row_above(matrix: Matrices, row: int) -> int:
    """The last row of what the network sees that begins above the center of a mask's row, or at it."""
    return math.floor(float(matrix[1, 1]) * (row + 0.5) + float(matrix[1, 2]) - 0.5)


def _network_view(image: Pixels, size: tuple[int, int], preprocessing: Preprocessing) -> tuple[Preprocessing, Matrices]:
    """How the image becomes what the network sees, and what lays a mask of that ``size`` onto it (2, 3)."""
    height, width = image.shape[:2]
    plane = preprocessing
    if preprocessing.fit in ("crop", "tiles"):
        sides = view_size(height, width, preprocessing)
        plane = replace(preprocessing, height=sides[0], width=sides[1], fit="stretch")
    return plane, fit_matrix(height, width, plane) * np.array([width / size[1], height / size[0], 1.0])


def _tiles(view: Pixels, rows: _Axis, columns: _Axis) -> Iterator[Pixels]:
    """(n, height, width, C) as many tiles as go through the network together, row after row."""
    positions = [(top, left) for top in rows.starts for left in columns.starts]
    count = max(1, PIXELS_AT_ONCE // (rows.tile * columns.tile))
    for start in range(0, len(positions), count):
        some = positions[start : start + count]
        yield np.stack([view[top : top + rows.tile, left : left + columns.tile] for top, left in some])


def _predict_tiles(tiles: Pixels, task: Segment, runtime: Runtime, preprocessing: Preprocessing) -> Tensor:
    """(n, classes, height, width) the probabilities in every tile."""
    with torch.inference_mode(), runtime.arithmetic():
        return task.probabilities(runtime.images(normalize(tiles, preprocessing))).cpu()


@dataclass(frozen=True)
class _Axis:
    """The tiles along one side: their length, how far they overlap, and where they begin."""

    tile: int
    overlap: int
    starts: tuple[int, ...]

    @property
    def reach(self) -> int:
        return self.starts[-1] + self.tile

    def weights(self) -> list[Tensor]:
        """(tile,) how much each tile counts, pixel by pixel: less toward an edge where the image goes on. Those of a
        pixel add up to 1.
        """
        found = [self._fade(start) for start in self.starts]
        mass = torch.zeros(self.reach)
        for start, fade in zip(self.starts, found, strict=True):
            mass[start : start + self.tile] += fade
        return [fade / mass[start : start + self.tile] for start, fade in zip(self.starts, found, strict=True)]

    def _fade(self, start: int) -> Tensor:
        positions = torch.arange(self.tile) + 0.5
        before = positions if start != self.starts[0] else torch.full((self.tile,), torch.inf)
        after = self.tile - positions if start != self.starts[-1] else torch.full((self.tile,), torch.inf)
        rising = (torch.minimum(before, after) - _ZERO_WEIGHT * self.overlap) / max(_RISING_WEIGHT * self.overlap, 1)
        return rising.clamp(0, 1)


def _axes(size: tuple[int, int], input_size: tuple[int, int], stride: int) -> tuple[_Axis, _Axis]:
    """The tiles down and across: of those that go through the network at once the ones with the fewest pixels."""
    together = max(PIXELS_AT_ONCE, math.prod(side + stride for side in input_size))
    down, across = (_tilings(*sides, stride) for sides in zip(size, input_size, strict=True))
    widest = ((rows, [columns for columns in across if rows.tile * columns.tile <= together][:1]) for rows in down)
    pairs = [(rows, columns) for rows, fitting in widest for columns in fitting]
    return min(pairs, key=lambda pair: math.prod(axis.tile * len(axis.starts) for axis in pair))


def _tilings(length: int, input_side: int, stride: int) -> list[_Axis]:
    """A side whole, and in tiles of every useful length down to the frame's, in steps of the stride."""
    smallest, overlap = -(-input_side // stride) * stride, input_side // 2 // stride * stride
    found = [_Axis(length, 0, (0,))]
    while found[-1].tile > smallest:
        number = len(found) + 1
        even = -(-(length + (number - 1) * overlap) // number)
        tile = max(smallest, -(-even // stride) * stride)
        last = -(-(length - tile) // stride) * stride
        found.append(_Axis(tile, overlap, tuple(sorted({*range(0, last, tile - overlap), last}))))
    return found


def _most_likely(probabilities: Floats, matrix: Matrices, top: int, shape: tuple[int, ...], threshold: float) -> Pixels:
    """(rows, W) the classes of a band that begins at row ``top``, each probability interpolated linearly."""
    centered = matrix.copy()  # OpenCV counts from the first pixel's center
    centered[:, 2] += matrix[:, :2].sum(axis=1) / 2 - 0.5 + matrix[:, 1] * top
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    best, found = np.full(shape, -1.0, np.float32), np.zeros(shape, np.uint8)
    for number, probability in enumerate(probabilities):
        here = cv2.warpAffine(probability, centered, shape[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE)
        better = here > best
        best[better], found[better] = here[better], number
    found[best < threshold] = IGNORE
    return found
