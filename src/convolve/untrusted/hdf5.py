"""Reading HDF5 files of arrays and texts, as h5py writes them unless told otherwise.

The format: The HDF Group, "HDF5 File Format Specification", version 3.0, of which the layouts that h5py has written by
default since 2008 are read: groups of symbol tables or of links in their headers, and arrays that are whole or in
chunks, packed by zlib or not. The HDF5 library itself is not used: of 10,000 files with changed bytes it did not come
to an end in 13, and one ended the process.

Nothing outside of the file is followed: neither links to other files nor virtual arrays nor references to objects.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, final

import numpy as np
import numpy.typing as npt

from convolve.untrusted.compression import check_ratio, unpack_zlib
from convolve.untrusted.files import check_memory, open_file

SIGNATURE: Final = b"\x89HDF\r\n\x1a\n"
"""With what a file begins."""
_MOST_OBJECTS: Final = 50_000
_MOST_MESSAGES: Final = 2**10
_MOST_AXES: Final = 32
_DATASPACE, _LINKS, _TYPE, _LINK, _EXTERNAL, _LAYOUT, _FILTERS, _ATTRIBUTE = 1, 2, 3, 6, 7, 8, 11, 12
_CONTINUATION, _SYMBOLS, _ATTRIBUTES = 16, 17, 21
"""Kinds of messages in the header of an object."""
_SHARED: Final = 2
_INTEGER, _FLOAT, _TEXT, _SEQUENCE = 0, 1, 3, 9
_DEFLATE, _SHUFFLE, _FLETCHER = 1, 2, 3
_NEWER: Final = "it has a part in a newer layout of HDF5, which is not read here; write it again with h5py's defaults"
_SHORT: Final = "it is cut short, or damaged"


class _Type(NamedTuple):
    """A type of values: `text` of a fixed size, `words` in the global heap, or numbers of ``dtype``."""

    kind: str
    size: int
    dtype: np.dtype[Any] | None = None


class _Chunks(NamedTuple):
    """Where an array's chunks are listed, the shape of each, and what unpacks them, first to last."""

    tree: int | None
    shape: tuple[int, ...]
    filters: tuple[tuple[int, int], ...]


@final
class _Cursor:
    """Reads one number after another. Raises `ValueError` at the end of the file."""

    def __init__(self, content: bytes, position: int) -> None:
        self.content, self.position = content, position

    def raw(self, length: int) -> bytes:
        end = self.position + length
        if not 0 <= self.position <= end <= len(self.content):
            raise ValueError(_SHORT)
        start, self.position = self.position, end
        return self.content[start:end]

    def whole(self, length: int) -> int:
        return int.from_bytes(self.raw(length), "little")

    def skip(self, length: int) -> None:
        self.position += length

    def expect(self, *choices: bytes) -> bytes:
        found = self.raw(len(choices[0]))
        if found not in choices:
            raise ValueError(_SHORT)
        return found


@final
class Hdf5File:
    """A file's bytes, and how wide addresses and lengths are in it.

    Every method raises `ValueError` for a damaged file, and for more memory than the file's size vouches for.
    """

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.offset = self.length = 8
        self._objects = self._numbers = 0
        cursor = self.at(0)
        cursor.expect(SIGNATURE)
        version = cursor.whole(1)
        if version > 3:
            raise ValueError(_NEWER)
        cursor.skip(4 if version < 2 else 0)
        self.offset, self.length = cursor.whole(1), cursor.whole(1)
        if self.offset not in (4, 8) or self.length not in (4, 8):
            raise ValueError(_SHORT)
        cursor.skip((9, 13, 1, 1)[version])
        if cursor.whole(self.offset):
            raise ValueError("it does not begin at its first byte")
        cursor.skip((4 if version < 2 else 2) * self.offset)
        self._root = cursor.whole(self.offset)

    def root(self) -> Hdf5Node:
        """The outermost group."""
        return self.node(self._root)

    def at(self, position: int) -> _Cursor:
        """Read from a position on."""
        return _Cursor(self.content, position)

    def address(self, cursor: _Cursor) -> int | None:
        """An address, or None for one that says that there is nothing."""
        found = cursor.whole(self.offset)
        return None if found == 2 ** (8 * self.offset) - 1 else found

    def vouch(self, count: int) -> None:
        """Count bytes that are taken from the file. Raises `ValueError` when they are too many."""
        self._numbers += count
        check_ratio(self._numbers, len(self.content))

    def node(self, address: int) -> Hdf5Node:
        """The group or array with its header at an address."""
        self._objects += 1
        if self._objects > _MOST_OBJECTS:
            raise ValueError("it has more groups and arrays than any network")
        node = Hdf5Node(self)
        for kind, cursor, size in _messages(self, address):
            _read_message(node, kind, cursor, size)
        return node


