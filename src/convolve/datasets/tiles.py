"""Images cut into tiles at their own scale: each tile has the input size and is an example, with its part of the mask.

Tiles overlap by half, as in prediction; the last one along a side is moved inwards, so that it ends where the image
ends. An image that is smaller than a tile is reflected beyond its end, where its mask is ignored. Images and masks
are cached at full size, each read once, and a tile is a view of the cache.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import cv2
import numpy as np

from convolve.datasets.batches import Examples
from convolve.datasets.cache import PixelSource, open_cache
from convolve.datasets.images import DIGEST_BYTES, TakenImages
from convolve.datasets.masks import Masks, warp_mask
from convolve.errors import ImageError
from convolve.targets import ArrayTargets
from convolve.values import IGNORE, Header, Images, Indices, Pixels, Placement, Preprocessing


def starts(length: int, tile: int) -> Indices:
    """Where tiles begin along a side: half a tile apart, the last one where it ends with the side."""
    last = max(length - tile, 0)
    return np.append(np.arange(0, last, max(tile // 2, 1)), last)


def tiles(images: Images, masks: Masks, source: PixelSource, preprocessing: Preprocessing, budget: int) -> Examples:
    """The tiles of all images; none of an image that cannot be read. The masks' cache takes its part of the
    ``budget`` (bytes), as in `open_cache`.
    """
    plain = Preprocessing(preprocessing.height, preprocessing.width, 1, "tiles", (0.0,), (1.0,))
    mask_source = open_cache(_MaskImages(masks, images, source), plain, None, budget)
    pixels, first = image_tiles(source, preprocessing)
    targets = MaskTiles(Tiles(mask_source, pixels.parents, pixels.corners, pixels.sides, cv2.BORDER_CONSTANT))
    return Examples(pixels, targets, first)


def image_tiles(source: PixelSource, preprocessing: Preprocessing) -> tuple[Tiles, Indices]:
    """The tiles of all images without targets, and (images + 1,) where each image's begin; see `Examples.first`."""
    corners = [_corners(source, index, preprocessing) for index in range(len(source))]
    first = np.cumsum([0, *map(len, corners)])
    parents = np.repeat(np.arange(len(corners)), np.diff(first))
    return Tiles(source, parents, np.concatenate(corners), (preprocessing.height, preprocessing.width)), first


def _corners(source: PixelSource, index: int, preprocessing: Preprocessing) -> Indices:
    """(M, 2) top and left of an image's tiles, row after row."""
    try:
        height, width = source.size(index)
    except ImageError:
        return np.empty((0, 2), np.int64)
    rows, columns = starts(height, preprocessing.height), starts(width, preprocessing.width)
    return np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 2)


@final
@dataclass(frozen=True, eq=False)
class Tiles:
    """The pixels of tiles of ``sides`` (height, width): tile i is a part of image ``parents[i]`` from ``corners[i]``
    (top, left) on. Beyond the end of an image it is reflected, or `IGNORE` with a constant ``border``.
    """

    images: PixelSource
    parents: Indices
    corners: Indices
    sides: tuple[int, int]
    border: int = cv2.BORDER_REFLECT_101
    whole = None

    @property
    def failed(self) -> Mapping[int, str]:
        """Nothing: an image that is known to be unreadable has no tiles."""
        return {}

    @property
    def description(self) -> str:
        """Where the images come from, and into what they are cut."""
        height, width = self.sides
        return f"{self.images.description} They are cut into {len(self):,} tiles of {width}x{height}."

    def __len__(self) -> int:
        return len(self.parents)

    def size(self, index: int) -> tuple[int, int]:  # noqa: ARG002 - all are alike
        """The tiles' height and width."""
        return self.sides

    def get(self, index: int) -> Pixels:
        """(height, width, channels). Raises `ImageError`."""
        top, left = self.corners[index].tolist()
        height, width = self.sides
        part = self.images.get(int(self.parents[index]))[top : top + height, left : left + width]
        below, beyond = height - part.shape[0], width - part.shape[1]
        if below or beyond:
            padded = cv2.copyMakeBorder(part, 0, below, 0, beyond, self.border, value=[IGNORE])
            return np.asarray(padded, np.uint8).reshape(height, width, part.shape[2])
        return part


@final
@dataclass(frozen=True, eq=False)
class MaskTiles:
    """The masks of tiles, each moved as its tile is."""

    masks: Tiles

    def targets(self, indices: Indices, placement: Placement) -> ArrayTargets:
        """(N, height, width) uint8 class indices of the pixels of the input, resampled once, by the nearest pixel."""
        found = [
            warp_mask(self.masks.get(index)[..., 0], matrix, placement.preprocessing)
            for index, matrix in zip(indices.tolist(), placement.matrices, strict=True)
        ]
        return ArrayTargets(np.stack(found))


@final
@dataclass(frozen=True, eq=False)
class _MaskImages(Images):
    """Masks as images of one channel, (H, W, 1) class indices, each of the size that its image has in the source."""

    masks: Masks
    images: Images
    source: PixelSource

    def __len__(self) -> int:
        return len(self.masks)

    def name(self, index: int) -> str:
        return f"the mask of {self.images.name(index)}"

    def open(self, index: int) -> _EncodedMask:
        return _EncodedMask(self.masks, index, self.source.size(index))

    def take(self, indices: Indices) -> TakenImages:
        return TakenImages(self, np.asarray(indices, dtype=np.int64))


@final
@dataclass(frozen=True, eq=False)
class _EncodedMask:
    """A mask that is not read yet, and the size (height, width) that it shall have."""

    masks: Masks
    index: int
    size: tuple[int, int]

    @property
    def digest(self) -> bytes:
        """Of the stored mask, what its values mean, and the size. Raises `ImageError`."""
        content = b"%d %d " % self.size + self.masks.digest(self.index)
        return hashlib.blake2b(content, digest_size=DIGEST_BYTES).digest()

    @property
    def header(self) -> Header:
        return Header(self.size, gray=True)

    def decode(self, at_least: int = 0) -> Pixels:  # noqa: ARG002 - always at full size
        mask, (height, width) = self.masks.read(self.index), self.size
        if mask.shape != (height, width):
            mask = np.asarray(cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST_EXACT), np.uint8)
        return mask[..., None]
