"""What loading a pickle will cost, found without loading it.

A pickle is a program for a stack machine. Its instructions are followed here with empty values, so that what it builds
is known before anything is built: a kilobyte may announce gigabytes, or nest tuples so deeply that hashing them ends
the interpreter. Which names a pickle may use, its reader decides.
"""

from __future__ import annotations

import pickletools
from collections.abc import Iterator
from typing import Any, Final, NamedTuple, final

MAX_DEPTH: Final = 100
"""Containers inside one another. Files of weights and of images have fewer than ten."""
MAX_INSTRUCTIONS: Final = 2_000_000
"""CIFAR-100's largest file has 250,000."""
_FREE: Final = 2**16
"""Values that a pickle may hold whatever its length, one that is held in several places counted in each."""
_VOUCHED: Final = 16
"""Further values for each byte."""
_REFUSED: Final = frozenset(
    ["DUP", "POP", "POP_MARK", "EXT1", "EXT2", "EXT4", "INST", "OBJ", "NEXT_BUFFER", "READONLY_BUFFER"]
)
"""What only recursive tuples, registered extensions, Python 2's classes and buffers in other files need."""
_CHANGES: Final = frozenset(["APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS", "BUILD"])
_PUTS: Final = frozenset(["PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"])
_GETS: Final = frozenset(["GET", "BINGET", "LONG_BINGET"])
_FIXED: Final = frozenset(["BININT", "BININT1", "BININT2", "BINFLOAT"])
_NO_VALUE: Final = frozenset(["PROTO", "FRAME", "STOP"])
_EMPTY: Final = frozenset(["EMPTY_LIST", "EMPTY_DICT", "EMPTY_SET", "EMPTY_TUPLE"])
_LENGTHS: Final = {  # bytes of the number that says how many bytes follow
    pickletools.TAKEN_FROM_ARGUMENT1: 1,
    pickletools.TAKEN_FROM_ARGUMENT4: 4,
    pickletools.TAKEN_FROM_ARGUMENT4U: 4,
    pickletools.TAKEN_FROM_ARGUMENT8U: 8,
}
_DIGITS: Final = 10
"""Of a memo's number as text."""
_MARK: Final[list[Any]] = []


class _Instruction(NamedTuple):
    name: str
    length: int  # of its argument, or one of pickletools' numbers for how that is found
    lines: int  # of its argument, where that is text
    takes: int  # values from the stack
    slices: bool  # whether also everything down to the last mark


def _instruction(code: Any) -> _Instruction:
    slices = pickletools.stackslice in code.stack_before
    lines = 2 if code.name in ("GLOBAL", "INST") else 1
    length = code.arg.n if code.arg else 0
    return _Instruction(code.name, length, lines, len(code.stack_before) - 2 * slices, slices)


_INSTRUCTIONS: Final = {ord(code.code): _instruction(code) for code in pickletools.opcodes if code.name not in _REFUSED}
_NUMBERS: Final = {code: 1 + each.length for code, each in _INSTRUCTIONS.items() if each.name in _FIXED}
"""Bytes of the instructions for one small number each."""


def check_pickle(content: bytes | bytearray, start: int = 0) -> int:
    """Where a pickle that begins at ``start`` ends. Raises `ValueError` for one that is damaged or cut short, and for
    one whose loading takes more time, memory or depth of the stack than its length vouches for.
    """
    machine = _Machine(content, start)
    value = machine.run()
    _check_cost(value, _FREE + _VOUCHED * (machine.position - start))
    return machine.position