@final
@dataclass
class Hdf5Node:
    """A group, with its ``links`` to further ones and to arrays, or an array; either may have ``attributes``: texts,
    lists of texts, numbers, and None for all others.
    """

    file: Hdf5File = field(repr=False)
    links: dict[str, int] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    shape: tuple[int, ...] | None = None
    kind: _Type | None = None
    place: tuple[int | None, int] | None = None
    chunks: _Chunks | None = None
    filters: tuple[tuple[int, int], ...] = ()

    def child(self, name: str) -> Hdf5Node | None:
        """The group or array of this name, which may be a path, if it is there."""
        node = self
        for part in name.split("/"):
            if part not in node.links:
                return None
            node = node.file.node(node.links[part])
        return node

    def array(self) -> npt.NDArray[Any] | None:
        """The numbers of an array; None for groups and for arrays of texts or other things."""
        if self.shape is None or self.kind is None or self.kind.dtype is None:
            return None
        size = math.prod(self.shape) * self.kind.size
        self.file.vouch(size)
        if self.chunks is not None:
            return _read_chunks(self, self.chunks._replace(filters=self.filters), self.kind.dtype)
        if self.place is None or self.place[0] is None:
            return np.zeros(self.shape, self.kind.dtype)
        if self.place[1] != size or self.filters:
            raise ValueError(_SHORT)
        raw = self.file.at(self.place[0]).raw(size)
        return np.frombuffer(raw, self.kind.dtype).reshape(self.shape)


def open_hdf5(path: str | os.PathLike[str]) -> Hdf5File:
    """A file, read into memory. Raises `OSError` and `ValueError`."""
    with open_file(path) as file:
        check_memory(file)
        return Hdf5File(file.read())


def _messages(file: Hdf5File, address: int) -> Iterator[tuple[int, _Cursor, int]]:
    """The kind of each message in the header of an object, its content, and how long it is."""
    cursor = file.at(address)
    new = cursor.content[address : address + 4] == b"OHDR"
    flags = 0
    if new:
        cursor.skip(5)
        flags = cursor.whole(1)
        cursor.skip((16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0))
        blocks = [(cursor, cursor.whole(1 << (flags & 3)))]
    else:
        cursor.expect(b"\1\0")
        cursor.skip(6)
        size = cursor.whole(4)
        cursor.skip(4)
        blocks = [(cursor, size)]
    for count in range(_MOST_MESSAGES):
        while blocks and blocks[0][1] < (4 if new else 8):
            blocks.pop(0)
        if not blocks:
            return
        cursor, left = blocks[0]
        kind, size, flag = cursor.whole(1 if new else 2), cursor.whole(2), cursor.whole(1)
        head = (6 if flags & 4 else 4) if new else 8
        cursor.skip(head - (4 if new else 5))
        if head + size > left:
            raise ValueError(_SHORT)
        content = file.at(cursor.position)
        cursor.skip(size)
        blocks[0] = cursor, left - head - size
        if kind == _CONTINUATION:
            blocks.append(_continued(file, content, new=new))
        elif flag & _SHARED and kind in (_DATASPACE, _TYPE, _LAYOUT, _FILTERS):
            raise ValueError("it has a type of values that is named elsewhere, which is not read here")
        else:
            yield kind, content, size
        del count
    raise ValueError("one of its headers has no end")


def _continued(file: Hdf5File, cursor: _Cursor, *, new: bool) -> tuple[_Cursor, int]:
    """A further block of messages."""
    block, size = file.at(cursor.whole(file.offset)), cursor.whole(file.length)
    if new:
        block.expect(b"OCHK")
        size -= 8  # and a checksum after it
    return block, size


