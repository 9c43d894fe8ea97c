"""Sources of the pixels that batches show: a cache on disk, an array in memory, or the files themselves.

A cache is one folder, written under another name and renamed, so that it is whole or absent. There `pixels.bin` holds
the images' bytes one after another, `index.npy` (N, 4) int64 their start, height, width and channels (start -1: could
not be decoded), `digests.npy` (N, 16) uint8 the digest of what each was decoded from (zeros: could not be opened),
`measurements.npy` (N,) what `survey.measure` says of each. Nothing in it can execute code.

A folder's name is 32 hexadecimal digits: 8 depend on all that decides the cached pixels of an image, 24 on the images.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final, Protocol, final

import numpy as np

from convolve.datasets.images import DIGEST_BYTES, ImageArray, JoinedImages, TakenImages, to_channels
from convolve.datasets.preprocess import CACHE_SCALE, cached_size, least_side, resize_for_cache
from convolve.datasets.survey import MEASUREMENT, Measurements
from convolve.errors import ChangedImageError, ImageError
from convolve.values import Images, Indices, Pixels, Preprocessing

_VERSION: Final = 3  # changes whenever the same images would give other bytes
_FINISHED_NAME = re.compile(r"[0-9a-f]{32}")
_UNFINISHED_NAME = re.compile(r"\.unfinished-[0-9a-f]{8}-\w+")
_STALE = 3600.0  # seconds without a write after which an unfinished cache was given up
_FREE = 0.05  # fraction of the disk that caches leave free
_ALIKE = 0.5  # fraction of the images looked for that a cache must hold to be of use
_NO_DIGEST = bytes(DIGEST_BYTES)
_DAMAGE = (FileNotFoundError, ValueError, IndexError, EOFError)
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


def as_array(images: Images) -> Pixels | None:
    """(N, H, W, C) when all images are in memory already, of one size."""
    if isinstance(images, ImageArray):
        return images.array
    if isinstance(images, TakenImages):
        inside = as_array(images.images)
        return None if inside is None else np.asarray(inside[images.indices])
    if isinstance(images, JoinedImages):
        parts = [as_array(part) for part in images.parts]
        arrays = [part for part in parts if part is not None]
        if len(arrays) == len(parts) and len({part.shape[1:] for part in arrays}) == 1:
            return np.concatenate(arrays)
    return None


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


@final
@dataclass(frozen=True, eq=False)
class CachedImages:
    """Images in a finished cache, its ``pixels`` (bytes,) mapped into memory; the other arrays are as the module
    describes. ``failed`` says by index why some could not be decoded.
    """

    path: Path
    pixels: Pixels
    index: Indices
    digests: Pixels
    measurements: Measurements
    whole: Pixels | None
    failed: Mapping[int, str] = field(default_factory=dict)
    description: str = ""

    def __len__(self) -> int:
        return len(self.index)

    def size(self, index: int) -> tuple[int, int]:
        """Height and width in the cache. Raises `ImageError`."""
        height, width = self.get(index).shape[:2]
        return height, width

    def get(self, index: int) -> Pixels:
        """(H, W, channels), a view of the cache. Raises `ImageError`."""
        start, height, width, channels = self.index[index].tolist()
        if start < 0:
            raise ImageError(self.failed[index])
        pixels: Pixels = self.pixels[start : start + height * width * channels].reshape(height, width, channels)
        return pixels

    def has(self, row: int, digest: bytes, failed: bool = False) -> bool:
        """Whether a row belongs to that digest (empty: of a file that cannot be opened), and has pixels unless the
        image has ``failed``.
        """
        same = row < len(self) and self.digests[row].tobytes() == (digest or _NO_DIGEST)
        return same and bool(self.index[row, 0] < 0) == failed

    def find(self, digest: bytes, row: int) -> int | None:
        """A row with the pixels of that digest: the given one if it has them, else the first one that does."""
        return row if self.has(row, digest) else self._rows.get(digest)

    @cached_property
    def _rows(self) -> dict[bytes, int]:
        rows = np.flatnonzero(self.index[:, 0] >= 0)[::-1].tolist()
        return {self.digests[row].tobytes(): row for row in rows}


def form_key(preprocessing: Preprocessing) -> str:
    """8 hexadecimal digits that depend on all that decides the cached pixels of an image."""
    tiles = preprocessing.fit == "tiles"  # caches the original, whatever the input size
    sides = (0, 0) if tiles else (preprocessing.height, preprocessing.width)
    form = (_VERSION, CACHE_SCALE, *sides, preprocessing.channels, preprocessing.fit)
    return hashlib.blake2b(repr(form).encode(), digest_size=4).hexdigest()


def load(path: Path) -> CachedImages | None:
    """The cache in that folder, which counts as used now; None where there is none, or a damaged one: it is removed."""
    try:
        index = np.load(path / "index.npy", allow_pickle=False)
        digests = np.load(path / "digests.npy", allow_pickle=False)
        measurements = np.load(path / "measurements.npy", allow_pickle=False)
        size = int(index[:, 1:].prod(axis=1).sum())
        shapes = (index.shape, digests.shape, measurements.shape, measurements.dtype)
        if shapes != ((len(index), 4), (len(index), DIGEST_BYTES), (len(index),), MEASUREMENT):
            raise ValueError(path)
        if (path / "pixels.bin").stat().st_size != size:
            raise ValueError(path)
        pixels = np.memmap(path / "pixels.bin", np.uint8, "r") if size else np.empty(0, np.uint8)
        os.utime(path)
    except _DAMAGE:
        shutil.rmtree(path, ignore_errors=True)
        return None
    except OSError:  # no memory or no permission, say: it may be whole
        return None
    shapes = index[:, 1:]
    uniform = bool(len(index) and (index[:, 0] >= 0).all() and (shapes == shapes[0]).all())
    whole = np.asarray(pixels).reshape(-1, *shapes[0].tolist()) if uniform else None
    return CachedImages(path, np.asarray(pixels), index, digests, measurements, whole)


def find_cache(folder: Path, digests: Sequence[bytes], count: int, form: str = "") -> CachedImages | None:
    """The cache, of that form if one is given, that holds most of some images by their digests, half of them at least;
    of several the one with just ``count`` images, then the one used last.
    """
    wanted = np.unique(np.frombuffer(b"".join(digests), np.int64)[::2])  # of digests the first half tells enough here
    found: list[tuple[int, bool, float, Path]] = []
    for entry in folder.iterdir() if folder.is_dir() else ():
        if not _FINISHED_NAME.fullmatch(entry.name) or not entry.name.startswith(form):
            continue
        try:
            stored = np.load(entry / "digests.npy", allow_pickle=False)
            hits = int(np.isin(wanted, stored.view(np.int64)[:, 0]).sum())
            found.append((hits, len(stored) == count, entry.stat().st_mtime, entry))
        except _DAMAGE:  # or another process is removing it just now
            shutil.rmtree(entry, ignore_errors=True)
        except OSError:
            continue
    for hits, _, _, entry in sorted(found, reverse=True):
        files = load(entry) if hits >= max(1, _ALIKE * len(wanted)) else None
        if files is not None:
            return files
    return None


def write_cache(
    folder: Path,
    form: str,
    limit: int,
    images: Iterable[Pixels | None],
    digests: Sequence[bytes],
    measurements: Measurements,
) -> CachedImages:
    """Write a cache of that form: the pixels of all images as they come, None for one that has none, and then their
    digests and measurements, which may be filled in meanwhile.

    It may take ``limit`` bytes and what the disk has. A killed program leaves it under a name that does not count. Of
    several writers of the same cache the first to finish wins, and the others read its work. Raises `OSError`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    disk = shutil.disk_usage(folder)
    limit = min(limit, max(0, int(disk.free - _FREE * disk.total)))
    draft = Path(tempfile.mkdtemp(prefix=f".unfinished-{form}-", dir=folder))
    try:
        rows, end = [], 0
        with (draft / "pixels.bin").open("wb") as file:
            for pixels in images:
                if pixels is None:
                    rows.append((-1, 0, 0, 0))
                    continue
                if end + pixels.size > limit:
                    raise OSError(f"the {limit / 1e6:,.0f} MB that it may take are full")
                file.write(np.ascontiguousarray(pixels).data)
                rows.append((end, *pixels.shape))
                end += pixels.size
        index = np.array(rows, dtype=np.int64).reshape(-1, 4)
        stored = np.frombuffer(b"".join(digest or _NO_DIGEST for digest in digests), np.uint8)
        stored = stored.reshape(-1, DIGEST_BYTES)
        for name, array in (("index", index), ("digests", stored), ("measurements", measurements)):
            np.save(draft / f"{name}.npy", array, allow_pickle=False)
        for path in draft.iterdir():  # before the rename, so that a power cut leaves no cache with missing pixels
            with path.open("rb+") as file:
                os.fsync(file.fileno())
        content = hashlib.blake2b(stored.tobytes(), digest_size=12)
        content.update((index[:, 0] < 0).tobytes())
        finished = folder / (form + content.hexdigest())
        try:
            draft.rename(finished)
        except OSError:
            if not finished.is_dir():
                raise  # otherwise another process was first
    finally:
        shutil.rmtree(draft, ignore_errors=True)  # what has not been finished
    cached = load(finished)
    if cached is None:
        raise OSError(f"{finished} vanished")
    return cached


def clean(folder: Path, keep_bytes: int) -> int:
    """Remove the longest unused caches until the others take at most ``keep_bytes``, and builds that were given up.

    Returns the bytes that were freed. A cache in use by another process stays readable there.
    """
    caches: list[tuple[float, int, Path, bool]] = []  # when last used or written, bytes, and whether finished
    for entry in folder.iterdir() if folder.is_dir() else ():
        finished = bool(_FINISHED_NAME.fullmatch(entry.name))
        if not finished and not _UNFINISHED_NAME.fullmatch(entry.name):
            continue
        try:
            files = [file.stat() for file in entry.iterdir()]
            used = max(each.st_mtime for each in (entry.stat(), *(() if finished else files)))
        except OSError:  # renamed or removed by another process just now
            continue
        caches.append((used, sum(file.st_size for file in files), entry, finished))
    total = freed = 0
    for used, size, entry, finished in sorted(caches, reverse=True):
        if not finished and time.time() - used < _STALE:
            continue
        total += size if finished else 0
        if total > keep_bytes or not finished:
            shutil.rmtree(entry, ignore_errors=True)
            freed += size
    return freed
