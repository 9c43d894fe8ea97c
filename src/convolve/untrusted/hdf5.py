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

from convolve.untrusted.files import check_memory, open_file
from convolve.untrusted.hdf5_parts import (
    DEFLATE,
    FLETCHER,
    SHORT,
    SHUFFLE,
    Chunks,
    Cursor,
    Filters,
    Hdf5Bytes,
    Heaps,
    list_leaves,
    read_chunks,
)

SIGNATURE: Final = b"\x89HDF\r\n\x1a\n"
"""With what a file begins."""
_MOST_NODES: Final = 50_000
_MOST_MESSAGES: Final = 2**10
_MOST_AXES: Final = 32
_DATASPACE, _LINKS, _TYPE, _LINK, _EXTERNAL, _LAYOUT, _FILTERS, _ATTRIBUTE = 1, 2, 3, 6, 7, 8, 11, 12
_CONTINUATION, _SYMBOLS, _ATTRIBUTES = 16, 17, 21
"""Kinds of messages in the header of an object."""
_SHARED: Final = 2
_INTEGER, _FLOAT, _TEXT, _SEQUENCE = 0, 1, 3, 9
_NEWER: Final = "it has a part in a newer layout of HDF5, which is not read here; write it again with h5py's defaults"


class _Type(NamedTuple):
    """A type of values: `text` of a fixed size, `words` in the global heap, or numbers of ``dtype``."""

    kind: str
    size: int
    dtype: np.dtype[Any] | None = None


@final
class Hdf5File:
    """A file. Every method raises `ValueError` for a damaged one, and for more memory than its size vouches for."""

    def __init__(self, content: bytes) -> None:
        self.source = Hdf5Bytes(content)
        self._nodes: dict[int, Hdf5Node] = {}
        cursor = self.source.at(0)
        cursor.expect(SIGNATURE)
        version = cursor.whole(1)
        if version > 3:
            raise ValueError(_NEWER)
        cursor.skip(4 if version < 2 else 0)
        self.source.offset, self.source.length = cursor.whole(1), cursor.whole(1)
        if self.source.offset not in (4, 8) or self.source.length not in (4, 8):
            raise ValueError(SHORT)
        cursor.skip((9, 13, 1, 1)[version])
        if cursor.whole(self.source.offset):
            raise ValueError("it does not begin at its first byte")
        cursor.skip((4 if version < 2 else 2) * self.source.offset)
        self._root = cursor.whole(self.source.offset)

    def root(self) -> Hdf5Node:
        """The outermost group."""
        return self.node(self._root)

    def node(self, address: int) -> Hdf5Node:
        """The group or array with its header at an address."""
        if address in self._nodes:
            return self._nodes[address]
        if len(self._nodes) >= _MOST_NODES:
            raise ValueError("it has more groups and arrays than any network")
        node = self._nodes[address] = Hdf5Node(self)
        for kind, cursor, size in _messages(self.source, address):
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
    stored: tuple[int | None, int] | None = None
    chunks: Chunks | None = None
    filters: Filters = ()

    @property
    def source(self) -> Hdf5Bytes:
        """The file's bytes."""
        return self.file.source

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
        self.source.vouch(size)
        if self.chunks is not None:
            chunks = self.chunks._replace(filters=self.filters)
            return read_chunks(self.source, chunks, self.shape, self.kind.dtype)
        if self.stored is None or self.stored[0] is None:
            return np.zeros(self.shape, self.kind.dtype)
        if self.stored[1] != size or self.filters:
            raise ValueError(SHORT)
        raw = self.source.at(self.stored[0]).raw(size)
        return np.frombuffer(raw, self.kind.dtype).reshape(self.shape)


def open_hdf5(path: str | os.PathLike[str]) -> Hdf5File:
    """A file, read into memory. Raises `OSError` and `ValueError`."""
    with open_file(path) as file:
        check_memory(file)
        return Hdf5File(file.read())


def _messages(source: Hdf5Bytes, address: int) -> Iterator[tuple[int, Cursor, int]]:
    """The kind of each message in the header of an object, its content, and how long it is."""
    cursor = source.at(address)
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
    for _ in range(_MOST_MESSAGES):
        while blocks and blocks[0][1] < (4 if new else 8):
            blocks.pop(0)
        if not blocks:
            return
        cursor, left = blocks[0]
        kind, size, flag = cursor.whole(1 if new else 2), cursor.whole(2), cursor.whole(1)
        head = (6 if flags & 4 else 4) if new else 8
        cursor.skip(head - (4 if new else 5))
        if head + size > left:
            raise ValueError(SHORT)
        content = source.at(cursor.position)
        cursor.skip(size)
        blocks[0] = cursor, left - head - size
        if kind == _CONTINUATION:
            blocks.append(_continued(source, content, new=new))
        elif flag & _SHARED and kind in (_DATASPACE, _TYPE, _LAYOUT, _FILTERS):
            raise ValueError("it has a type of values that is named elsewhere, which is not read here")
        else:
            yield kind, content, size
    raise ValueError("one of its headers has no end")


def _continued(source: Hdf5Bytes, cursor: Cursor, *, new: bool) -> tuple[Cursor, int]:
    """A further block of messages."""
    block, size = source.at(cursor.whole(source.offset)), cursor.whole(source.length)
    if new:
        block.expect(b"OCHK")
        size -= 8  # and a checksum after it
    return block, size