def _read_message(node: Hdf5Node, kind: int, cursor: _Cursor, size: int) -> None:
    read = _MESSAGES.get(kind)
    if read is not None:
        read(node, cursor)
    elif kind == _ATTRIBUTE:
        _read_attribute(node, cursor, size)
    elif kind == _EXTERNAL:
        raise ValueError("it has an array in another file, which is not followed")


def _read_dataspace(node: Hdf5Node, cursor: _Cursor) -> None:
    node.shape = _shape(node.file, cursor)


def _shape(file: Hdf5File, cursor: _Cursor) -> tuple[int, ...]:
    version, rank, _flags = cursor.whole(1), cursor.whole(1), cursor.whole(1)
    if version not in (1, 2) or rank > _MOST_AXES:
        raise ValueError(_SHORT)
    kind = cursor.whole(1)
    cursor.skip(4 if version == 1 else 0)
    if version == 2 and kind == 2:  # nothing at all
        return (0,)
    return tuple(cursor.whole(file.length) for _ in range(rank))


def _read_type(node: Hdf5Node, cursor: _Cursor) -> None:
    node.kind = _type(cursor)


def _type(cursor: _Cursor) -> _Type:
    kind, flags, size = cursor.whole(1) & 15, cursor.whole(3), cursor.whole(4)
    if kind in (_INTEGER, _FLOAT):
        order = ">" if flags & 1 else "<"
        letter = "f" if kind == _FLOAT else "i" if flags & 8 else "u"
        offset, precision = cursor.whole(2), cursor.whole(2)
        usual = size in ((2, 4, 8) if kind == _FLOAT else (1, 2, 4, 8)) and not offset and precision == 8 * size
        if kind == _FLOAT and usual:
            parts = tuple(cursor.raw(4))
            usual = parts == {2: (10, 5, 0, 10), 4: (23, 8, 0, 23), 8: (52, 11, 0, 52)}[size]
        return _Type("numbers", size, np.dtype(f"{order}{letter}{size}")) if usual else _Type("others", size)
    if kind == _TEXT:
        return _Type("text", size)
    return _Type("words" if kind == _SEQUENCE and flags & 15 == 1 else "others", size)


def _read_layout(node: Hdf5Node, cursor: _Cursor) -> None:
    version, kind = cursor.whole(1), cursor.whole(1)
    if version not in (3, 4) or kind > 2 or (version == 4 and kind == 2):
        raise ValueError(_NEWER)
    if kind == 0:
        size = cursor.whole(2)
        node.place = cursor.position, size
    elif kind == 1:
        node.place = node.file.address(cursor), cursor.whole(node.file.length)
    else:
        rank = cursor.whole(1)
        tree = node.file.address(cursor)
        if not 1 < rank <= _MOST_AXES:
            raise ValueError(_SHORT)
        node.chunks = _Chunks(tree, tuple(cursor.whole(4) for _ in range(rank - 1)), ())


def _read_filters(node: Hdf5Node, cursor: _Cursor) -> None:
    version, count = cursor.whole(1), cursor.whole(1)
    cursor.skip(6 if version == 1 else 0)
    found = []
    for _ in range(count):
        kind = cursor.whole(2)
        name = cursor.whole(2) if version == 1 or kind >= 256 else 0
        cursor.skip(2)
        values = cursor.whole(2)
        cursor.skip(name + (-name % 8 if version == 1 else 0))
        first = cursor.whole(4) if values else 0
        cursor.skip(4 * max(values - 1, 0) + (4 if version == 1 and values % 2 else 0))
        if kind not in (_DEFLATE, _SHUFFLE, _FLETCHER):
            raise ValueError(f"it has an array packed by filter {kind} of HDF5, which is not read here")
        found.append((kind, first))
    node.filters = tuple(found)


