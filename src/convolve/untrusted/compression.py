"""Unpacking what may be a gigabyte in a kilobyte."""

from __future__ import annotations

import re
import zlib
from typing import Final

GZIP: Final = b"\x1f\x8b"
"""With what a gzip file begins."""
FREE: Final = 2**27
"""Bytes that any compressed file may be unpacked to."""
_VOUCHED: Final = 64
"""Further bytes for each byte of the file. Photographs need 1 or 2, drawings up to 20; what is all the same, 1,000."""
_GZIP_WINDOW: Final = 31  # zlib's number for the largest window inside a gzip header
_SHORTEST, _LONGEST = 2**12, 2**20  # bytes that are unpacked at a time
_ZEROS: Final = re.compile(rb"\0*")


def check_ratio(announced: int, length: int, free: int = FREE) -> None:
    """Raise `ValueError` where ``announced`` bytes are more than a file of ``length`` vouches for."""
    if announced > vouched_bytes(length, free):
        raise ValueError(f"its {length:,} bytes announce {announced:,}")


def vouched_bytes(length: int, free: int = FREE) -> int:
    """How many bytes a file of ``length`` may be unpacked to."""
    return free + _VOUCHED * length


def unpack_gzip(content: bytes, most: int) -> bytes:
    """What a gzip file holds, but no more than its first ``most`` bytes; members follow one another. Raises
    `ValueError` for a damaged or shortened one.
    """
    parts: list[bytes] = []
    position = 0
    while most > 0 and content.startswith(GZIP, position):
        unpacker, length = zlib.decompressobj(_GZIP_WINDOW), _SHORTEST
        while most > 0 and not unpacker.eof:
            chunk = content[position : position + length]
            try:
                part = unpacker.decompress(chunk, most)
            except zlib.error as error:
                raise ValueError(str(error)) from error
            if not chunk:
                raise ValueError("it is cut short")
            parts.append(part)
            most -= len(part)
            position += len(chunk) - len(unpacker.unused_data)
            length = min(2 * length, _LONGEST)
        if zeros := _ZEROS.match(content, position):  # which some programs fill the last block with
            position = zeros.end()
    return b"".join(parts)


def unpack_zlib(content: bytes, most: int) -> bytes:
    """What zlib packed. Raises `ValueError` where it is damaged, cut short, or more than ``most`` bytes."""
    unpacker = zlib.decompressobj()
    try:
        unpacked = unpacker.decompress(content, most)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if not unpacker.eof:
        raise ValueError(f"it is cut short, or more than {most:,} bytes")
    return unpacked
