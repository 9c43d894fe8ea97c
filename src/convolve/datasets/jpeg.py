"""The header of a plain JPEG, read in a few microseconds: what small images need is mostly this."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from convolve.untrusted.images import MAX_PASSES, SCAN

SIGNATURE: Final = b"\xff\xd8"
END: Final = b"\xff\xd9"
_SHAPES: Final = (0xC0, 0xC1, 0xC2)
"""What states height, width and channels of a baseline, an extended or a progressive image."""
_TABLE: Final = 65
"""Bytes of a quantization table of 8 bits."""
_JFIF: Final = 14
_USUAL: Final[Mapping[int, Callable[[bytes], bool]]] = {
    0xE0: lambda content: len(content) >= _JFIF,
    0xDB: lambda content: len(content) % _TABLE == 0 and max(content[::_TABLE], default=255) < 16,
    **dict.fromkeys((0xC4, 0xDD, 0xFE), lambda _: True),  # Huffman tables, restart intervals and comments
}
"""Whether the content of a segment changes nothing in how the image is read, by its marker."""
_MAX_PIXELS: Final = 26_000_000
"""More are read with care for the memory that they take, which is 10 bytes a pixel where there are several scans."""
_SCALES: Final = (8, 4, 2, 1)


@dataclass(frozen=True)
class JpegHeader:
    """Height and width in pixels, whether it is gray, and the position at which its ``scan`` begins."""

    height: int
    width: int
    gray: bool
    scan: int

    def reduction(self, at_least: int) -> int:
        """By how much the sides can be divided in decoding so that the shorter one stays ``at_least`` long; 1 for 0."""
        if not at_least:
            return 1
        times = min(self.height, self.width) // at_least
        return next((scale for scale in _SCALES if times >= scale), 1)


def read_jpeg_header(blob: bytes) -> JpegHeader | None:
    """The header of a JPEG in gray or YCbCr that says nothing of an orientation or of further images; None for any
    other, for one of more than 26 million pixels or of very many scans, and for whatever is odd in it: these are read
    with more care.
    """
    shape, position = b"", len(SIGNATURE) if blob.startswith(SIGNATURE) else len(blob)
    while (start := blob[position : position + 4])[:1] == b"\xff" and len(start) == 4:
        marker, length = start[1], int.from_bytes(start[2:], "big")
        content, end = blob[position + 4 : position + 2 + length], position + 2 + length
        if marker == SCAN[1] and length >= 2 and end < len(blob):
            break
        usual = not shape if marker in _SHAPES else marker in _USUAL and _USUAL[marker](content)
        if length < 2 or not usual:
            return None
        shape = content if marker in _SHAPES else shape
        position = end
    else:
        return None
    if len(shape) not in (9, 15) or shape[0] != 8 or len(shape) != 6 + 3 * shape[5]:
        return None
    height, width = shape[1] << 8 | shape[2], shape[3] << 8 | shape[4]
    passes = height * width * blob.count(SCAN, position)
    cheap = 0 < height * width <= _MAX_PIXELS and passes <= MAX_PASSES
    return JpegHeader(height, width, shape[5] == 1, position) if cheap else None
