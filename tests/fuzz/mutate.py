"""Changing a valid input: bits, bytes, blocks, numbers, and the nodes of a JSON document."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Final

_ODD_BYTES: Final = (0, 1, 0x7F, 0x80, 0xFF)
_ODD_NUMBERS: Final = (
    b"0", b"-1", b"1", b"255", b"256", b"65535", b"65536", b"2147483647", b"2147483648", b"4294967296",
    b"9223372036854775808", b"1" * 400, b"1e308", b"1e400", b"-0.0", b"0.1", b"NaN", b"Infinity", b"null", b"true",
)  # fmt: skip
_ODD_VALUES: Final[tuple[Any, ...]] = (
    None, True, 0, -1, 2**31, 2**63, 10**400, 1.5, 1e308, float("nan"), float("inf"), "", "a",
    "\0", "\ud800", "a" * 5000, "../../x", "/dev/zero", "한", [], [[]], [[[[1]]]], {}, {"a": {}}, [None], ["a"],
    [1e9, -1e9],
)  # fmt: skip
_NUMBER: Final = re.compile(rb"-?\d+(\.\d+)?")
_MOST: Final = 2**20
"""Bytes that a changed input has at most."""


def mutate(seed: bytes, other: bytes, random: Random) -> bytes:
    """A changed copy of a valid input; ``other`` is a second one, from which parts may come."""
    changed = seed
    for _ in range(1 + int(random.expovariate(1))):
        ways = _WAYS if len(changed) else (_insert,)
        changed = random.choice(ways)(changed, other, random)[:_MOST]
    return changed


def _flip_bit(content: bytes, _other: bytes, random: Random) -> bytes:
    position = random.randrange(len(content))
    return _replaced(content, position, 1, bytes([content[position] ^ 1 << random.randrange(8)]))


def _set_byte(content: bytes, _other: bytes, random: Random) -> bytes:
    value = random.choice(_ODD_BYTES) if random.random() < 0.5 else random.randrange(256)
    return _replaced(content, random.randrange(len(content)), 1, bytes([value]))


def _set_number(content: bytes, _other: bytes, random: Random) -> bytes:
    """Two, four or eight bytes become a number near a limit, in either order of bytes."""
    size = random.choice((2, 4, 8))
    number = random.choice(
        (0, 1, 2 ** (8 * size - 1) - 1, 2 ** (8 * size - 1), 2 ** (8 * size) - 1, len(content), 65535)
    )
    packed = (number % 2 ** (8 * size)).to_bytes(size, random.choice(("big", "little")))
    return _replaced(content, random.randrange(len(content)), size, packed)


def _delete(content: bytes, _other: bytes, random: Random) -> bytes:
    return _replaced(content, random.randrange(len(content)), _some(random, len(content)), b"")


def _cut(content: bytes, _other: bytes, random: Random) -> bytes:
    return content[: random.randrange(len(content))]


def _repeat(content: bytes, _other: bytes, random: Random) -> bytes:
    start = random.randrange(len(content))
    part = content[start : start + _some(random, len(content))]
    return _replaced(content, start, 0, part * random.choice((1, 2, 10, 1000)))


def _insert(content: bytes, _other: bytes, random: Random) -> bytes:
    part = random.choice((b"\0", b"\xff" * 4, b"[" * 2000, b"(" * 2000, b"\r\n", b'"', b",", b"\xef\xbb\xbf", b"%!PS"))
    return _replaced(content, random.randrange(len(content) + 1), 0, part)


def _splice(content: bytes, other: bytes, random: Random) -> bytes:
    return content[: random.randrange(len(content) + 1)] + other[random.randrange(len(other) + 1) :]


def _write_number(content: bytes, other: bytes, random: Random) -> bytes:
    """A number in digits becomes another one."""
    found = list(_NUMBER.finditer(content[:_MOST]))
    if not found:
        return _set_number(content, other, random)
    place = random.choice(found)
    return _replaced(content, place.start(), place.end() - place.start(), random.choice(_ODD_NUMBERS))


def _swap_lines(content: bytes, other: bytes, random: Random) -> bytes:
    lines = content.split(b"\n")
    if len(lines) < 3:
        return _splice(content, other, random)
    one, two = random.randrange(len(lines)), random.randrange(len(lines))
    lines[one], lines[two] = lines[two], lines[one] if random.random() < 0.5 else lines[one] + lines[two]
    return b"\n".join(lines)


def _change_node(content: bytes, other: bytes, random: Random) -> bytes:
    """One value of a JSON document, wherever it is, becomes another one, vanishes, or is nested deeply."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return _flip_bit(content, other, random)
    places: list[tuple[Any, Any]] = []
    _list_places(document, places)
    if not places:
        return json.dumps(random.choice(_ODD_VALUES)).encode()
    inside, key = random.choice(places)
    way = random.random()
    if way < 0.2:
        del inside[key]
    elif way < 0.3 and isinstance(inside, dict):
        inside[random.choice(("", "id", "name", "0"))] = inside.pop(key)
    elif way < 0.4:
        inside[key] = random.choice(places)[0] if random.random() < 0.1 else [inside[key]]
    else:
        inside[key] = random.choice(_ODD_VALUES)
    try:
        return json.dumps(document).encode()
    except (ValueError, RecursionError):  # it holds itself
        return _flip_bit(content, other, random)


def _list_places(value: Any, places: list[tuple[Any, Any]]) -> None:
    keys: Sequence[Any] = (
        list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    )
    for key in keys:
        places.append((value, key))
        _list_places(value[key], places)


def _replaced(content: bytes, start: int, length: int, part: bytes) -> bytes:
    return content[:start] + part + content[start + length :]


def _some(random: Random, most: int) -> int:
    return min(most, 1 + int(random.expovariate(1 / 16)))


_WAYS: Final[Sequence[Callable[[bytes, bytes, Random], bytes]]] = (
    _flip_bit, _set_byte, _set_number, _delete, _cut, _repeat, _insert, _splice, _write_number, _swap_lines,
    _change_node,
)  # fmt: skip
