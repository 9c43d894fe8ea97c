"""Images whose files lie as bytes in a column of Parquet files, read when they are opened."""

from __future__ import annotations

import os
import tempfile
import weakref
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import IO, Any, Final, final

import numpy as np

from convolve.datasets.cache import cache_folder
from convolve.datasets.images import EncodedFile, TakenImages
from convolve.errors import ImageError
from convolve.untrusted.parquet import open_parquet
from convolve.values import Images, Indices

KEPT_BYTES: Final = 2**27
"""Of the groups of rows in memory; each is at most a quarter of it."""
_BATCH = 32  # rows that are read at a time


@dataclass(frozen=True)
class Shard:
    """A Parquet file: its ``path`` below the root; the ``column`` of bytes, or of structures that have these as the
    field ``bytes``; the number of rows in its groups, and what these take in memory with all their columns.
    """

    path: str
    column: str
    structured: bool
    rows: tuple[int, ...]
    sizes: tuple[int, ...]


@final
class ParquetImages(Images):
    """Images in Parquet files below ``root``, in the order of the rows; ``names`` (N,) is what people call them.

    Parquet is read by groups of rows. The last ones are kept in memory, as far as `KEPT_BYTES` allow. Those that are
    too large for that, as files written without a thought of images have them, are unpacked into a nameless file in the
    folder of caches, which ends with the process.
    """

    def __init__(self, root: Path, shards: tuple[Shard, ...], names: Sequence[str]) -> None:
        self.root, self.shards, self.names = root, shards, names
        self._groups = [(shard, group) for shard in shards for group in range(len(shard.rows))]
        self._starts = np.cumsum([0, *(shard.rows[group] for shard, group in self._groups)]).tolist()
        self._forget()

    def __reduce__(self) -> tuple[Any, ...]:
        return ParquetImages, (self.root, self.shards, self.names)

    def __len__(self) -> int:
        return len(self.names)

    def name(self, index: int) -> str:
        """What the file says, where that is different everywhere, or else the file and the number of the row."""
        return self.names[index]

    def open(self, index: int) -> EncodedFile:
        """Read the group of an image, unless it was read before. Raises `ImageError`."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        number = bisect_right(self._starts, index) - 1
        if self._process != os.getpid():  # a process that was forked shares no file
            self._forget()
        with self._lock:
            blob = self._read(number, index - self._starts[number])
        if blob is None:
            raise ImageError(f"{self.names[index]} has no bytes in {self._groups[number][0].path}; leave it out.")
        return EncodedFile(blob, self.names[index])

    def take(self, indices: Indices) -> TakenImages:
        """Some of the images, in the order asked."""
        return TakenImages(self, np.asarray(indices, dtype=np.int64))

    def _forget(self) -> None:
        self._process: int = os.getpid()
        self._lock: AbstractContextManager[Any] = Lock()
        self._memory: OrderedDict[int, list[bytes | None]] = OrderedDict()
        self._unpacked: dict[int, list[tuple[int, int] | None]] = {}
        self._file: IO[bytes] | None = None

    def _read(self, number: int, row: int) -> bytes | None:
        shard, group = self._groups[number]
        if shard.sizes[group] > KEPT_BYTES // 4:
            if number not in self._unpacked:
                self._unpacked[number] = self._unpack(shard, group)
            return self._read_unpacked(self._unpacked[number][row])
        if number not in self._memory:
            self._memory[number] = list(_read_group(self.root, shard, group))
            while sum(self._size(other) for other in self._memory) > KEPT_BYTES:
                self._memory.popitem(last=False)
        self._memory.move_to_end(number)
        return self._memory[number][row]

    def _size(self, number: int) -> int:
        shard, group = self._groups[number]
        return shard.sizes[group]

    def _unpack(self, shard: Shard, group: int) -> list[tuple[int, int] | None]:
        """Where the images of a group begin in the file, and how long they are."""
        positions: list[tuple[int, int] | None] = []
        try:
            if self._file is None:
                cache_folder().mkdir(parents=True, exist_ok=True)
                self._file = tempfile.TemporaryFile(dir=cache_folder())  # noqa: SIM115 - lives as long as this
                weakref.finalize(self, self._file.close)
            self._file.seek(0, os.SEEK_END)
            for blob in _read_group(self.root, shard, group):
                positions.append(None if blob is None else (self._file.tell(), len(blob)))
                self._file.write(blob or b"")
        except OSError as error:
            raise ImageError(
                f"{shard.path} cannot be unpacked into {cache_folder()} ({error.strerror or error}); make room there."
            ) from error
        return positions

    def _read_unpacked(self, position: tuple[int, int] | None) -> bytes | None:
        if position is None or self._file is None:
            return None
        self._file.seek(position[0])
        return self._file.read(position[1])


def read_shard(root: Path, path: str, column: str, structured: bool) -> Shard:
    """What a file's footer says of its groups. Raises `OSError` and `ValueError`."""
    with open_parquet(root / path) as file:
        groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
        rows, sizes = [int(group.num_rows) for group in groups], [int(group.total_byte_size) for group in groups]
    return Shard(path, column, structured, tuple(rows), tuple(sizes))


def _read_group(root: Path, shard: Shard, group: int) -> Iterator[bytes | None]:
    """The bytes of each row, none where it has none. Raises `ImageError`."""
    rows = 0
    try:
        with open_parquet(root / shard.path) as file:
            column = f"{shard.column}.bytes" if shard.structured else shard.column
            for batch in file.iter_batches(_BATCH, [group], [column], use_threads=False):
                for value in batch.column(0).to_pylist():
                    rows += 1
                    yield value["bytes"] if value is not None and shard.structured else value
    except (OSError, ValueError) as error:
        raise ImageError(f"{shard.path} cannot be read ({error}); copy it again.") from error
    if rows != shard.rows[group]:
        raise ImageError(f"{shard.path} has {rows:,} rows where {shard.rows[group]:,} are announced; copy it again.")
