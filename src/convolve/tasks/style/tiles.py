"""An image of any size in tiles, each with as much around it as the receptive field needs, which is cut off again, and
from a multiple of the network's stride on. An image below the network's smallest side is reflected.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from convolve.values import Pixels

TILE = 768
"""Pixels of a tile's side, without what is around it. An image with no longer side is not cut."""

Area = tuple[slice, slice]
"""Rows and columns of an image."""


@dataclass(frozen=True)
class Tile:
    """A part of an image: the area that is its ``own``, and the larger one that is ``read`` for it."""

    own: Area
    read: Area


def reflect(image: Pixels, least: int) -> Pixels:
    """(H, W, C) with sides of ``least`` pixels at least."""
    missing = [(0, max(0, least - side)) for side in image.shape[:2]]
    return np.pad(image, (*missing, (0, 0)), "symmetric")


def cut(size: tuple[int, int], tile: int, stride: int, margin: int) -> tuple[Tile, ...]:
    """An image of (height, width) in tiles of ``tile`` pixels, read with a ``margin``; one where it is no larger."""
    if max(size) <= tile:
        whole = (slice(0, size[0]), slice(0, size[1]))
        return (Tile(whole, whole),)
    rows, columns = ([*_parts(length, round_up(tile, stride), round_up(margin, stride))] for length in size)
    return tuple(
        Tile((own_rows, own_columns), (read_rows, read_columns))
        for own_rows, read_rows in rows
        for own_columns, read_columns in columns
    )


def join(tiles: Sequence[Tile], stylized: Iterable[Pixels]) -> Pixels:
    """(H, W, C) from what became of each tile of it (h, w, C)."""
    height, width = (tiles[-1].own[axis].stop for axis in (0, 1))
    whole: Pixels | None = None
    for tile, image in zip(tiles, stylized, strict=True):
        if whole is None:
            whole = np.empty((height, width, image.shape[2]), np.uint8)
        down, across = (
            slice(own.start - read.start, own.stop - read.start) for own, read in zip(tile.own, tile.read, strict=True)
        )
        whole[tile.own] = image[down, across]
    assert whole is not None  # noqa: S101 - an image has a tile
    return whole


def round_up(length: int, step: int) -> int:
    """The least multiple of ``step`` that is not shorter."""
    return -(-length // step) * step


def _parts(length: int, step: int, margin: int) -> Iterator[tuple[slice, slice]]:
    """A side in parts: each part, and from where to where it is read. What would be less than the margin joins the part
    before.
    """
    begins = range(0, max(length - margin, 1), step)
    for begin in begins:
        end = length if begin == begins[-1] else begin + step
        yield slice(begin, end), slice(max(0, begin - margin), min(length, end + margin))
