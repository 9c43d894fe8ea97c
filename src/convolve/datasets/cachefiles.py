"""The pixel cache on disk: one folder per cache, written beside its place and renamed, so that it is whole or absent.

`pixels.bin` holds the images' bytes one after another, `index.npy` (N, 4) int64 their start, height, width and channels
(start -1: could not be read), `failed.json` why those could not. Nothing in it can execute code.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np

from convolve.datasets.parallel import in_order
from convolve.datasets.preprocess import KEPT
from convolve.errors import ImageError
from convolve.files import settle
from convolve.values import Images, Indices, Pixels, Preprocessing

_FORM = 2  # changes whenever the same images would give other bytes
_UNFINISHED = ".unfinished-"
_NAME = re.compile(r"(\.unfinished-)?[0-9a-f]{32}(-\w+)?")
_CHUNK = 32  # images that a thread hashes at a time, as one takes less than handing it over
_STALE = 3600.0  # seconds without a write after which an unfinished cache was given up
_FREE = 0.05  # share of the disk that caches leave free


@dataclass(frozen=True)
class CacheFiles:
    """``pixels`` (bytes,) mapped into memory; ``index`` (N, 4) start, height, width, channels; ``failed`` by image."""

    pixels: Pixels
    index: Indices
    failed: Mapping[int, str]


def content_key(images: Images, preprocessing: Preprocessing, workers: int) -> str:
    """32 hexadecimal digits that depend on the images' contents, their order, and all that decides the kept pixels."""
    sides = (0, 0) if preprocessing.fit == "tiles" else (preprocessing.height, preprocessing.width)  # all is kept
    form = (_FORM, KEPT, *sides, preprocessing.channels, preprocessing.fit, len(images))
    key = hashlib.blake2b(repr(form).encode(), digest_size=16)
    chunks = [range(start, min(start + _CHUNK, len(images))) for start in range(0, len(images), _CHUNK)]
    for digests in in_order(partial(_digests, images), chunks, workers):
        key.update(digests)
    return key.hexdigest()


def load(place: Path, count: int) -> CacheFiles | None:
    """The cache in that folder, marked as used now; None when there is none, or a damaged one, which is removed."""
    try:
        index = np.load(place / "index.npy", allow_pickle=False)
        failed = {int(key): str(why) for key, why in json.loads((place / "failed.json").read_text("utf-8")).items()}
        size = int(index[:, 1:].prod(axis=1).sum())
        if index.shape != (count, 4) or (place / "pixels.bin").stat().st_size != size:
            raise ValueError(place)
        pixels = np.memmap(place / "pixels.bin", np.uint8, "r") if size else np.empty(0, np.uint8)
        os.utime(place)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, IndexError):
        shutil.rmtree(place, ignore_errors=True)
        return None
    return CacheFiles(np.asarray(pixels), index, failed)


def write(place: Path, images: Iterable[Pixels | str], budget: int) -> CacheFiles:
    """Store each image's pixels, or the reason why it has none, as the cache ``place``.

    Raises `OSError` when the disk or the ``budget`` of bytes is full; nothing stays behind then, nor after any other
    exception. Of several writers at once the first to finish wins, and the others read its work.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f"{_UNFINISHED}{place.name}-", dir=place.parent))
    try:
        with (beside / "pixels.bin").open("wb") as file:
            index, failed = _write_pixels(file, images, min(budget, _room(place.parent)))
        np.save(beside / "index.npy", index, allow_pickle=False)
        (beside / "failed.json").write_text(json.dumps(failed, ensure_ascii=False, indent=1), "utf-8")
        for written in (*beside.iterdir(), beside):
            settle(written)  # before the rename, so that a power cut leaves no cache with missing pixels
        _publish(beside, place)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    files = load(place, len(index))
    if files is None:
        raise OSError(f"{place} vanished")
    return files


def clean(folder: Path, keep_bytes: int) -> int:
    """Remove the longest unused caches until the rest takes at most ``keep_bytes``, and builds that were given up.

    Returns the bytes that were freed. A cache in use by another process stays readable there.
    """
    kept = freed = 0
    for used, size, entry in sorted(_caches(folder), reverse=True):
        if not _finished(entry) and time.time() - used < _STALE:
            continue
        kept += size if _finished(entry) else 0
        if kept > keep_bytes or not _finished(entry):
            shutil.rmtree(entry, ignore_errors=True)
            freed += size
    return freed


def _write_pixels(file: IO[bytes], images: Iterable[Pixels | str], limit: int) -> tuple[Indices, dict[int, str]]:
    rows: list[tuple[int, int, int, int]] = []
    failed: dict[int, str] = {}
    end = 0
    for number, pixels in enumerate(images):
        if isinstance(pixels, str):
            failed[number] = pixels
            rows.append((-1, 0, 0, 0))
            continue
        if end + pixels.size > limit:
            raise OSError(f"the {limit / 1e6:,.0f} MB that it may take are full")
        file.write(np.ascontiguousarray(pixels).data)
        height, width, channels = pixels.shape
        rows.append((end, height, width, channels))
        end += pixels.size
    return np.array(rows, dtype=np.int64).reshape(-1, 4), failed


def _room(folder: Path) -> int:
    disk = shutil.disk_usage(folder)
    return max(0, int(disk.free - _FREE * disk.total))


def _publish(beside: Path, place: Path) -> None:
    try:
        beside.rename(place)
    except OSError:
        if not place.is_dir():
            raise  # otherwise another process was first


def _digests(images: Images, indices: range) -> bytes:
    return b"".join(_digest(images, index) for index in indices)


def _digest(images: Images, index: int) -> bytes:
    try:
        return images.digest(index)
    except ImageError:
        return b"cannot be opened"


def _caches(folder: Path) -> Iterator[tuple[float, int, Path]]:
    """When each cache, finished or not, was last used or written, its bytes, and its folder."""
    for entry in folder.iterdir() if folder.is_dir() else ():
        if not _NAME.fullmatch(entry.name):
            continue
        try:
            facts = [file.stat() for file in entry.iterdir()]
            used = max(fact.st_mtime for fact in (entry.stat(), *(() if _finished(entry) else facts)))
        except OSError:  # renamed or removed by another process just now
            continue
        yield used, sum(fact.st_size for fact in facts), entry


def _finished(entry: Path) -> bool:
    return not entry.name.startswith(_UNFINISHED)
