"""Reading numbers out of MATLAB's files of level 5, which `save` writes unless told otherwise (`-v6` and `-v7`).

The format: MathWorks, "MAT-File Format". A file is a header and elements one after another, each with a tag that says
what it holds and how many bytes; an array is an element of elements: its flags, its sizes, its name, its numbers.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convolve.untrusted.compression import check_ratio

_HEADER: Final = 128
_INT32, _UINT32, _MATRIX, _COMPRESSED = 5, 6, 14, 15
_STORED: Final[Mapping[int, str]] = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", _INT32: "i4", _UINT32: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8",
}  # fmt: skip
"""Types of an element's numbers, as NumPy calls them."""
_CLASSES: Final[Mapping[int, str]] = {
    6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8",
}  # fmt: skip
"""Classes of arrays: the types that their numbers have in MATLAB, which may store them in smaller ones."""
_OTHERS: Final[Mapping[int, str]] = {1: "cells", 2: "structures", 3: "objects", 4: "text", 5: "a sparse matrix"}
_LOGICAL, _COMPLEX = 0x0200, 0x0800
_START: Final = 4096
"""Bytes at the beginning of an array in which its flags, sizes and name are."""
_MOST_AXES: Final = 32


@dataclass(frozen=True)
class _Element:
    """What a tag says: the kind of an element, where it is, and where the next one begins."""

    kind: int
    start: int
    end: int
    next: int


@dataclass(frozen=True)
class _Matrix:
    """An array's name, flags and sizes, and where its numbers are in ``size`` bytes with all of it."""

    name: str
    flags: int
    shape: tuple[int, ...]
    numbers: _Element
    size: int


def read_mat(content: bytes, names: Sequence[str]) -> dict[str, npt.NDArray[Any]]:
    """The arrays of these ``names``, with the types and the shapes that they have in MATLAB.

    Raises `ValueError` for a damaged file and one of another level, and where one of the arrays is not there, is there
    twice, or does not consist of real numbers.
    """
    order = _byte_order(content)
    found: dict[str, npt.NDArray[Any]] = {}
    for element in _elements(content, order):
        blob = content[element.start : element.end]
        start = _unpack(blob, _START) if element.kind == _COMPRESSED else blob[:_START]
        name = _read_name(start, order)
        if name in found:
            raise ValueError(f"it holds {name} twice")
        if name in names:
            matrix = _read_matrix(name, start, order)
            _check_size(matrix, len(blob))
            whole = _unpack(blob, matrix.size + 1) if element.kind == _COMPRESSED else blob
            if len(whole) != matrix.size:
                raise ValueError(f"its {name} is cut short or too long")
            found[name] = _read_numbers(whole, matrix, order)
    lacking = [name for name in names if name not in found]
    if lacking:
        raise ValueError(f"it holds no {' and no '.join(lacking)}")
    return found


def _byte_order(content: bytes) -> str:
    """How numbers are written in a file of level 5: `<` or `>`, the lowest or the highest byte first."""
    if content[1:4] == b"HDF" or content[:_HEADER].startswith(b"MATLAB 7.3"):
        raise ValueError("MATLAB saved it as HDF5 (-v7.3), which is not read here; save it with -v7")
    order = {b"IM": "<", b"MI": ">"}.get(content[126:_HEADER])
    if order is None or 0 in content[:4]:
        old = len(content) >= 20 and struct.unpack_from("<I", content)[0] in range(5000)
        raise ValueError("it is no file of MATLAB's level 5" + "; save it with -v7" * old)
    version = struct.unpack_from(f"{order}H", content, 124)[0]
    if version != 0x0100:
        raise ValueError(f"it is of MATLAB's version {version:#06x}, which is not read here; save it with -v7")
    return order


def _elements(content: bytes, order: str) -> Iterator[_Element]:
    """The arrays of a file, with their tags where they are not compressed."""
    position = _HEADER
    while position < len(content):
        element = _read_tag(content, position, order)
        if element.end > len(content):
            raise ValueError("it is cut short")
        if element.kind == _COMPRESSED:
            yield element
            position = element.end  # which alone is not followed by zeros up to the next eighth byte
        else:
            if element.kind == _MATRIX:
                yield _Element(_MATRIX, position, element.end, element.next)
            position = element.next