def _read_attribute(node: Hdf5Node, cursor: _Cursor, size: int) -> None:
    start = cursor.position
    version, flags = cursor.whole(1), cursor.whole(1)
    if version not in (1, 2, 3) or (version > 1 and flags & 3):
        raise ValueError(_NEWER)
    lengths = [cursor.whole(2) for _ in range(3)]
    cursor.skip(1 if version == 3 else 0)
    starts = [cursor.position]
    for length in lengths:
        starts.append(starts[-1] + length + (-length % 8 if version == 1 else 0))
    name = cursor.raw(lengths[0]).split(b"\0")[0].decode("utf-8", "replace")
    kind, shape = _type(node.file.at(starts[1])), _shape(node.file, node.file.at(starts[2]))
    count = math.prod(shape)
    if starts[3] + count * kind.size > start + size:
        raise ValueError(_SHORT)
    node.attributes[name] = _values(node.file, node.file.at(starts[3]), kind, shape)


def _values(file: Hdf5File, cursor: _Cursor, kind: _Type, shape: tuple[int, ...]) -> Any:
    """What an attribute says."""
    count = math.prod(shape)
    if kind.dtype is not None:
        return np.frombuffer(cursor.raw(count * kind.size), kind.dtype).reshape(shape)
    if kind.kind not in ("text", "words"):
        return None
    file.vouch(64 * count)
    read: Callable[[], bytes] = lambda: cursor.raw(kind.size)  # noqa: E731
    if kind.kind == "words":
        heaps = _Heaps(file)
        read = lambda: heaps.read(cursor)  # noqa: E731
    texts = [read().rstrip(b"\0").decode("utf-8", "replace") for _ in range(count)]
    return texts if shape else texts[0]


@final
class _Heaps:
    """Texts in the global heap, each named by its heap's address and an index."""

    def __init__(self, file: Hdf5File) -> None:
        self._file = file
        self._heaps: dict[int, dict[int, tuple[int, int]]] = {}

    def read(self, cursor: _Cursor) -> bytes:
        length, address, index = cursor.whole(4), self._file.address(cursor), cursor.whole(4)
        if address is None or not length:
            return b""
        if address not in self._heaps:
            self._heaps[address] = self._entries(address)
        position, size = self._heaps[address].get(index, (0, -1))
        if length > size:
            raise ValueError(_SHORT)
        self._file.vouch(length)
        return self._file.at(position).raw(length)

    def _entries(self, address: int) -> dict[int, tuple[int, int]]:
        cursor = self._file.at(address)
        cursor.expect(b"GCOL\1\0\0\0")
        end = min(address + cursor.whole(self._file.length), len(self._file.content))
        found: dict[int, tuple[int, int]] = {}
        while cursor.position + 8 + self._file.length <= end:
            index = cursor.whole(2)
            cursor.skip(6)
            size = cursor.whole(self._file.length)
            if not index:
                break
            found[index] = cursor.position, size
            cursor.skip(size + -size % 8)
            self._file.vouch(64)
        return found


def _read_link(node: Hdf5Node, cursor: _Cursor) -> None:
    cursor.skip(1)
    flags = cursor.whole(1)
    kind = cursor.whole(1) if flags & 8 else 0
    cursor.skip((8 if flags & 4 else 0) + (1 if flags & 16 else 0))
    name = cursor.raw(cursor.whole(1 << (flags & 3))).decode("utf-8", "replace")
    if kind == 0:  # others name a path, here or in another file
        node.links[name] = cursor.whole(node.file.offset)


def _refuse_dense(node: Hdf5Node, cursor: _Cursor) -> None:
    """Links and attributes that are not in the header: there is a heap where its address is one."""
    cursor.skip(1)
    flags = cursor.whole(1)
    cursor.skip(8 if flags & 1 else 0)
    if node.file.address(cursor) is not None:
        raise ValueError(_NEWER)


def _refuse_dense_attributes(node: Hdf5Node, cursor: _Cursor) -> None:
    cursor.skip(1)
    flags = cursor.whole(1)
    cursor.skip(2 if flags & 1 else 0)
    if node.file.address(cursor) is not None:
        raise ValueError(_NEWER)


