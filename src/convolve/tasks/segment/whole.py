"""The class of every pixel of a picture of any size, at its own size: by tiles where it is longer than the frame.

A network sees a picture at the scale at which it learnt: with `squash` and `letterbox` the whole of it in one frame,
with `crop` its shorter side as long as the frame's and the longer one by tiles of the frame's size. Tiles overlap by
half, rounded to steps of the network's coarsest map, so that every tile's maps lie as those of the whole. Near an edge
where the picture goes on a tile counts for nothing; from there on its share rises, so that no seam shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch

from convolve.data.decode import to_channels
from convolve.data.preprocess import fitted, frame, normalised
from convolve.runtime import Runtime
from convolve.tasks.segment.learning import Segment
from convolve.values import IGNORE, Floats, Matrices, Pixels, Preprocessing

_AT_ONCE = 4 * 256 * 256
"""Pixels of the tiles that go through the network together; one tile always does."""
_BAND = 2**20
"""Pixels of the answer that are worked out together, each with the shares of all classes."""
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
    shares = tiled(view, task, runtime, preprocessing)
    found = np.empty(size, np.uint8)
    rows = max(1, _BAND // size[1])
    for top in range(0, size[0], rows):
        found[top : top + rows] = _likeliest(shares, matrix, top, found[top : top + rows].shape, least)
    return found


def tiled(view: Pixels, task: Segment, runtime: Runtime, preprocessing: Preprocessing) -> Floats:
    """(classes, H, W) the shares of what the network sees (H, W, C), blended from tiles of the frame's size."""
    stride = max(task.network.strides.values())
    rows, columns = (
        _axis(view.shape[0], preprocessing.height, stride),
        _axis(view.shape[1], preprocessing.width, stride),
    )
    below, beyond = rows.reach - view.shape[0], columns.reach - view.shape[1]
    padded = np.asarray(cv2.copyMakeBorder(view, 0, below, 0, beyond, cv2.BORDER_REFLECT_101), np.uint8)
    padded = padded.reshape(rows.reach, columns.reach, -1)
    total = np.zeros((len(task.classes), rows.reach, columns.reach), np.float32)
    mass = np.zeros((rows.reach, columns.reach), np.float32)
    places = [(top, left) for top in rows.starts for left in columns.starts]
    for (top, left), shares in zip(places, _seen(padded, places, task, runtime, preprocessing), strict=True):
        down, across = slice(top, top + rows.tile), slice(left, left + columns.tile)
        weight = np.outer(rows.fade(top), columns.fade(left))
        total[:, down, across] += weight * shares
        mass[down, across] += weight
    total /= mass
    return total[:, : view.shape[0], : view.shape[1]]


def _plane(picture: Pixels, size: tuple[int, int], preprocessing: Preprocessing) -> tuple[Preprocessing, Matrices]:
    """How the picture becomes what the network sees, and what lays a mask of that ``size`` onto it (2, 3)."""
    height, width = picture.shape[:2]
    plane = preprocessing
    if preprocessing.fit == "crop":
        scale = max(preprocessing.height / height, preprocessing.width / width)
        sides = max(preprocessing.height, round(scale * height)), max(preprocessing.width, round(scale * width))
        plane = replace(preprocessing, height=sides[0], width=sides[1], fit="squash")
    return plane, frame(height, width, plane) * np.array([width / size[1], height / size[0], 1.0])


def _seen(
    padded: Pixels, places: Sequence[tuple[int, int]], task: Segment, runtime: Runtime, preprocessing: Preprocessing
) -> Iterator[Floats]:
    """(classes, height, width) the shares in every tile."""
    height, width = preprocessing.height, preprocessing.width
    count = max(1, _AT_ONCE // (height * width))
    for start in range(0, len(places), count):
        tiles = np.stack(
            [padded[top : top + height, left : left + width] for top, left in places[start : start + count]]
        )
        with torch.inference_mode(), runtime.autocast():
            yield from task.shares(runtime.images(normalised(tiles, preprocessing))).cpu().numpy()


@dataclass(frozen=True)
class _Axis:
    """The tiles along one side: their length, the step between them, and where they begin."""

    tile: int
    step: int
    starts: tuple[int, ...]

    @property
    def reach(self) -> int:
        return self.starts[-1] + self.tile

    def fade(self, start: int) -> Floats:
        """(tile,) how much a tile counts, pixel by pixel: less towards an edge where the picture goes on."""
        overlap, places = self.tile - self.step, np.arange(self.tile) + 0.5
        before = np.full(self.tile, np.inf) if start == self.starts[0] else places
        behind = np.full(self.tile, np.inf) if start == self.starts[-1] else self.tile - places
        rising = (np.minimum(before, behind) - _SILENT * overlap) / max(_RISING * overlap, 1)
        return np.asarray(rising.clip(0, 1), np.float32)


def _axis(length: int, tile: int, stride: int) -> _Axis:
    """Tiles that together cover a length; the last may reach beyond its end, by less than a stride."""
    stride = min(stride, tile)
    step = max(stride, tile // 2 // stride * stride)
    last = -(-max(length - tile, 0) // stride) * stride
    return _Axis(tile, step, tuple(sorted({*range(0, last, step), last})))


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
