"""The class of every pixel of a picture of any size, at its own size: by tiles where it is longer than the frame.

A network sees a picture at the scale at which it learned: with `stretch` and `letterbox` the whole of it in one frame,
with `crop` its shorter side as long as the frame's, with `tiles` at its own scale. What is larger than goes through the
network at once is cut into tiles, as few and as large as memory is set apart for. They overlap by half a frame, rounded
to steps of the network's coarsest map, so that every tile's maps lie as those of the whole. Near an edge where the
picture goes on a tile counts for nothing; from there on its share rises, so that no seam shows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from torch import Tensor

from convolve.datasets.decode import to_channels
from convolve.datasets.preprocess import fit_to_input, frame, normalize
from convolve.runtime import Runtime
from convolve.tasks.segment.learning import Segment
from convolve.values import IGNORE, Floats, Matrices, Pixels, Preprocessing

_AT_ONCE = 512 * 512
"""Pixels that go through the network together; as many as one frame has always do."""
_BAND = 2**20
"""Pixels of the answer that are worked out together, each with the shares of all classes, which are not kept longer."""
_SAME = np.eye(2, 3)
"""Of a picture that the network sees as it is."""
_SILENT, _RISING = 3 / 8, 1 / 4
"""Parts of the overlap in which a tile counts for nothing, and over which its share rises."""


def answered(
    picture: Pixels,
    size: tuple[int, int],
    task: Segment,
    runtime: Runtime,
    preprocessing: Preprocessing,
    least: float = 0.0,
) -> Pixels:
    """(H, W) class numbers of a picture (h, w, 1 or 3), as they lie in a mask of ``size`` (H, W); `IGNORE` where the
    likeliest class is less sure than ``least``.
    """
    plane, matrix = _plane(picture, size, preprocessing)
    view = fit_to_input(to_channels(picture, preprocessing.channels), plane)
    found = np.empty(size, np.uint8)
    if view.shape[:2] == size and np.array_equal(matrix, _SAME):
        done = 0
        for strip in strips(view, task, runtime, preprocessing):
            sure, likeliest = strip.max(0)
            found[done : done + strip.shape[1]] = likeliest.masked_fill(sure < least, IGNORE).to(torch.uint8).numpy()
            done += strip.shape[1]
        return found
    for rows, shares, shifted in _bands(strips(view, task, runtime, preprocessing), view.shape[0], size, matrix):
        found[rows] = _likeliest(shares, shifted, rows.start, found[rows].shape, least)
    return found


def strips(view: Pixels, task: Segment, runtime: Runtime, preprocessing: Preprocessing) -> Iterator[Tensor]:
    """(classes, rows, W) the shares of what the network sees (H, W, C), blended from tiles: strips of the picture, from
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
    seen = (shares for some in tiles for shares in _seen(some, task, runtime, preprocessing))
    total = torch.zeros(len(task.classes), rows.tile, columns.reach)
    beside = list(zip(columns.starts, columns.weights(), strict=True))
    for top, following, down in zip(rows.starts, (*rows.starts[1:], rows.reach), rows.weights(), strict=True):
        for (left, across), shares in zip(beside, seen, strict=False):
            total[:, :, left : left + columns.tile].addcmul_(shares, down[:, None] * across)
        ended = following - top
        yield total[:, : min(ended, height - top), :width]
        if following < rows.reach:
            total = torch.cat([total[:, ended:], torch.zeros(len(total), ended, columns.reach)], 1)


