"""What HDF5 files are made of: numbers at positions, trees of addresses, heaps of texts, and chunks of arrays."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple, final

import numpy as np
import numpy.typing as npt

from convolve.untrusted.compression import check_ratio, unpack_zlib

SHORT: Final = "it is cut short, or damaged"
DEFLATE, SHUFFLE, FLETCHER = 1, 2, 3
"""Filters of chunks: zlib, bytes of the same weight next to each other, and a checksum at the end."""
Filters = tuple[tuple[int, int], ...]
"""Filters, each with its first number."""


class Chunks(NamedTuple):
    """Where an array's chunks are listed, the shape of each, and what unpacks them, first to last."""

    tree: int | None
    shape: tuple[int, ...]
    filters: Filters


@final
class Cursor:
    """Reads one number after another. Raises `ValueError` at the end of the file."""

    def __init__(self, content: bytes, position: int) -> None:
        self.content, self.position = content, position

    def raw(self, length: int) -> bytes:
        """Bytes as they are."""
        end = self.position + length
        if not 0 <= self.position <= end <= len(self.content):
            raise ValueError(SHORT)
        start, self.position = self.position, end
        return self.content[start:end]

    def whole(self, length: int) -> int:
        """A number of so many bytes, without a sign."""
        return int.from_bytes(self.raw(length), "little")

    def skip(self, length: int) -> None:
        """Pass over bytes."""
        self.position += length

    def expect(self, *choices: bytes) -> bytes:
        """Bytes that are one of the ``choices``, which have the same length."""
        found = self.raw(len(choices[0]))
        if found not in choices:
            raise ValueError(SHORT)
        return found


@final
class Hdf5Bytes:
    """A file's bytes, and how wide addresses and lengths are in it.

    Methods raise `ValueError` for a damaged file, and for more memory than the file's size vouches for.
    """

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.offset = self.length = 8
        self._taken = 0

    def at(self, position: int) -> Cursor:
        """Read from a position on."""
        return Cursor(self.content, position)

    def address(self, cursor: Cursor) -> int | None:
        """An address, or None for one that says that there is nothing."""
        found = cursor.whole(self.offset)
        return None if found == 2 ** (8 * self.offset) - 1 else found

    def vouch(self, count: int) -> None:
        """Count bytes that are taken from the file. Raises `ValueError` when they are too many."""
        self._taken += count
        check_ratio(self._taken, len(self.content))


@final
class Heaps:
    """Texts in the global heap, each named by its heap's address and an index."""

    def __init__(self, source: Hdf5Bytes) -> None:
        self._source = source
        self._heaps: dict[int, dict[int, tuple[int, int]]] = {}

    def read(self, cursor: Cursor) -> bytes:
        """The text that the next bytes name."""
        length, address, index = cursor.whole(4), self._source.address(cursor), cursor.whole(4)
        if address is None or not length:
            return b""
        if address not in self._heaps:
            self._heaps[address] = self._entries(address)
        position, size = self._heaps[address].get(index, (0, -1))
        if length > size:
            raise ValueError(SHORT)
        self._source.vouch(length)
        return self._source.at(position).raw(length)

    def _entries(self, address: int) -> dict[int, tuple[int, int]]:
        cursor = self._source.at(address)
        cursor.expect(b"GCOL\1\0\0\0")
        end = min(address + cursor.whole(self._source.length), len(self._source.content))
        found: dict[int, tuple[int, int]] = {}
        while cursor.position + 8 + self._source.length <= end:
            index = cursor.whole(2)
            cursor.skip(6)
            size = cursor.whole(self._source.length)
            if not index:
                break
            found[index] = cursor.position, size
            cursor.skip(size + -size % 8)
            self._source.vouch(64)
        return found


def list_leaves(source: Hdf5Bytes, tree: int, kind: int, read_key: Callable[[Cursor], object]) -> Iterator[int]:
    """The addresses that the lowest nodes of a tree list; ``read_key`` is called before each."""
    stack: list[tuple[int, int | None]] = [(tree, None)]
    while stack:
        address, expected = stack.pop()
        cursor = source.at(address)
        cursor.expect(b"TREE")
        found, level, used = cursor.whole(1), cursor.whole(1), cursor.whole(2)
        if found != kind or (expected is not None and level != expected):
            raise ValueError(SHORT)
        source.vouch(64)
        cursor.skip(2 * source.offset)
        below = []
        for _ in range(used):
            read_key(cursor)
            child = cursor.whole(source.offset)
            if level:
                below.append((child, level - 1))
            else:
                yield child
        stack += reversed(below)


def read_chunks(source: Hdf5Bytes, chunks: Chunks, shape: tuple[int, ...], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """An array of a shape that is stored in chunks."""
    if len(chunks.shape) != len(shape) or 0 in chunks.shape:
        raise ValueError(SHORT)
    size = math.prod(chunks.shape) * dtype.itemsize
    source.vouch(size)
    found = np.zeros(shape, dtype)
    key: list[int] = []

    def read_key(cursor: Cursor) -> None:
        key[:] = [cursor.whole(4), cursor.whole(4), *(cursor.whole(8) for _ in range(len(shape) + 1))]

    for address in [] if chunks.tree is None else list_leaves(source, chunks.tree, 1, read_key):
        length, mask, *offsets = key
        raw = _unpack(source.at(address).raw(length), chunks.filters, mask, size)
        starts = offsets[:-1]
        if len(raw) != size or any(start >= end for start, end in zip(starts, shape, strict=True)):
            raise ValueError(SHORT)
        source.vouch(size)
        part = np.frombuffer(raw, dtype).reshape(chunks.shape)
        ends = [min(start + step, end) for start, step, end in zip(starts, chunks.shape, shape, strict=True)]
        target = tuple(slice(start, end) for start, end in zip(starts, ends, strict=True))
        found[target] = part[tuple(slice(0, end - start) for start, end in zip(starts, ends, strict=True))]
    return found


def _unpack(raw: bytes, filters: Filters, mask: int, size: int) -> bytes:
    """A chunk's bytes; the filters are undone from the last to the first."""
    for index, (kind, value) in reversed([*enumerate(filters)]):
        if mask >> index & 1:
            continue
        if kind == DEFLATE:
            raw = unpack_zlib(raw, size + 4 * len(filters))
        elif kind == FLETCHER:
            raw = raw[:-4]
        elif value > 1 and len(raw) % value == 0:
            raw = np.frombuffer(raw, np.uint8).reshape(value, -1).T.tobytes()
    return raw
