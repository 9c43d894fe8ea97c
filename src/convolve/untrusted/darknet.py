"""Darknet's two kinds of file: `.cfg`, a network as text, and `.weights`, its numbers without names or shapes.

A `.cfg` is a list of sections, the first of which is `[net]`; each has a name in brackets and options `name=value`, one
in a line. Spaces mean nothing, and lines that begin with `#` or `;` are comments. A `.weights` file has a header of
three int32 (major, minor, revision) and the number of images seen, an int32 before version 0.2 and an int64 since, and
then float32 to its end.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from convolve.untrusted.files import check_memory, open_file, read_text

CFG: Final = ".cfg"
"""How a file's name ends that is a network's."""
_CFG_BYTES: Final = 2**20
_SECTIONS: Final = 2_000
_VERSION: Final = struct.Struct("<3i")
_LATEST: Final = 1_000
"""From this major or minor version on, the program takes weights for transposed ones; no file is published with it."""
_LONG_COUNT: Final = 2
"""From version 0.2 on the number of images seen has 8 bytes."""


@dataclass(frozen=True)
class Section:
    """One section of a `.cfg`: its ``name`` without brackets, the ``line`` that it begins in, counted from 1, and its
    options as they are written, without spaces.
    """

    name: str
    line: int
    options: Mapping[str, str]


def read_cfg(path: str | os.PathLike[str]) -> tuple[Section, ...]:
    """The sections of a `.cfg`, of which there are at least two. Raises `OSError` and `ValueError`."""
    sections: list[Section] = []
    options: dict[str, str] = {}
    for number, raw in enumerate(read_text(path, _CFG_BYTES).split("\n"), 1):
        line = "".join(raw.split())
        if not line or line[0] in "#;":
            continue
        if line[0] == "[":
            if line[-1] != "]" or len(line) <= len("[]"):
                raise ValueError(f"line {number} begins a section and has no ']'")
            options = {}
            sections.append(Section(line[1:-1], number, options))
            continue
        name, equals, value = line.partition("=")
        if not (sections and name and equals and value):
            raise ValueError(f"line {number} is no option of a section, such as filters=32")
        if options.setdefault(name, value) != value:
            raise ValueError(f"line {number} gives {name} a second value")
    if not sections or sections[0].name not in ("net", "network"):
        raise ValueError("it does not begin with a section [net]")
    if not 1 < len(sections) <= _SECTIONS:
        raise ValueError(f"it has {len(sections) - 1:,} layers, and must have 1 to {_SECTIONS - 1:,}")
    return tuple(sections)


def read_darknet(path: str | os.PathLike[str]) -> npt.NDArray[np.float32]:
    """The numbers (N,) of a `.weights` file after its header, all of them finite. Raises `OSError` and `ValueError`."""
    with open_file(path) as file:
        check_memory(file)
        header = file.read(_VERSION.size)
        major, minor, _ = _VERSION.unpack(header) if len(header) == _VERSION.size else (-1, -1, -1)
        if not (0 <= major < _LATEST and 0 <= minor < _LATEST):
            raise ValueError("it does not begin with a version of Darknet")
        file.read(8 if 10 * major + minor >= _LONG_COUNT else 4)
        content = file.read()
    if not content or len(content) % 4:
        raise ValueError("it is cut short: after its header are no whole numbers of 4 bytes")
    numbers = np.frombuffer(content, "<f4").astype(np.float32)
    if not np.isfinite(numbers).all():
        raise ValueError("it holds numbers that are not finite")
    return numbers