def _read_message(node: Hdf5Node, kind: int, cursor: Cursor, size: int) -> None:
    read = _MESSAGES.get(kind)
    if read is not None:
        read(node, cursor)
    elif kind == _ATTRIBUTE:
        _read_attribute(node, cursor, size)
    elif kind == _EXTERNAL:
        raise ValueError("it has an array in another file, which is not followed")


def _read_dataspace(node: Hdf5Node, cursor: Cursor) -> None:
    node.shape = _shape(node.source, cursor)


def _shape(source: Hdf5Bytes, cursor: Cursor) -> tuple[int, ...]:
    version, rank, _flags = cursor.whole(1), cursor.whole(1), cursor.whole(1)
    if version not in (1, 2) or rank > _MOST_AXES:
        raise ValueError(SHORT)
    kind = cursor.whole(1)
    cursor.skip(4 if version == 1 else 0)
    if version == 2 and kind == 2:  # nothing at all
        return (0,)
    return tuple(cursor.whole(source.length) for _ in range(rank))


def _read_type(node: Hdf5Node, cursor: Cursor) -> None:
    node.kind = _type(cursor)


def _type(cursor: Cursor) -> _Type:
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


def _read_layout(node: Hdf5Node, cursor: Cursor) -> None:
    version, kind = cursor.whole(1), cursor.whole(1)
    if version not in (3, 4) or kind > 2 or (version == 4 and kind == 2):
        raise ValueError(_NEWER)
    if kind == 0:
        size = cursor.whole(2)
        node.stored = cursor.position, size
    elif kind == 1:
        node.stored = node.source.address(cursor), cursor.whole(node.source.length)
    else:
        rank = cursor.whole(1)
        tree = node.source.address(cursor)
        if not 1 < rank <= _MOST_AXES:
            raise ValueError(SHORT)
        node.chunks = Chunks(tree, tuple(cursor.whole(4) for _ in range(rank - 1)), ())


def _read_filters(node: Hdf5Node, cursor: Cursor) -> None:
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
        if kind not in (DEFLATE, SHUFFLE, FLETCHER):
            raise ValueError(f"it has an array packed by filter {kind} of HDF5, which is not read here")
        found.append((kind, first))
    node.filters = tuple(found)


def _read_attribute(node: Hdf5Node, cursor: Cursor, size: int) -> None:
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
    kind, shape = _type(node.source.at(starts[1])), _shape(node.source, node.source.at(starts[2]))
    count = math.prod(shape)
    if starts[3] + count * kind.size > start + size:
        raise ValueError(SHORT)
    node.attributes[name] = _values(node.source, node.source.at(starts[3]), kind, shape)


def _values(source: Hdf5Bytes, cursor: Cursor, kind: _Type, shape: tuple[int, ...]) -> Any:
    """What an attribute says."""
    count = math.prod(shape)
    if kind.dtype is not None:
        return np.frombuffer(cursor.raw(count * kind.size), kind.dtype).reshape(shape)
    if kind.kind not in ("text", "words"):
        return None
    source.vouch(64 * count)
    read: Callable[[], bytes] = lambda: cursor.raw(kind.size)  # noqa: E731
    if kind.kind == "words":
        heaps = Heaps(source)
        read = lambda: heaps.read(cursor)  # noqa: E731
    texts = [read().rstrip(b"\0").decode("utf-8", "replace") for _ in range(count)]
    return texts if shape else texts[0]


def _read_link(node: Hdf5Node, cursor: Cursor) -> None:
    cursor.skip(1)
    flags = cursor.whole(1)
    kind = cursor.whole(1) if flags & 8 else 0
    cursor.skip((8 if flags & 4 else 0) + (1 if flags & 16 else 0))
    name = cursor.raw(cursor.whole(1 << (flags & 3))).decode("utf-8", "replace")
    if kind == 0:  # others name a path, here or in another file
        node.links[name] = cursor.whole(node.source.offset)


def _refuse_dense(node: Hdf5Node, cursor: Cursor) -> None:
    """Links and attributes that are not in the header: there is a heap where its address is one."""
    cursor.skip(1)
    flags = cursor.whole(1)
    cursor.skip(8 if flags & 1 else 0)
    if node.source.address(cursor) is not None:
        raise ValueError(_NEWER)


def _refuse_dense_attributes(node: Hdf5Node, cursor: Cursor) -> None:
    cursor.skip(1)
    flags = cursor.whole(1)
    cursor.skip(2 if flags & 1 else 0)
    if node.source.address(cursor) is not None:
        raise ValueError(_NEWER)


def _read_symbols(node: Hdf5Node, cursor: Cursor) -> None:
    """The links of a group: entries in the leaves of a tree, with names in a heap."""
    source = node.source
    tree, heap = source.address(cursor), source.at(cursor.whole(source.offset))
    heap.expect(b"HEAP")
    heap.skip(4)
    size = heap.whole(source.length)
    heap.skip(source.length)
    start = heap.whole(source.offset)
    names = source.at(start).raw(size)
    source.vouch(size)
    for leaf in [] if tree is None else list_leaves(source, tree, 0, lambda cursor: cursor.skip(source.length)):
        entries = source.at(leaf)
        entries.expect(b"SNOD\1\0")
        for _ in range(entries.whole(2)):
            start, address = entries.whole(source.offset), source.address(entries)
            linked = entries.whole(4) != 2
            entries.skip(20)
            if linked and address is not None:
                name = names[start : names.find(b"\0", start)] if start < len(names) else b""
                node.links[name.decode("utf-8", "replace")] = address
        source.vouch(64)


_MESSAGES: Final[Mapping[int, Callable[[Hdf5Node, Cursor], None]]] = {
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
