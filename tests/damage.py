"""Damaging good files, and what may come of reading them: a dataset that can be used, or one sentence."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from convolve.errors import UNPRINTABLE, ConvolveError, ImageError
from convolve.values import Dataset

_TOKEN = re.compile(rb"[\w.+-]+")
_ODD_TOKENS = (
    b"", b"0", b"-1", b"1", b"255", b"256", b"1e999", b"nan", b"NaN", b"Infinity", b"null", b"true", b"[]", b"{}",
    b"9" * 30, b"9" * 400, b"9" * 5000, b"1e300", b"0.5", b"\0", b"\x1b[2J", b"\xff\xfe", "한".encode(), b'"\\ud800"',
    b"a" * 300, b"../" * 50, b"http://[a", b"4294967295", b"2147483648", b"\\u0000", b"[" * 2000, b"&a;", b"<a>",
    b"1 0", b'""',
)  # fmt: skip
_ODD_BYTES = (b"\0", b"\xff", b"\n", b"\x7f", b"\x80", b",", b'"', b" ", b"<", b"[")
_ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 0.5, 1e300, float("nan"), float("inf"), 10**400, 2**31, 2**63, "", "a", "\ud800", "\0",
    "\x1b[2J", "a\nb", "12", [], {}, [[]], [1], [[1, 2]], {"a": 1}, [None], ["a", "b"], "http://[a", "a" * 300, 1e9,
    [[0]] * 3,
)  # fmt: skip
_MOST_PLACES = 4


def damage_bytes(random: Random, content: bytes) -> bytes:
    """A file in which bytes, words or numbers at one to four positions are others, or more, or missing."""
    damaged = bytearray(content)
    for _ in range(random.randint(1, _MOST_PLACES)):
        position = random.randrange(len(damaged) + 1)
        match random.randrange(8):
            case 0:
                damaged[position : position + 1] = bytes([random.randrange(256)])
            case 1:
                damaged[position : position + 1] = random.choice(_ODD_BYTES)
            case 2:
                del damaged[position : position + random.choice((1, 1, 2, 8, 100))]
            case 3:
                damaged[position : position + 4] = random.choice(
                    (b"\xff\xff\xff\x7f", b"\xff" * 4, b"\0" * 4, b"\0\0\0\x80")
                )
            case 4:
                del damaged[position:]
            case 5:
                other = random.randrange(len(damaged) + 1)
                damaged[position:position] = damaged[other : other + random.choice((1, 8, 60))]
            case _:
                tokens = list(_TOKEN.finditer(bytes(damaged)))
                if tokens:
                    token = random.choice(tokens)
                    damaged[token.start() : token.end()] = random.choice(_ODD_TOKENS)
    return bytes(damaged)


def damage_json(random: Random, content: bytes) -> bytes:
    """A JSON file in which one to four values or keys are others, or missing; or damaged as any other file."""
    if not random.randrange(4):
        return damage_bytes(random, content)
    document = json.loads(content)
    for _ in range(random.randint(1, _MOST_PLACES)):
        parts: list[tuple[Any, Any]] = []
        _list_parts(document, parts)
        if not parts:
            break
        parent, key = random.choice(parts)
        if random.randrange(6):
            parent[key] = copy.deepcopy(random.choice(_ODD_VALUES))
        elif isinstance(parent, dict) and random.randrange(2):
            parent["\ud800"] = parent.pop(key)
        else:
            del parent[key]
    return json.dumps(document).encode()


def _list_parts(value: Any, parts: list[tuple[Any, Any]]) -> None:
    """Append every container inside a value with each of its keys or positions."""
    if isinstance(value, dict | list):
        keys = list(value) if isinstance(value, dict) else range(len(value))
        for key in keys:
            parts.append((value, key))
            _list_parts(value[key], parts)


def check_reading(read: Callable[[], object], kind: type[ConvolveError]) -> bool:
    """Whether reading succeeds, with what can be used; or else whether the error is one printable sentence."""
    try:
        found = read()
    except kind as error:
        _check_sentence(str(error))
        return False
    if isinstance(found, Dataset):
        _check_dataset(found)
    return True


def _check_sentence(sentence: str) -> None:
    assert sentence
    assert not UNPRINTABLE.search(sentence), ascii(sentence)


def _check_dataset(dataset: Dataset) -> None:
    assert len(dataset)
    for note in (dataset.reason, *dataset.notes):
        assert not UNPRINTABLE.search(note), ascii(note)
    for ground_truth in dataset.ground_truths.values():
        assert not any(map(UNPRINTABLE.search, ground_truth.classes)), ascii(ground_truth.classes)
        ground_truth.presence()
        for index in range(len(dataset)):
            for look in (ground_truth.digest, getattr(ground_truth, "read", lambda _: None)):
                try:
                    look(index)
                except ImageError as error:
                    _check_sentence(str(error))


def refuse(read: Callable[[], object], kind: type[ConvolveError]) -> str:
    """The sentence with which reading fails, as it must."""
    with pytest.raises(kind) as caught:
        read()
    _check_sentence(str(caught.value))
    return str(caught.value)
