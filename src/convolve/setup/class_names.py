"""The names of a network's classes, from a text file."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from convolve.choices import BACKGROUNDS
from convolve.errors import OptionError
from convolve.untrusted.files import read_text

_MOST_BYTES = 2**22
_WORDNET = re.compile(r"(n\d{8})\s+(\S.*)")


class ClassNames(NamedTuple):
    """The names of the classes, and a sentence on a first line that is none of them, or nothing."""

    names: tuple[str, ...]
    note: str


def read_class_names(path: Path, count: int | None = None) -> ClassNames:
    """One name a line, as many as the network has classes; of a line as ImageNet has them, `n01440764 tench, Tinca
    tinca` or without its number, the first name, unless several classes have it.

    Without a ``count`` every line is a class. A first line `background` (`BACKGROUNDS`) more than there are classes is
    left out. Raises `OptionError`.
    """
    try:
        lines = [line.strip() for line in read_text(path, _MOST_BYTES).splitlines()]
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or "it is no text in UTF-8"
        raise OptionError(f"{path} cannot be read ({reason}); give a text file with one class a line.") from error
    lines = [line for line in lines if line]
    count, note = len(lines) if count is None else count, ""
    if len(lines) == count + 1 and lines[0].lower() in BACKGROUNDS:
        note = f"the first line of {path}, '{lines[0]}', names no class, since the network has {count:,} scores"
        lines = lines[1:]
    if len(lines) != count:
        raise OptionError(
            f"{path} names {len(lines):,} classes, and the network has {count:,}; give a file with one class a line."
        )
    numbers = [match[1] if (match := _WORDNET.fullmatch(line)) else "" for line in lines]
    whole = [line.removeprefix(number).strip() for line, number in zip(lines, numbers, strict=True)]
    short = [name.partition(",")[0].strip() for name in whole]
    shorter, times = Counter(short), Counter(whole)
    names = [brief if shorter[brief] == 1 else full for brief, full in zip(short, whole, strict=True)]
    names = [
        f"{name} ({number or index})" if times[full] > 1 else name
        for index, (name, full, number) in enumerate(zip(names, whole, numbers, strict=True))
    ]
    if len(set(names)) < len(names):
        twice = Counter(names).most_common(1)[0][0]
        raise OptionError(f"{path} names the class '{twice}' twice; give each class a name of its own.")
    return ClassNames(tuple(names), note)