def _read_symbols(node: Hdf5Node, cursor: _Cursor) -> None:
    """The links of a group: entries in the leaves of a tree, with names in a heap."""
    file = node.file
    tree, heap = file.address(cursor), file.at(cursor.whole(file.offset))
    heap.expect(b"HEAP")
    heap.skip(4)
    size = heap.whole(file.length)
    heap.skip(file.length)
    start = heap.whole(file.offset)
    names = file.at(start).raw(size)
    for leaf in [] if tree is None else _leaves(file, tree, 0, lambda cursor: cursor.skip(file.length)):
        entries = file.at(leaf)
        entries.expect(b"SNOD\1\0")
        for _ in range(entries.whole(2)):
            place, address = entries.whole(file.offset), file.address(entries)
            linked = entries.whole(4) != 2
            entries.skip(20)
            if linked and address is not None:
                name = names[place : names.find(b"\0", place)] if 0 <= place < len(names) else b""
                node.links[name.decode("utf-8", "replace")] = address
        file.vouch(64)


def _leaves(file: Hdf5File, tree: int, kind: int, read_key: Callable[[_Cursor], object]) -> Iterator[int]:
    """The addresses that the lowest nodes of a tree list; ``read_key`` is called before each."""
    stack: list[tuple[int, int | None]] = [(tree, None)]
    while stack:
        address, expected = stack.pop()
        cursor = file.at(address)
        cursor.expect(b"TREE")
        found, level, used = cursor.whole(1), cursor.whole(1), cursor.whole(2)
        if found != kind or (expected is not None and level != expected):
            raise ValueError(_SHORT)
        file.vouch(64)
        cursor.skip(2 * file.offset)
        below = []
        for _ in range(used):
            read_key(cursor)
            child = cursor.whole(file.offset)
            if level:
                below.append((child, level - 1))
            else:
                yield child
        stack += reversed(below)


def _read_chunks(node: Hdf5Node, chunks: _Chunks, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    shape = node.shape or ()
    if len(chunks.shape) != len(shape) or 0 in chunks.shape:
        raise ValueError(_SHORT)
    size = math.prod(chunks.shape) * dtype.itemsize
    node.file.vouch(size)
    found = np.zeros(shape, dtype)
    key: list[int] = []

    def read_key(cursor: _Cursor) -> None:
        key[:] = [cursor.whole(4), cursor.whole(4), *(cursor.whole(8) for _ in range(len(shape) + 1))]

    for address in [] if chunks.tree is None else _leaves(node.file, chunks.tree, 1, read_key):
        length, mask, *offsets = key
        raw = _unpack(node.file.at(address).raw(length), chunks.filters, mask, size)
        starts = offsets[:-1]
        if len(raw) != size or any(start >= end for start, end in zip(starts, shape, strict=True)):
            raise ValueError(_SHORT)
        node.file.vouch(size)
        part = np.frombuffer(raw, dtype).reshape(chunks.shape)
        ends = [min(start + step, end) for start, step, end in zip(starts, chunks.shape, shape, strict=True)]
        target = tuple(slice(start, end) for start, end in zip(starts, ends, strict=True))
        found[target] = part[tuple(slice(0, end - start) for start, end in zip(starts, ends, strict=True))]
    return found


def _unpack(raw: bytes, filters: tuple[tuple[int, int], ...], mask: int, size: int) -> bytes:
    """A chunk's bytes; the filters are undone from the last to the first."""
    for index, (kind, value) in reversed([*enumerate(filters)]):
        if mask >> index & 1:
            continue
        if kind == _DEFLATE:
            raw = unpack_zlib(raw, size + 4 * len(filters))
        elif kind == _FLETCHER:
            raw = raw[:-4]
        elif value > 1 and len(raw) % value == 0:
            raw = np.frombuffer(raw, np.uint8).reshape(value, -1).T.tobytes()
    return raw


_MESSAGES: Final[Mapping[int, Callable[[Hdf5Node, _Cursor], None]]] = {
    _DATASPACE: _read_dataspace,
    _LINKS: _refuse_dense,
    _TYPE: _read_type,
    _LINK: _read_link,
    _LAYOUT: _read_layout,
    _FILTERS: _read_filters,
    _SYMBOLS: _read_symbols,
    _ATTRIBUTES: _refuse_dense_attributes,
}
"""What reads a message into a group or an array."""
