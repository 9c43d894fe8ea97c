"""Writing values as Lua's `torch.save` does, binary or as text; needs NumPy alone."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

_NUMBER, _STRING, _TABLE, _OBJECT, _BOOLEAN, _FUNCTION = 1, 2, 3, 4, 5, 8
_TYPES = {
    "f4": "Float",
    "f8": "Double",
    "i8": "Long",
    "i4": "Int",
    "i2": "Short",
    "i1": "Char",
    "u1": "Byte",
    "f2": "Half",
}


@dataclass(eq=False)
class Lua:
    """An object of a class of Torch."""

    kind: str
    fields: dict[Any, Any] = field(default_factory=dict)


@dataclass(eq=False)
class Function:
    """Lua's byte code, and the values that it takes along."""

    code: bytes
    taken: Any = None


@dataclass(eq=False)
class Storage:
    """Numbers as a storage, such as the sizes of `nn.View`."""

    numbers: Any


@dataclass(eq=False)
class View:
    """A tensor that is a part of a storage."""

    storage: Storage
    shape: Sequence[int]
    strides: Sequence[int]
    offset: int = 0


class Writer:
    """A file's bytes so far; ``long_size`` is 8, or 4 as on machines of 32 bits; ``prefix`` is `Cuda` on a card."""

    def __init__(self, *, text: bool = False, long_size: int = 8, prefix: str = "", versions: bool = True) -> None:
        self.content = bytearray()
        self._text, self._long_size, self._prefix, self._versions = text, long_size, prefix, versions
        self._indices: dict[int, int] = {}
        self._alive: list[Any] = []

    def _whole(self, *values: int, size: int = 4) -> None:
        if self._text:
            self.content += " ".join(map(str, values)).encode() + b"\n" * bool(values)
        else:
            for value in values:
                self.content += value.to_bytes(size, "little", signed=True)

    def _raw(self, content: bytes) -> None:
        self.content += content + b"\n" * bool(self._text and content)

    def _string(self, text: str) -> None:
        self._whole(len(text.encode()))
        self._raw(text.encode())

    def _index(self, value: Any) -> bool:
        """Write an object's index; whether it is new."""
        new = id(value) not in self._indices
        self._alive.append(value)
        self._whole(self._indices.setdefault(id(value), len(self._indices) + 1))
        return new

    def _class(self, name: str) -> None:
        if self._versions:
            self._string("V 1")
        self._string(name)

    def write(self, value: Any) -> None:
        """Write a value."""
        if value is None:
            self._whole(0)
        elif isinstance(value, bool):
            self._whole(_BOOLEAN)
            self._whole(int(value))
        elif isinstance(value, int | float):
            self._whole(_NUMBER)
            self._raw(repr(value).encode() if self._text else struct.pack("<d", value))
        elif isinstance(value, str):
            self._whole(_STRING)
            self._string(value)
        elif isinstance(value, Function):
            self._whole(_FUNCTION)
            if self._index(value):
                self._whole(len(value.code))
                self._raw(value.code)
                self.write(value.taken)
        elif isinstance(value, Mapping | list | tuple):
            self._whole(_TABLE)
            if self._index(value):
                self._pairs(value if isinstance(value, Mapping) else dict(enumerate(value, 1)))
        else:
            self._object(value)

    def _pairs(self, pairs: Mapping[Any, Any]) -> None:
        self._whole(len(pairs))
        for key, value in pairs.items():
            self.write(key)
            self.write(value)

    def _object(self, value: Any) -> None:
        self._whole(_OBJECT)
        if not self._index(value):
            return
        if isinstance(value, Lua):
            self._class(value.kind)
            self.write(value.fields)
        elif isinstance(value, Storage):
            numbers = np.asarray(value.numbers)
            self._class(self._name(numbers.dtype, "Storage"))
            self._whole(numbers.size, size=self._long_size)
            self._numbers(numbers)
        else:
            if isinstance(value, np.ndarray):
                held = np.ascontiguousarray(value)
                strides = [stride // held.itemsize for stride in held.strides]
                value = View(Storage(held.ravel()), held.shape, strides)
            self._class(self._name(np.asarray(value.storage.numbers).dtype, "Tensor"))
            self._whole(len(value.shape))
            self._whole(*value.shape, size=self._long_size)
            self._whole(*value.strides, size=self._long_size)
            self._whole(value.offset + 1, size=self._long_size)
            self.write(value.storage if value.shape else None)

    def _name(self, dtype: np.dtype[Any], kind: str) -> str:
        name = _TYPES[dtype.str[1:]]
        on_card = self._prefix and name != "Long"
        return f"torch.{self._prefix if on_card else ''}{'' if on_card and name == 'Float' else name}{kind}"

    def _numbers(self, numbers: Any) -> None:
        if numbers.dtype.str[1:] == "i8":
            numbers = numbers.astype(f"<i{self._long_size}")
        if self._text and numbers.dtype.itemsize > 1:
            self._raw(" ".join(map(repr, numbers.tolist())).encode())
        else:
            self._raw(numbers.tobytes())


def dump(value: Any, *, text: bool = False, long_size: int = 8, prefix: str = "", versions: bool = True) -> bytes:
    """A file that holds a value."""
    writer = Writer(text=text, long_size=long_size, prefix=prefix, versions=versions)
    writer.write(value)
    return bytes(writer.content)