@final
class _Machine:
    """Its values are lists of what they hold, or None for what holds nothing, such as a number."""

    def __init__(self, content: bytes | bytearray, start: int) -> None:
        self._content = content
        self.position = self._start = start
        self._stack: list[list[Any] | None] = []
        self._memo: dict[int, list[Any] | None] = {}

    def run(self) -> list[Any] | None:
        """Follow the instructions to the last; the value that they leave."""
        for _ in range(MAX_INSTRUCTIONS):
            if self.position >= len(self._content):
                raise ValueError("it is cut short")
            code = self._content[self.position]
            if code in _NUMBERS:  # most instructions
                self.position += _NUMBERS[code]
                self._stack.append(None)
                continue
            instruction = _INSTRUCTIONS.get(code)
            if instruction is None:
                raise ValueError(f"its byte {self.position:,} is no instruction of a pickle of plain values")
            self.position += 1
            begin = self.position
            self._pass_argument(instruction)
            if instruction.name == "STOP":
                return self._only_value()
            self._follow(instruction, begin)
        raise ValueError(f"it has more than {MAX_INSTRUCTIONS:,} instructions")

    def _only_value(self) -> list[Any] | None:
        value = self._last()
        if len(self._stack) > 1:
            raise ValueError("it builds more values than the one that it ends with")
        return value

    def _pass_argument(self, instruction: _Instruction) -> None:
        if instruction.length >= 0:
            self.position += instruction.length
        elif instruction.length == pickletools.UP_TO_NEWLINE:
            for _ in range(instruction.lines):
                self.position = self._content.find(b"\n", self.position) + 1 or len(self._content) + 1
        else:
            self._pass_number(_LENGTHS[instruction.length])
        if self.position > len(self._content):
            raise ValueError("it is cut short, or announces more bytes than it has")
        if instruction.name == "FRAME" and self._number(self.position - 8, 8) > len(self._content) - self.position:
            raise ValueError("it is cut short, or announces more bytes than it has")

    def _pass_number(self, length: int) -> None:
        """Pass over a number of that many bytes, and over as many bytes as it says."""
        announced = self._number(self.position, length)
        self.position += length + announced

    def _number(self, position: int, length: int) -> int:
        return int.from_bytes(self._content[position : position + length], "little")

    def _follow(self, instruction: _Instruction, begin: int) -> None:
        name, stack = instruction.name, self._stack
        if name in _PUTS:
            self._memo[self._memo_number(name, begin)] = self._last()
        elif name in _GETS:
            number = self._memo_number(name, begin)
            if number not in self._memo:
                raise ValueError("it uses a value that it has not built")
            stack.append(self._memo[number])
        elif name == "MARK":
            stack.append(_MARK)
        elif instruction.takes or instruction.slices:
            self._combine(instruction)
        elif name not in _NO_VALUE:
            stack.append([] if name in _EMPTY else None)

    def _combine(self, instruction: _Instruction) -> None:
        """Replace values of the stack by one that holds them, or that is the lowest of them and holds the others."""
        stack = self._stack
        parts: list[Any] = []
        if instruction.slices:
            while (part := self._pop()) is not _MARK:
                parts.append(part)
        for _ in range(instruction.takes):
            parts.append(self._last())
            stack.pop()
        if instruction.name in _CHANGES:
            value = parts.pop()
            if value is None:
                raise ValueError("it puts values into one that holds none")
            value.extend(parts)
            stack.append(value)
        else:
            stack.append(parts)

    def _memo_number(self, name: str, begin: int) -> int:
        if name == "MEMOIZE":
            return len(self._memo)
        text = self._content[begin : self.position]
        if name not in ("PUT", "GET"):
            number = int.from_bytes(text, "little")
        elif len(text) <= _DIGITS and text[:-1].isdigit():
            number = int(text)
        else:
            raise ValueError("it numbers its values in an unknown way")
        if number > self.position - self._start:
            raise ValueError(f"it numbers a value {number:,} in its first {self.position - self._start:,} bytes")
        return number

    def _pop(self) -> list[Any] | None:
        if not self._stack:
            raise ValueError("it takes more values from the stack than there are")
        return self._stack.pop()

    def _last(self) -> list[Any] | None:
        if not self._stack or self._stack[-1] is _MARK:
            raise ValueError("it takes more values from the stack than there are")
        return self._stack[-1]


def _check_cost(value: list[Any] | None, most: int) -> None:
    """Raise `ValueError` for a value that is nested too deeply or inside itself, or holds too many values."""
    costs: dict[int, tuple[int, int]] = {}  # of lists, by identity: depth, and all values in them
    path: list[tuple[list[Any], Iterator[Any]]] = [] if value is None else [(value, iter(value))]
    open_lists = {id(value)}
    while path:
        parent, parts = path[-1]
        part = next((each for each in parts if each is not None and id(each) not in costs), None)
        if part is None:
            path.pop()
            open_lists.discard(id(parent))
            inner = [costs.get(id(each), (0, 1)) for each in parent]
            cost = 1 + max((depth for depth, _ in inner), default=0), 1 + sum(count for _, count in inner)
            if cost[1] > most:
                raise ValueError("it repeats its values so often that they need far more memory than the file")
            costs[id(parent)] = cost
        elif id(part) in open_lists or len(path) >= MAX_DEPTH:
            raise ValueError("it is nested too deeply")
        else:
            open_lists.add(id(part))
            path.append((part, iter(part)))
    if costs.get(id(value), (0, 1))[0] > MAX_DEPTH:
        raise ValueError("it is nested too deeply")