def _bands(
    strips: Iterator[Tensor], height: int, size: tuple[int, int], matrix: Matrices
) -> Iterator[tuple[slice, Floats, Matrices]]:
    """Bands of the answer, from the top down: their rows, the shares that they lie on, and the matrix onto these."""
    together, done, first, shares = max(1, _BAND // size[1]), 0, 0, np.empty((0, 0, 0), np.float32)
    for strip in strips:
        needed = min(max(first, _row_above(matrix, done) - 1), first + shares.shape[1])
        shares = np.concatenate([shares[:, needed - first :], strip.numpy()], axis=1) if len(shares) else strip.numpy()
        first = needed
        known = first + shares.shape[1]
        while done < size[0]:
            end = min(done + together, size[0])
            if known < height and known < _row_above(matrix, end) + 2:
                break
            yield slice(done, end), shares, matrix - np.array([[0, 0, 0], [0, 0, first]])
            done = end


def _row_above(matrix: Matrices, row: int) -> int:
    """The last row of what the network sees that begins above the center of a mask's row, or at it."""
    return math.floor(float(matrix[1, 1]) * (row + 0.5) + float(matrix[1, 2]) - 0.5)


def _plane(picture: Pixels, size: tuple[int, int], preprocessing: Preprocessing) -> tuple[Preprocessing, Matrices]:
    """How the picture becomes what the network sees, and what lays a mask of that ``size`` onto it (2, 3)."""
    height, width = picture.shape[:2]
    plane = preprocessing
    if preprocessing.fit == "crop":
        scale = max(preprocessing.height / height, preprocessing.width / width)
        sides = max(preprocessing.height, round(scale * height)), max(preprocessing.width, round(scale * width))
        plane = replace(preprocessing, height=sides[0], width=sides[1], fit="stretch")
    elif preprocessing.fit == "tiles":
        plane = replace(preprocessing, height=height, width=width, fit="stretch")
    return plane, frame(height, width, plane) * np.array([width / size[1], height / size[0], 1.0])


def _tiles(view: Pixels, rows: _Axis, columns: _Axis) -> Iterator[Pixels]:
    """(n, height, width, C) as many tiles as go through the network together, row after row."""
    places = [(top, left) for top in rows.starts for left in columns.starts]
    count = max(1, _AT_ONCE // (rows.tile * columns.tile))
    for start in range(0, len(places), count):
        some = places[start : start + count]
        yield np.stack([view[top : top + rows.tile, left : left + columns.tile] for top, left in some])


def _seen(tiles: Pixels, task: Segment, runtime: Runtime, preprocessing: Preprocessing) -> Tensor:
    """(n, classes, height, width) the shares in every tile."""
    with torch.inference_mode(), runtime.arithmetic():
        return task.shares(runtime.images(normalize(tiles, preprocessing))).cpu()


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
        """(tile,) how much each tile counts, pixel by pixel: less toward an edge where the picture goes on. Those of a
        pixel add up to 1.
        """
        found = [self._fade(start) for start in self.starts]
        mass = torch.zeros(self.reach)
        for start, fade in zip(self.starts, found, strict=True):
            mass[start : start + self.tile] += fade
        return [fade / mass[start : start + self.tile] for start, fade in zip(self.starts, found, strict=True)]

    def _fade(self, start: int) -> Tensor:
        places = torch.arange(self.tile) + 0.5
        before = places if start != self.starts[0] else torch.full((self.tile,), torch.inf)
        behind = self.tile - places if start != self.starts[-1] else torch.full((self.tile,), torch.inf)
        rising = (torch.minimum(before, behind) - _SILENT * self.overlap) / max(_RISING * self.overlap, 1)
        return rising.clamp(0, 1)


def _axes(size: tuple[int, int], frame: tuple[int, int], stride: int) -> tuple[_Axis, _Axis]:
    """The tiles down and across: of those that go through the network at once the ones with the fewest pixels."""
    together = max(_AT_ONCE, math.prod(side + stride for side in frame))
    down, across = (_divisions(*sides, stride) for sides in zip(size, frame, strict=True))
    widest = ((rows, [columns for columns in across if rows.tile * columns.tile <= together][:1]) for rows in down)
    pairs = [(rows, columns) for rows, fitting in widest for columns in fitting]
    return min(pairs, key=lambda pair: math.prod(axis.tile * len(axis.starts) for axis in pair))


def _divisions(length: int, frame: int, stride: int) -> list[_Axis]:
    """A side whole, and in tiles of every useful length down to the frame's, in steps of the stride."""
    least, overlap = -(-frame // stride) * stride, frame // 2 // stride * stride
    found = [_Axis(length, 0, (0,))]
    while found[-1].tile > least:
        number = len(found) + 1
        even = -(-(length + (number - 1) * overlap) // number)
        tile = max(least, -(-even // stride) * stride)
        last = -(-(length - tile) // stride) * stride
        found.append(_Axis(tile, overlap, tuple(sorted({*range(0, last, tile - overlap), last}))))
    return found


def _likeliest(shares: Floats, matrix: Matrices, top: int, shape: tuple[int, ...], least: float) -> Pixels:
    """(rows, W) the classes of a band of the answer that begins at row ``top``, each share interpolated linearly."""
    centerd = matrix.copy()  # OpenCV counts from the first pixel's center
    centerd[:, 2] += matrix[:, :2].sum(axis=1) / 2 - 0.5 + matrix[:, 1] * top
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    best, found = np.full(shape, -1.0, np.float32), np.zeros(shape, np.uint8)
    for number, share in enumerate(shares):
        here = cv2.warpAffine(share, centerd, shape[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE)
        better = here > best
        best[better], found[better] = here[better], number
    found[best < least] = IGNORE
    return found
