"""Caches of pixels on disk: what is in their files, and how these are written, found, checked and removed.

A cache is one folder, written under another name and renamed, so that it is whole or absent. There `pixels.bin` holds
the images' bytes one after another, `index.bin` (N, 5) int64 their start, height, width, channels and CRC-32 (start
-1: could not be decoded), `digests.bin` (N, 16) uint8 the digest of what each was decoded from (zeros: could not be
opened), `measurements.bin` (N,) what `survey.measure` says of each. Each of the three ends with its own digest.

A folder's name is 32 hexadecimal digits: 8 depend on all that decides the cached pixels of an image, 24 on every byte
of the three arrays. So a name vouches for the arrays, and these for each image: whatever changes a byte is noticed.

Beside them stand the folders of `proposals`, which `clean` removes as it does caches of pixels.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import tempfile
import time
import zlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, final

import numpy as np
import numpy.typing as npt

from convolve.datasets.images import DIGEST_BYTES
from convolve.datasets.preprocess import CACHE_SCALE
from convolve.datasets.survey import MEASUREMENT, Measurements
from convolve.errors import ImageError
from convolve.untrusted.files import read_file
from convolve.values import Indices, Pixels, Preprocessing

_VERSION: Final = 4  # changes whenever the same images would give other bytes, or other files
PROPOSALS_PREFIX: Final = "proposals-"
"""Of a folder that holds proposals, not pixels; what 8 hexadecimal digits after it depend on, `proposals` says."""
_FINISHED_NAME = re.compile(r"[0-9a-f]{32}")
_PROPOSALS_NAME = re.compile(rf"{PROPOSALS_PREFIX}[0-9a-f]{{8}}")
_UNFINISHED_NAME = re.compile(r"\.unfinished-[0-9a-f]{8}-\w+")
_STALE = 3600.0  # seconds without a write after which an unfinished cache was given up, where files cannot be locked
_GRACE = 2.0  # seconds in which a writer may be about to lock its cache, or to rename it
_FREE = 0.05  # fraction of the disk that caches leave free
_ALIKE = 0.5  # fraction of the images looked for that a cache must hold to be of use
_ARRAY_BYTES = 2**33  # of each of the three arrays at most
_SEAL_BYTES = 12
_NO_DIGEST = bytes(DIGEST_BYTES)
_FOR_NOW = frozenset((errno.EACCES, errno.EPERM, errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EINTR))
"""Why a cache that is whole may not be readable just now."""


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
        start, height, width, channels, _ = self.index[index].tolist()
        if start < 0:
            raise ImageError(self.failed[index])
        pixels: Pixels = self.pixels[start : start + height * width * channels].reshape(height, width, channels)
        return pixels

    def is_intact(self, row: int) -> bool:
        """Whether a row that has pixels has those that were written."""
        return zlib.crc32(self.get(row).data) == int(self.index[row, 4])

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


def load(path: Path) -> CachedImages:
    """The cache in that folder, which counts as used now; its pixels are not checked yet (`CachedImages.is_intact`).

    Raises `OSError` or `MemoryError` where it cannot be read, and `ValueError` where it is damaged.
    """
    index, digests, measurements = (_read_array(path / f"{name}.bin") for name in ("index", "digests", "measurements"))
    seal = hashlib.blake2b(index + digests + measurements, digest_size=_SEAL_BYTES)
    if path.name[-2 * _SEAL_BYTES :] != seal.hexdigest():
        raise ValueError(f"{path} does not hold what its name stands for")
    with suppress(OSError):  # which it raises for somebody else's
        os.utime(path)
    rows = np.frombuffer(index, np.int64).reshape(-1, 5)
    stored = np.frombuffer(digests, np.uint8).reshape(-1, DIGEST_BYTES)
    return _with_pixels(path, rows, stored, np.frombuffer(measurements, MEASUREMENT))


def find_cache(folder: Path, digests: Sequence[bytes], count: int, form: str = "") -> tuple[CachedImages | None, bool]:
    """The cache, of that form if one is given, that holds most of some images by their digests, half of them at least;
    of several the one with just ``count`` images, then the one used last. And whether any was damaged, and is removed.
    """
    wanted = np.unique(np.frombuffer(b"".join(digests), np.int64)[::2])  # of digests the first half tells enough here
    found: list[tuple[int, bool, float, Path]] = []
    damaged = False
    try:
        entries = sorted(folder.iterdir())
    except OSError:  # absent, or nobody may look into it
        return None, False
    for entry in entries:
        if not _FINISHED_NAME.fullmatch(entry.name) or not entry.name.startswith(form):
            continue
        try:
            stored = np.frombuffer(_read_array(entry / "digests.bin"), np.int64)[::2]
            hits = int(np.isin(wanted, stored).sum())
            found.append((hits, len(stored) == count, entry.stat().st_mtime, entry))
        except (OSError, ValueError, MemoryError) as error:
            damaged |= _discard_damaged(entry, error)
    for hits, _, _, entry in sorted(found, reverse=True):
        if hits < max(1, _ALIKE * len(wanted)):
            break
        try:
            return load(entry), damaged
        except (OSError, ValueError, MemoryError) as error:
            damaged |= _discard_damaged(entry, error)
    return None, damaged


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
            with suppress(ImportError, OSError):  # where no file can be locked; `clean` sees by it that somebody writes
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for pixels in images:
                if pixels is None:
                    rows.append((-1, 0, 0, 0, 0))
                    continue
                if end + pixels.size > limit:
                    raise OSError(f"the {limit / 1e6:,.0f} MB that it may take are full")
                view = np.ascontiguousarray(pixels).data
                file.write(view)
                rows.append((end, *pixels.shape, zlib.crc32(view)))
                end += pixels.size
            file.flush()
            os.fsync(file.fileno())  # before the rename, so that a power cut leaves no cache with missing pixels
            index = np.array(rows, dtype=np.int64).reshape(-1, 5)
            stored = np.frombuffer(b"".join(digest or _NO_DIGEST for digest in digests), np.uint8)
            measured, seal = measurements.copy(), hashlib.blake2b(digest_size=_SEAL_BYTES)
            arrays: dict[str, npt.NDArray[Any]] = {"index": index, "digests": stored, "measurements": measured}
            for name, array in arrays.items():
                content = array.tobytes()
                seal.update(content)
                with (draft / f"{name}.bin").open("wb") as part:
                    part.write(content + hashlib.blake2b(content, digest_size=DIGEST_BYTES).digest())
                    part.flush()
                    os.fsync(part.fileno())
        finished = folder / (form + seal.hexdigest())
        try:
            draft.rename(finished)
        except OSError:
            if not _is_whole(finished):  # otherwise another process was first
                discard(finished)
                draft.rename(finished)
        return _with_pixels(finished, index, stored.reshape(-1, DIGEST_BYTES), measured)
    except ValueError as error:  # of what has been written a moment ago
        raise OSError(str(error)) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)  # what has not been finished


def clean(folder: Path, keep_bytes: int) -> int:
    """Remove what a killed program was writing, and then the longest unused caches until all that is left, with what
    others are writing just now, takes at most ``keep_bytes``.

    Returns the bytes that were freed. A cache in use by another process stays readable there.
    """
    caches: list[tuple[float, int, Path]] = []  # when last used, bytes
    total = freed = 0
    try:
        entries = sorted(folder.iterdir())
    except OSError:  # absent, or nobody may look into it
        return 0
    for entry in entries:
        finished = bool(_FINISHED_NAME.fullmatch(entry.name) or _PROPOSALS_NAME.fullmatch(entry.name))
        if not finished and not _UNFINISHED_NAME.fullmatch(entry.name):
            continue
        try:
            files = [file.stat() for file in entry.iterdir()]
            used = entry.stat().st_mtime
        except OSError:  # renamed or removed by another process just now
            continue
        size = sum(file.st_size for file in files)
        if finished:
            caches.append((used, size, entry))
        elif _is_given_up(entry, max((used, *(file.st_mtime for file in files)))):
            discard(entry)
            freed += size
        else:
            total += size
    for _, size, entry in sorted(caches, reverse=True):
        total += size
        if total > keep_bytes:
            discard(entry)
            freed += size
    return freed


def _read_array(path: Path) -> bytes:
    """The bytes of an array. Raises `OSError`, and `ValueError` where they are not those that were written."""
    content = read_file(path, _ARRAY_BYTES)
    array = content[:-DIGEST_BYTES]
    if hashlib.blake2b(array, digest_size=DIGEST_BYTES).digest() != content[-DIGEST_BYTES:]:
        raise ValueError(f"{path} does not hold what was written")
    return array


def _with_pixels(path: Path, index: Indices, digests: Pixels, measurements: Measurements) -> CachedImages:
    """A cache of known arrays. Raises `OSError`, and `ValueError` where its pixels are more or less than they say."""
    size = int(index[:, 1:4].prod(axis=1).sum())
    if (path / "pixels.bin").stat().st_size != size or not len(index) == len(digests) == len(measurements):
        raise ValueError(f"{path} does not hold {size:,} bytes of pixels of {len(index):,} images")
    pixels = np.asarray(np.memmap(path / "pixels.bin", np.uint8, "r") if size else np.empty(0, np.uint8))
    shapes = index[:, 1:4]
    uniform = bool(len(index) and (index[:, 0] >= 0).all() and (shapes == shapes[0]).all())
    whole = pixels.reshape(-1, *shapes[0].tolist()) if uniform else None
    return CachedImages(path, pixels, index, digests, measurements, whole)


def _is_whole(path: Path) -> bool:
    """Whether a finished cache and all its pixels are as they were written."""
    try:
        cached = load(path)
    except (OSError, ValueError):
        return False
    return all(cached.is_intact(row) for row in np.flatnonzero(cached.index[:, 0] >= 0).tolist())


def _discard_damaged(path: Path, error: Exception) -> bool:
    """Remove a cache whose files raised that error, unless it may be whole or is gone by now; whether it is damaged."""
    if isinstance(error, MemoryError) or getattr(error, "errno", None) in _FOR_NOW or not path.is_dir():
        return False
    discard(path)
    return True


def discard(path: Path) -> None:
    """Remove a cache under another name, so that no other process finds half of it."""
    aside = path.with_name(f".unfinished-{os.urandom(4).hex()}-removed")
    try:
        path.rename(aside)
    except OSError:  # removed by another process, say
        aside = path
    shutil.rmtree(aside, ignore_errors=True)


def _is_given_up(path: Path, used: float) -> bool:
    """Whether nobody is writing an unfinished cache any more, which was written to at that time."""
    age = time.time() - used
    if age > _STALE or age < _GRACE:
        return age > _STALE
    with suppress(ImportError, OSError):  # its writer has locked it or has not begun, or no file can be locked
        import fcntl

        with (path / "pixels.bin").open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    return False
