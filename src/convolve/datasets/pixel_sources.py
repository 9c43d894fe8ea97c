"""Sources of the pixels that batches show: an array in memory, the files themselves, or a cache (see `cache_files`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, final

import numpy as np

from convolve.datasets.images import to_channels
from convolve.datasets.preprocess import cached_size, least_side, resize_for_cache
from convolve.errors import ChangedImageError, ImageError
from convolve.values import Images, Indices, Pixels, Preprocessing

IN_MEMORY = 2**30
"""Bytes up to which small arrays are enlarged to the input size once, instead of at each use."""


class PixelSource(Protocol):
    """Pixels ready for batches, by index; safe to read from several threads."""

    @property
    def failed(self) -> Mapping[int, str]:
        """Why images could not be read, as far as is known."""
        ...

    @property
    def description(self) -> str:
        """One sentence for people: where the pixels come from, and why."""
        ...

    @property
    def whole(self) -> Pixels | None:
        """(N, H, W, C) all of it, where every image has the same size and could be read."""
        ...

    def __len__(self) -> int: ...

    def size(self, index: int) -> tuple[int, int]:
        """Height and width of what `get` gives; within a pixel where an image is resized at each use. Raises
        `ImageError`.
        """
        ...

    def get(self, index: int) -> Pixels:
        """(H, W, channels), in its own proportions and perhaps larger than the network's input; read-only. Raises
        `ImageError`, and `ChangedImageError` where it is known to have been another one.
        """
        ...


@final
@dataclass(frozen=True)
class ArrayInMemory:
    """An ``array`` (N, H, W, C); ``whole`` is the same where it needs no other number of ``channels``."""

    array: Pixels
    whole: Pixels | None
    channels: int
    description: str
    failed: Mapping[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.array)

    def size(self, index: int) -> tuple[int, int]:  # noqa: ARG002 - all are alike
        """Height and width."""
        return self.array.shape[1], self.array.shape[2]

    def get(self, index: int) -> Pixels:
        """(H, W, channels)."""
        return to_channels(self.array[index], self.channels)


@final
class StreamedImages:
    """Decodes at each use, and remembers what failed. ``sizes`` (N, 2) of the images, 0 where they are not known, spare
    reading files for them; an image that then has another size, or cannot be read any more, is an error.
    """

    whole = None

    def __init__(
        self,
        images: Images,
        preprocessing: Preprocessing,
        reason: str,
        sizes: Indices | None = None,
        failed: Mapping[int, str] | None = None,
    ) -> None:
        self.failed: dict[int, str] = dict(failed or {})
        self.description = f"Images are decoded anew at each use, because {reason}; training waits for that."
        self._images = images
        self._preprocessing = preprocessing
        self._sizes = np.zeros((len(images), 2), np.int64) if sizes is None else sizes

    def __len__(self) -> int:
        return len(self._images)

    def size(self, index: int) -> tuple[int, int]:
        """Height and width of what `get` gives, within a pixel. Raises `ImageError`."""
        if index in self.failed:
            raise ImageError(self.failed[index])
        if not self._sizes[index].any():
            self._sizes[index] = self._images.size(index)
        height, width = self._sizes[index].tolist()
        return cached_size(height, width, self._preprocessing)

    def get(self, index: int) -> Pixels:
        """(H, W, channels), decoded now. Raises `ImageError`, and `ChangedImageError` where it has been another one."""
        height, width = self._sizes[index].tolist()
        try:
            encoded = self._images.open(index)
            pixels = encoded.decode(least_side(self._preprocessing))
            size = (height, width) if pixels.shape[:2] == (height, width) else encoded.header.size
        except ImageError as error:
            if height:
                raise ChangedImageError(str(error)) from error
            self.failed[index] = str(error)
            raise
        if height and size != (height, width):
            raise ChangedImageError.by_size(self._images.name(index), (height, width), size)
        self._sizes[index] = size
        return resize_for_cache(pixels, self._preprocessing)


def in_memory(array: Pixels, preprocessing: Preprocessing) -> PixelSource:
    """The array (N, H, W, C) at the size and with the channels that the network takes, where memory suffices."""
    height, width = cached_size(array.shape[1], array.shape[2], preprocessing, enlarge=True)
    shape = (len(array), height, width, preprocessing.channels)
    if shape == array.shape:
        return ArrayInMemory(array, array, preprocessing.channels, "Images are in memory already.")
    if np.prod(shape, dtype=np.int64) > max(IN_MEMORY, array.size):
        return ArrayInMemory(array, None, preprocessing.channels, "Images are in memory and are resized at each use.")
    ready = np.empty(shape, np.uint8)
    for pixels, result in zip(array, ready, strict=True):
        result[...] = resize_for_cache(pixels, preprocessing, enlarge=True)
    description = f"Images are in memory, resized once from {array.shape[2]}x{array.shape[1]} to {width}x{height}."
    return ArrayInMemory(ready, ready, preprocessing.channels, description)
