"""TIFF files of several pages, of which only the first one is an image of its class, or the mask of an image."""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from convolve.datasets.inventory import NAMED
from convolve.datasets.parallel import CHUNK, in_order
from convolve.untrusted.files import open_file

MARK = re.compile(r"(\.tiff?|(^|/)[^./]+)$", re.IGNORECASE)
"""Names of files that are TIFF, or that may be for lack of a suffix."""
_KIND = 254  # the tag that says what a page is
_NO_PAGE = 1 | 4  # a smaller copy of another one, or where it is transparent
_MOST_PAGES, _MOST_TAGS = 2**16, 2**10  # that are looked at: one page after another can name the same bytes
_BIG = 43  # where a TIFF has 42, one of more than 4 GB


def describe_pages(root: Path, names: Sequence[str]) -> tuple[str, ...]:
    """A note on those of some files that are TIFF of several pages."""
    counts = in_order(lambda name: count_pages(root / name), names, chunk=CHUNK)
    several = [f"{name} ({count:,} pages)" for name, count in zip(names, counts, strict=True) if count > 1]
    if not several:
        return ()
    files = f"{len(several):,} TIFF file{'s have' if len(several) > 1 else ' has'} several pages"
    return (f"{files}, of which only the first one is read: {', '.join(several[:NAMED])}",)


def count_pages(path: Path) -> int:
    """How many images a TIFF holds, less the smaller copies and the transparency of others; 1 where it is damaged."""
    try:
        with open_file(path) as file:
            return max(_count(file), 1)
    except (OSError, OverflowError, ValueError, struct.error):
        return 1


def _count(file: IO[bytes]) -> int:
    """Walk from page to page, each of which has the number of its tags, the tags, and where the next one is."""
    head = file.read(16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None:
        return 1
    big = struct.unpack(f"{order}H", head[2:4])[0] == _BIG
    many, offset, at, length = ("Q", "Q", 8, 20) if big else ("H", "I", 4, 12)
    many, offset = order + many, order + offset
    (start,) = struct.unpack_from(offset, head, at)
    pages, seen = 0, set[int]()
    while start and start not in seen and len(seen) < _MOST_PAGES:
        seen.add(start)
        file.seek(start)
        (tags,) = struct.unpack(many, file.read(struct.calcsize(many)))
        entries = file.read(min(tags, _MOST_TAGS) * length)
        kinds = [
            struct.unpack_from(f"{order}I", entries, tag * length + length - struct.calcsize(offset))[0]
            for tag in range(len(entries) // length)
            if struct.unpack_from(f"{order}H", entries, tag * length)[0] == _KIND
        ]
        pages += not any(kind & _NO_PAGE for kind in kinds)
        file.seek(start + struct.calcsize(many) + tags * length)
        (start,) = struct.unpack(offset, file.read(struct.calcsize(offset)))
    return pages
