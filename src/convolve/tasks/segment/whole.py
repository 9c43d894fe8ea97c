"""The class of every pixel of a picture of any size, at its own size: by tiles where it is longer than the frame.

A network sees a picture at the scale at which it learnt: with `squash` and `letterbox` the whole of it in one frame,
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

from convolve.data.decode import to_channels
from convolve.data.preprocess import fitted, frame, normalised
from convolve.runtime import Runtime
from convolve.tasks.segment.learning import Segment
from convolve.values import IGNORE, Floats, Matrices, Pixels, Preprocessing

_AT_ONCE = 1024 * 512
"""Pixels that go through the network together; as many as one frame has always do."""
_BAND = 2**20
"""Pixels of the answer that are worked out together, each with the shares of all classes, which are not kept longer."""
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
    view = fitted(to_channels(picture, preprocessing.channels), plane)
    found = np.empty(size, np.uint8)
    rows = max(1, _BAND // size[1])
    done, first, shares = 0, 0, np.empty((len(task.classes), 0, view.shape[1]), np.float32)
    for strip in strips(view, task, runtime, preprocessing):
        needed = min(max(first, _row_above(matrix, done) - 1), first + shares.shape[1])
        shares, first = np.concatenate([shares[:, needed - first :], strip], axis=1), needed
        known = first + shares.shape[1]
        while done < size[0]:
            end = min(done + rows, size[0])
            if known < view.shape[0] and known < _row_above(matrix, end) + 2:
                break
            shifted = matrix - np.array([[0, 0, 0], [0, 0, first]])
            found[done:end] = _likeliest(shares, shifted, done, found[done:end].shape, least)
            done = end
    return found


def strips(view: Pixels, task: Segment, runtime: Runtime, preprocessing: Preprocessing) -> Iterator[Floats]:
    """(classes, rows, W) the shares of what the network sees (H, W, C), blended from tiles: strips
    of the picture, from the top down, each as soon as no other tile reaches it.
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
    total = np.zeros((len(task.classes) + 1, rows.tile, columns.reach), np.float32)  # the last one is the weights' own
    for top, following in zip(rows.starts, (*rows.starts[1:], rows.reach), strict=True):
        for left, shares in zip(columns.starts, seen, strict=False):
            weight, across = np.outer(rows.fade(top), columns.fade(left)), slice(left, left + columns.tile)
            total[:-1, :, across] += weight * shares
            total[-1, :, across] += weight
        ended = following - top
        yield total[:-1, :ended][:, : height - top, :width] / total[-1, :ended][: height - top, :width]
        total[:, : rows.tile - ended] = total[:, ended:].copy()
        total[:, rows.tile - ended :] = 0


def _row_above(matrix: Matrices, row: int) -> int:
    """The last row of what the network sees that begins above the centre of a mask's row, or at it."""
    return math.floor(float(matrix[1, 1]) * (row + 0.5) + float(matrix[1, 2]) - 0.5)


def _plane(picture: Pixels, size: tuple[int, int], preprocessing: Preprocessing) -> tuple[Preprocessing, Matrices]:
    """How the picture becomes what the network sees, and what lays a mask of that ``size`` onto it (2, 3)."""
    height, width = picture.shape[:2]
    plane = preprocessing
    if preprocessing.fit == "crop":
        scale = max(preprocessing.height / height, preprocessing.width / width)
        sides = max(preprocessing.height, round(scale * height)), max(preprocessing.width, round(scale * width))
        plane = replace(preprocessing, height=sides[0], width=sides[1], fit="squash")
    elif preprocessing.fit == "tiles":
        plane = replace(preprocessing, height=height, width=width, fit="squash")
    return plane, frame(height, width, plane) * np.array([width / size[1], height / size[0], 1.0])


def _tiles(view: Pixels, rows: _Axis, columns: _Axis) -> Iterator[Pixels]:
    """(n, height, width, C) as many tiles as go through the network together, row after row."""
    places = [(top, left) for top in rows.starts for left in columns.starts]
    count = max(1, _AT_ONCE // (rows.tile * columns.tile))
    for start in range(0, len(places), count):
        some = places[start : start + count]
        yield np.stack([view[top : top + rows.tile, left : left + columns.tile] for top, left in some])


def _seen(tiles: Pixels, task: Segment, runtime: Runtime, preprocessing: Preprocessing) -> Floats:
    """(n, classes, height, width) the shares in every tile."""
    with torch.inference_mode(), runtime.arithmetic():
        return task.shares(runtime.images(normalised(tiles, preprocessing))).cpu().numpy()


@dataclass(frozen=True)
class _Axis:
    """The tiles along one side: their length, how far they overlap, and where they begin."""

    tile: int
    overlap: int
    starts: tuple[int, ...]

    @property
    def reach(self) -> int:
        return self.starts[-1] + self.tile

    def fade(self, start: int) -> Floats:
        """(tile,) how much a tile counts, pixel by pixel: less towards an edge where the picture goes on."""
        places = np.arange(self.tile) + 0.5
        before = np.full(self.tile, np.inf) if start == self.starts[0] else places
        behind = np.full(self.tile, np.inf) if start == self.starts[-1] else self.tile - places
        rising = (np.minimum(before, behind) - _SILENT * self.overlap) / max(_RISING * self.overlap, 1)
        return np.asarray(rising.clip(0, 1), np.float32)


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
    centred = matrix.copy()  # OpenCV counts from the first pixel's centre
    centred[:, 2] += matrix[:, :2].sum(axis=1) / 2 - 0.5 + matrix[:, 1] * top
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    best, found = np.full(shape, -1.0, np.float32), np.zeros(shape, np.uint8)
    for number, share in enumerate(shares):
        here = cv2.warpAffine(share, centred, shape[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE)
        better = here > best
        best[better], found[better] = here[better], number
    found[best < least] = IGNORE
    return found
