"""Unpacking what may be a gigabyte in a kilobyte."""

from __future__ import annotations

import zlib
from typing import Final

GZIP: Final = b"\x1f\x8b"
"""With what a gzip file begins."""
_GZIP_WINDOW: Final = 31  # zlib's number for the largest window inside a gzip header


def unpack_gzip(content: bytes, most: int) -> bytes:
    """What a gzip file holds, but no more than its first ``most`` bytes; members follow one another. Raises
    `ValueError` for a damaged or shortened one.
    """
    parts: list[bytes] = []
    while content.startswith(GZIP) and most > 0:
        unpacker = zlib.decompressobj(_GZIP_WINDOW)
        try:
            parts.append(unpacker.decompress(content, most))
        except zlib.error as error:
            raise ValueError(str(error)) from error
        most -= len(parts[-1])
        if most > 0 and not unpacker.eof:
            raise ValueError("it is cut short")
        content = unpacker.unused_data.lstrip(b"\0")  # which some programs fill the last block with
    return b"".join(parts)
