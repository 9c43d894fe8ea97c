"""Reading what Torch7's `torch.save` has written: Lua's tables, and objects of Torch's classes, binary or as text.

A value is the number of its type and what the type says. Tables, objects and functions have an index besides, by which
they are named where they occur again: so they may hold themselves. Functions are passed over.
"""

from __future__ import annotations

import math
import os
import re
import struct
from collections.abc import Generator
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any, Final, Protocol, final

import numpy as np
import numpy.typing as npt

from convolve.untrusted.files import check_memory, open_file

_NIL, _NUMBER, _STRING, _TABLE, _OBJECT, _BOOLEAN, _FUNCTION = range(7)
_FUNCTIONS: Final = (_FUNCTION, 7, 8)
"""A function as it was written first, with no index, and later."""
_MOST_VALUES: Final = 2**20
_DEEPEST: Final = 2**16
_MOST_AXES: Final = 32
_MOST_REPEATED: Final = 2**20
_CHUNK: Final = 2**16
_ARRAYS: Final = re.compile(r"torch\.(?:Cuda|Cl)?(Double|Float|Half|Long|Int|Short|Char|Byte|)(Tensor|Storage)")
_VERSION: Final = re.compile(r"V \d+")
_TYPES: Final = {
    "Double": "<f8", "Float": "<f4", "": "<f4", "Half": "<f2", "Int": "<i4", "Short": "<i2", "Char": "i1", "Byte": "u1",
}  # fmt: skip
"""Types of numbers but for Lua's long, whose size depends on the machine; those on a graphics card have no name."""
_WHOLE: Final = re.compile(rb"\s*([-+]?\d{1,19})\n?")
_REAL: Final = re.compile(rb"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[-+]?(?:nan|inf))\n?", re.IGNORECASE)
_SHORT: Final = "it is cut short, or announces more than it has"


@final
@dataclass(frozen=True, eq=False)
class LuaTable:
    """A table of Lua; each value has a key, which may be anything."""

    fields: dict[Any, Any]

    def items(self) -> list[Any]:
        """The values of the keys 1, 2, 3 and so on, up to the first that is not there."""
        found: list[Any] = []
        while (value := self.fields.get(len(found) + 1)) is not None:
            found.append(value)
        return found


@final
@dataclass(frozen=True, eq=False)
class LuaObject:
    """An object of a class of Torch, such as `nn.Linear`, and its fields."""

    kind: str
    fields: dict[Any, Any]


@final
@dataclass(frozen=True, eq=False)
class LuaArray:
    """Numbers of a tensor or a storage; parts of them may be the same in memory."""

    numbers: npt.NDArray[Any]


@final
@dataclass(frozen=True)
class LuaFunction:
    """Stands for a function, of which nothing is kept."""


_Steps = Generator[None, Any, Any]
"""Reads one value; it yields where it needs a further one, and returns what it has read."""


def read_t7(path: str | os.PathLike[str]) -> Any:
    """The first value of a file: None, a number, a text, a truth value, or one of the classes above.

    Raises `OSError`, and `ValueError` for a damaged file.
    """
    with open_file(path) as file:
        check_memory(file)
        content = file.read()
    if content[:1].isdigit():
        return _read_value(_Text(content))
    try:
        return _read_value(_Binary(content, 8))
    except ValueError as error:
        source = _Binary(content, 4)  # as machines of 32 bits write
        try:
            value = _read_value(source)
        except ValueError:
            raise error from None
        if not source.at_end():
            raise
        return value


class _Source(Protocol):
    """The bytes of a file, from a position on. Every method raises `ValueError` at the end."""

    long_type: str

    def whole(self) -> int:
        """Lua's int."""
        ...

    def long(self) -> int:
        """Lua's long."""
        ...

    def real(self) -> float:
        """A number."""
        ...

    def raw(self, length: int) -> bytes:
        """Bytes as they are."""
        ...

    def numbers(self, dtype: np.dtype[Any], count: int) -> npt.NDArray[Any]:
        """Numbers of one type."""
        ...


@final
class _Binary:
    def __init__(self, content: bytes, long_size: int) -> None:
        self.long_type = f"<i{long_size}"
        self._content, self._position = content, 0
        self._long = struct.Struct("<q" if long_size == 8 else "<i")

    def whole(self) -> int:
        return int.from_bytes(self.raw(4), "little", signed=True)

    def long(self) -> int:
        return int(self._long.unpack(self.raw(self._long.size))[0])

    def real(self) -> float:
        return float(struct.unpack("<d", self.raw(8))[0])

    def raw(self, length: int) -> bytes:
        if not 0 <= length <= len(self._content) - self._position:
            raise ValueError(_SHORT)
        self._position += length
        return self._content[self._position - length : self._position]

    def numbers(self, dtype: np.dtype[Any], count: int) -> npt.NDArray[Any]:
        start, length = self._position, count * dtype.itemsize
        if not 0 <= length <= len(self._content) - start:
            raise ValueError(_SHORT)
        self._position += length
        return np.frombuffer(self._content, dtype, count, start)

    def at_end(self) -> bool:
        """Whether all has been read."""
        return self._position == len(self._content)