def _read_tag(content: bytes, position: int, order: str) -> _Element:
    """The element at a position; those of up to four bytes may be in the tag itself."""
    if len(content) < position + 8:
        raise ValueError("it is cut short")
    kind, size = struct.unpack_from(f"{order}II", content, position)
    if kind >> 16:
        if kind >> 16 > 4:
            raise ValueError("one of its tags is damaged")
        start = position + 4
        return _Element(kind & 0xFFFF, start, start + (kind >> 16), position + 8)
    start = position + 8
    return _Element(kind, start, start + size, start + size + -size % 8)


def _unpack(blob: bytes, most: int) -> bytes:
    """The first bytes of what is compressed; where these are all, its checksum was right."""
    unpacker = zlib.decompressobj()
    try:
        content = unpacker.decompress(blob, most)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if len(content) < most and not unpacker.eof:
        raise ValueError("it is cut short")
    return content


def _read_name(start: bytes, order: str) -> str:
    """An array's name; classes that other programs define have no sizes before it."""
    matrix = _read_tag(start, 0, order)
    if matrix.kind != _MATRIX:
        raise ValueError("it has something else than arrays")
    element = _read_tag(start, _read_tag(start, matrix.start, order).next, order)
    if element.kind == _INT32:
        element = _read_tag(start, element.next, order)
    return start[element.start : element.end].decode("latin1")


def _read_matrix(name: str, start: bytes, order: str) -> _Matrix:
    """What the beginning of an array says of it."""
    matrix = _read_tag(start, 0, order)
    flags = _read_tag(start, matrix.start, order)
    sizes = _read_tag(start, flags.next, order)
    numbers = _read_tag(start, _read_tag(start, sizes.next, order).next, order)
    if flags.kind != _UINT32 or flags.end - flags.start != 8:
        raise ValueError(f"the flags of its {name} are damaged")
    if sizes.kind != _INT32 or not 2 <= (axes := (sizes.end - sizes.start) // 4) <= _MOST_AXES:
        raise ValueError(f"the sizes of its {name} are damaged")
    shape = struct.unpack_from(f"{order}{axes}i", start, sizes.start)
    found = _Matrix(name, struct.unpack_from(f"{order}I", start, flags.start)[0], shape, numbers, matrix.end)
    kind = found.flags & 0xFF
    if kind not in _CLASSES or found.flags & _COMPLEX:
        held = "complex numbers" if kind in _CLASSES else _OTHERS.get(kind, "something else")
        raise ValueError(f"its {name} holds {held} rather than real numbers")
    return found


def _check_size(matrix: _Matrix, length: int) -> None:
    """Raise `ValueError` where an array's sizes and its bytes differ, or take more memory than its file vouches for."""
    stored, count = _STORED.get(matrix.numbers.kind), math.prod(matrix.shape)
    size = matrix.numbers.end - matrix.numbers.start
    if stored is None or min(matrix.shape) < 0 or count * np.dtype(stored).itemsize != size:
        raise ValueError(f"its {matrix.name} of {size:,} bytes does not have the sizes {list(matrix.shape)}")
    if not matrix.numbers.end <= matrix.size <= matrix.numbers.next:
        raise ValueError(f"its {matrix.name} is cut short or too long")
    check_ratio(max(matrix.size, count * np.dtype(_CLASSES[matrix.flags & 0xFF]).itemsize), length)


def _read_numbers(content: bytes, matrix: _Matrix, order: str) -> npt.NDArray[Any]:
    """An array in MATLAB's type. Raises `ValueError` for numbers that do not fit it."""
    stored, kind = _STORED[matrix.numbers.kind], _CLASSES[matrix.flags & 0xFF]
    count = math.prod(matrix.shape)
    values: npt.NDArray[Any] = np.empty(0)
    if count:
        values = np.frombuffer(content, np.dtype(f"{order}{stored}"), count, matrix.numbers.start)
    if matrix.flags & _LOGICAL:
        read: npt.NDArray[Any] = values != 0
    elif stored[0] == "f" and kind[0] != "f":
        raise ValueError(f"its {matrix.name} has fractions among whole numbers")
    else:
        with np.errstate(over="ignore"):
            read = values.astype(kind, copy=False)
        if stored != kind and not np.array_equal(read, values, equal_nan=stored[0] == "f"):
            raise ValueError(f"its {matrix.name} has numbers that are too large for their type")
    array: npt.NDArray[Any] = read.reshape(matrix.shape, order="F")
    return array
