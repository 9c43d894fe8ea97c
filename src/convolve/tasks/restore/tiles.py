"""An image of any size in tiles, each read with as much around it as what restores it looks at, so that no seam stays;
and the colors of an image whose luminance alone was restored.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from convolve.metrics.image_quality import gray_levels
from convolve.tasks.restore.degradation import enlarge, to_pixels
from convolve.values import Floats, Pixels

TILE = 384
"""Pixels of a tile's side, of what goes into the network, without what is around it."""

Area = tuple[slice, slice]
"""Rows and columns of an image."""


@dataclass(frozen=True)
class Tile:
    """A part of an image: the area that is its ``own``, and the larger one that is ``read`` to restore it."""

    own: Area
    read: Area


def cut(size: tuple[int, int], tile: int, margin: int) -> tuple[Tile, ...]:
    """An image of (height, width) in tiles of about equal size, at most ``tile`` pixels, read with a ``margin``."""
    parts = [[*_parts(length, tile, margin)] for length in size]
    return tuple(
        Tile((own_rows, own_columns), (rows, columns))
        for own_rows, rows in parts[0]
        for own_columns, columns in parts[1]
    )


def join(tiles: Sequence[Tile], restored: Iterable[Floats], factor: int) -> Floats:
    """(factor H, factor W, C) from the tiles of an image (H, W) that were restored, each (factor h, factor w, C)."""
    height, width = (tiles[-1].own[axis].stop for axis in (0, 1))
    whole: Floats | None = None
    for tile, image in zip(tiles, restored, strict=True):
        if whole is None:
            whole = np.empty((factor * height, factor * width, image.shape[2]), np.float32)
        inside = (
            slice(factor * (own.start - read.start), factor * (own.stop - read.start))
            for own, read in zip(tile.own, tile.read, strict=True)
        )
        target = (slice(factor * own.start, factor * own.stop) for own in tile.own)
        whole[tuple(target)] = image[tuple(inside)]
    assert whole is not None  # noqa: S101 - an image has a tile
    return whole


def add_colors(image: Pixels, restored: Floats, factor: int) -> Pixels:
    """(factor H, factor W, C) in 8 bits: the ``restored`` gray levels (factor H, factor W, 1), and the colors of the
    image (H, W, C), enlarged by bicubic interpolation.
    """
    colors = enlarge(image, factor) if factor > 1 else image.astype(np.float32)
    return to_pixels(colors - gray_levels(colors) + restored)


def _parts(length: int, tile: int, margin: int) -> Iterator[tuple[slice, slice]]:
    """A side in parts of about equal length: each part, and from where to where it is read."""
    count = math.ceil(length / tile)
    ends = [length * number // count for number in range(count + 1)]
    for start, stop in pairwise(ends):
        yield slice(start, stop), slice(max(0, start - margin), min(length, stop + margin))