@final
class _Text:
    def __init__(self, content: bytes) -> None:
        self.long_type = "<i8"
        self._content, self._position = content, 0

    def whole(self) -> int:
        return int(self._match(_WHOLE))

    def long(self) -> int:
        return self.whole()

    def real(self) -> float:
        return float(self._match(_REAL))

    def raw(self, length: int) -> bytes:
        end = self._position + length
        if not self._position <= end <= len(self._content):
            raise ValueError(_SHORT)
        found = self._content[self._position : end]
        self._position = end + (length > 0 and self._content[end : end + 1] == b"\n")
        return found

    def numbers(self, dtype: np.dtype[Any], count: int) -> npt.NDArray[Any]:
        if dtype.itemsize == 1:
            return np.frombuffer(self.raw(count), dtype)
        if not 0 <= count <= len(self._content) - self._position:  # each takes a byte at least
            raise ValueError(_SHORT)
        found = np.empty(count, dtype)
        kind = float if dtype.kind == "f" else int
        matches = (_REAL if dtype.kind == "f" else _WHOLE).finditer(self._content, self._position)
        for start in range(0, count, _CHUNK):
            part = list(islice(matches, min(_CHUNK, count - start)))
            follow = all(one.end() == two.start() for one, two in pairwise(part))
            if len(part) < min(_CHUNK, count - start) or part[0].start() != self._position or not follow:
                raise ValueError(_SHORT)
            try:
                with np.errstate(over="ignore"):
                    found[start : start + len(part)] = [kind(match[1]) for match in part]
            except OverflowError as error:
                raise ValueError("it has a number that is too large for its type") from error
            self._move(part[-1])
        return found

    def _move(self, last: re.Match[bytes]) -> None:
        """Go on after a number; the last one of a file ends its line, or there may be more of it."""
        self._position = last.end()
        if self._position == len(self._content) and not last[0].endswith(b"\n"):
            raise ValueError(_SHORT)

    def _match(self, pattern: re.Pattern[bytes]) -> bytes:
        found = pattern.match(self._content, self._position)
        if not found:
            raise ValueError(_SHORT if self._position >= len(self._content) else "something in it is no number")
        self._move(found)
        return found[1]


def _read_value(source: _Source) -> Any:
    """The value at the source's position. A stack of readings rather than one inside another: it may be deep."""
    memo: dict[int, Any] = {}
    stack = [_steps(source, memo)]
    sent: Any = None
    for _ in range(4 * _MOST_VALUES):
        try:
            stack[-1].send(sent)
        except StopIteration as ended:
            stack.pop()
            sent = ended.value
            if not stack:
                return sent
            continue
        if len(stack) >= _DEEPEST:
            raise ValueError("it is nested too deeply")
        stack.append(_steps(source, memo))
        sent = None
    raise ValueError("it has more values than any network")


def _steps(source: _Source, memo: dict[int, Any]) -> _Steps:
    kind = source.whole()
    if kind in (_NIL, _NUMBER, _STRING, _BOOLEAN):
        return _plain_value(source, kind)
    if kind == _FUNCTION:
        source.raw(source.whole())
        yield
        return LuaFunction()
    if kind not in (_TABLE, _OBJECT, *_FUNCTIONS):
        raise ValueError(f"a value in it is of the type {kind}, which does not exist")
    index = source.whole()
    if index in memo:
        return memo[index]
    if kind == _TABLE:
        table = memo[index] = LuaTable({})
        yield from _fill(table, source)
    elif kind == _OBJECT:
        yield from _read_object(source, memo, index)
    else:
        memo[index] = LuaFunction()
        source.raw(source.whole())
        yield  # the values that the function takes from where it is made
    return memo[index]


def _plain_value(source: _Source, kind: int) -> Any:
    if kind == _NIL:
        return None
    if kind == _NUMBER:
        return source.real()
    return source.whole() == 1 if kind == _BOOLEAN else _text(source)


def _text(source: _Source) -> str:
    return source.raw(source.whole()).decode("utf-8", "replace")


def _fill(table: LuaTable, source: _Source) -> _Steps:
    for _ in range(source.whole()):
        key = yield
        value = yield
        if key is None:
            raise ValueError("a table in it has a value without a key")
        table.fields[key] = value


def _read_object(source: _Source, memo: dict[int, Any], index: int) -> _Steps:
    name = _text(source)
    if _VERSION.fullmatch(name):  # files before there were versions have the class at once
        name = _text(source)
    found = _ARRAYS.fullmatch(name)
    if found is None:
        if name.startswith(("tds.", "torch.")):  # which write themselves in a way of their own
            raise ValueError(f"it holds an object of the class {name}, which is not read here")
        owner = memo[index] = LuaObject(name, {})
        fields = yield
        if isinstance(fields, LuaTable):
            owner.fields.update(fields.fields)
    elif found[2] == "Storage":
        dtype = np.dtype(_TYPES.get(found[1], source.long_type))
        memo[index] = LuaArray(source.numbers(dtype, source.long()))
    else:
        yield from _read_tensor(source, memo, index)


def _read_tensor(source: _Source, memo: dict[int, Any], index: int) -> _Steps:
    axes = source.whole()
    if not 0 <= axes <= _MOST_AXES:
        raise ValueError(f"a tensor in it has {axes} axes")
    shape = [source.long() for _ in range(axes)]
    strides = [source.long() for _ in range(axes)]
    offset = source.long() - 1
    memo[index] = None  # a storage cannot hold its tensor
    storage = yield
    if not shape or 0 in shape:
        memo[index] = LuaArray(np.empty(0, "<f4"))
        return
    if not isinstance(storage, LuaArray) or storage.numbers.ndim != 1 or min(*shape, *strides, offset + 1) < 0:
        raise ValueError("a tensor in it has no numbers")
    numbers = storage.numbers
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if offset < 0 or last >= len(numbers) or max(shape) > len(numbers):
        raise ValueError("a tensor in it is larger than its storage")
    if math.prod(shape) > len(numbers) + _MOST_REPEATED:
        raise ValueError("a tensor in it repeats more numbers than it has")
    steps = [stride * numbers.itemsize if size > 1 else 0 for size, stride in zip(shape, strides, strict=True)]
    memo[index] = LuaArray(np.lib.stride_tricks.as_strided(numbers[offset:], shape, steps, writeable=False))
