"""Where batches take pixels from: arrays in memory, a memory-mapped cache of decoded files, or the files themselves.

Every picture is decoded once, reduced to what training at this frame can show (`preprocess.kept`) and written to one
flat file that later runs map into memory. The cache's name is a digest of the images' contents and of all that decides
the kept pixels, so a changed file or another frame makes a new cache and nothing is ever out of date.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol, final

import numpy as np

from convolve.datasets.cachefiles import CacheFiles, clean, content_key, load, write
from convolve.datasets.decode import to_channels
from convolve.datasets.images import ImageArray, JoinedImages, TakenImages
from convolve.datasets.parallel import in_order, one_thread_each
from convolve.datasets.preprocess import kept, kept_size, least_side
from convolve.errors import ImageError
from convolve.values import Images, Pixels, Preprocessing

__all__ = ["PixelSource", "cache_folder", "clean", "open_cache"]

IN_MEMORY = 2**30
"""Bytes up to which small arrays are enlarged to the frame once, instead of at each use."""
_SAMPLE = 128  # images whose sizes tell how large the cache will be


class PixelSource(Protocol):
    """Pixels ready for batches, by index; safe to read from several threads."""

    @property
    def failed(self) -> Mapping[int, str]:
        """Why images could not be read, as far as is known."""
        ...

    @property
    def how(self) -> str:
        """One sentence for people: where the pixels come from, and why."""
        ...

    @property
    def whole(self) -> Pixels | None:
        """(N, H, W, C) all of it, where every image has the same size and could be read."""
        ...

    def __len__(self) -> int: ...

    def size(self, index: int) -> tuple[int, int]:
        """Height and width of what `get` gives; within a pixel where a picture is reduced anew at each use. Raises
        `ImageError`.
        """
        ...

    def get(self, index: int) -> Pixels:
        """(H, W, channels), kept in proportion and perhaps larger than the frame; read-only. Raises `ImageError`."""
        ...


def cache_folder() -> Path:
    """Where caches live unless told otherwise: $CONVOLVE_CACHE, or `~/.cache/convolve/pixels`."""
    chosen = os.environ.get("CONVOLVE_CACHE")
    return Path(chosen) if chosen else Path.home() / ".cache" / "convolve" / "pixels"


def open_cache(
    images: Images, preprocessing: Preprocessing, folder: Path | None, budget: int, workers: int
) -> PixelSource:
    """The fastest source of these images' pixels that fits; decodes all of them when they are met for the first time.

    ``budget`` bounds the bytes of all caches in the ``folder`` together (`cache_folder` when None): the longest unused
    ones make room. What does not fit there, or on the disk, is decoded anew at each use, and `PixelSource.how` says so.
    ``workers`` threads read and decode. An image that cannot be read stands in `PixelSource.failed`.
    """
    array = _as_array(images)
    if array is not None:
        return _in_memory(array, preprocessing)
    folder = folder or cache_folder()
    place = folder / content_key(images, preprocessing, workers)
    files = load(place, len(images))
    if files is not None:
        return _stored(files, f"Pixels come from the cache {place}, decoded in an earlier run.")
    need = _expected_bytes(images, preprocessing)
    if need >= budget:  # also where nothing is allowed
        why = f"a cache would take {_megabytes(need)} of the {_megabytes(budget)} allowed"
        return _Streamed(images, preprocessing, why)
    try:
        clean(folder, budget - need)
        with one_thread_each():
            pixels = in_order(partial(_try_kept, images, preprocessing), range(len(images)), workers)
            files = write(place, pixels, budget)
    except OSError as error:
        return _Streamed(images, preprocessing, f"the cache {folder} cannot be written ({error.strerror or error})")
    return _stored(files, f"Pixels were decoded once into the cache {place} ({_megabytes(files.pixels.size)}).")


@final
@dataclass(frozen=True)
class _Stored:
    files: CacheFiles
    whole: Pixels | None
    how: str

    @property
    def failed(self) -> Mapping[int, str]:
        return self.files.failed

    def __len__(self) -> int:
        return len(self.files.index)

    def size(self, index: int) -> tuple[int, int]:
        height, width = self.get(index).shape[:2]
        return height, width

    def get(self, index: int) -> Pixels:
        start, height, width, channels = self.files.index[index].tolist()
        if start < 0:
            raise ImageError(self.files.failed[index])
        pixels: Pixels = self.files.pixels[start : start + height * width * channels].reshape(height, width, channels)
        return pixels


@final
@dataclass(frozen=True)
class _InMemory:
    array: Pixels
    whole: Pixels | None
    channels: int
    how: str
    failed: Mapping[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.array)

    def size(self, index: int) -> tuple[int, int]:  # noqa: ARG002 - all are alike
        return self.array.shape[1], self.array.shape[2]

    def get(self, index: int) -> Pixels:
        return to_channels(self.array[index], self.channels)


@final
class _Streamed:
    """Decodes at each use, and remembers what failed."""

    whole = None

    def __init__(self, images: Images, preprocessing: Preprocessing, why: str) -> None:
        self.failed: dict[int, str] = {}
        self.how = f"Images are decoded anew at each use, because {why}; training waits for that."
        self._images = images
        self._preprocessing = preprocessing

    def __len__(self) -> int:
        return len(self._images)

    def size(self, index: int) -> tuple[int, int]:
        return kept_size(*self._images.size(index), self._preprocessing)

    def get(self, index: int) -> Pixels:
        pixels = _try_kept(self._images, self._preprocessing, index)
        if isinstance(pixels, str):
            self.failed[index] = pixels
            raise ImageError(pixels)
        return pixels


def _as_array(images: Images) -> Pixels | None:
    """(N, H, W, C) when all images are in memory already, of one size."""
    if isinstance(images, ImageArray):
        return images.array
    if isinstance(images, TakenImages):
        inside = _as_array(images.images)
        return None if inside is None else np.asarray(inside[images.indices])
    if isinstance(images, JoinedImages):
        parts = [_as_array(part) for part in images.parts]
        arrays = [part for part in parts if part is not None]
        if len(arrays) == len(parts) and len({part.shape[1:] for part in arrays}) == 1:
            return np.concatenate(arrays)
    return None


def _in_memory(array: Pixels, preprocessing: Preprocessing) -> PixelSource:
    """The array at the size and with the channels that the network wants, where that does not take too much memory."""
    height, width = kept_size(array.shape[1], array.shape[2], preprocessing, enlarge=True)
    shape = (len(array), height, width, preprocessing.channels)
    if shape == array.shape:
        return _InMemory(array, array, preprocessing.channels, "Images are in memory already.")
    if np.prod(shape, dtype=np.int64) > max(IN_MEMORY, array.size):
        return _InMemory(array, None, preprocessing.channels, "Images are in memory and are resized at each use.")
    ready = np.empty(shape, np.uint8)
    for pixels, result in zip(array, ready, strict=True):
        result[...] = kept(pixels, preprocessing, enlarge=True)
    how = f"Images are in memory, resized once from {array.shape[2]}x{array.shape[1]} to {width}x{height}."
    return _InMemory(ready, ready, preprocessing.channels, how)


def _stored(files: CacheFiles, how: str) -> PixelSource:
    shapes = files.index[:, 1:]
    uniform = len(shapes) > 0 and not files.failed and bool((shapes == shapes[0]).all())
    return _Stored(files, files.pixels.reshape(-1, *shapes[0].tolist()) if uniform else None, how)


def _try_kept(images: Images, preprocessing: Preprocessing, index: int) -> Pixels | str:
    """The image as it is kept, or why it cannot be read."""
    try:
        return kept(images.read(index, least_side(preprocessing)), preprocessing)
    except ImageError as error:
        return str(error)


def _expected_bytes(images: Images, preprocessing: Preprocessing) -> int:
    """What all images will take, judged by the headers of some of them, evenly spread."""
    sizes: list[int] = []
    for index in range(0, len(images), max(1, len(images) // _SAMPLE)):
        try:
            height, width = kept_size(*images.size(index), preprocessing)
        except ImageError:
            continue
        sizes.append(height * width * preprocessing.channels)
    return round(sum(sizes) / len(sizes) * len(images)) if sizes else 0


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"
