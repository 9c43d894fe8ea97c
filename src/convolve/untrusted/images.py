"""Opening an image of unknown origin: listed formats alone, and no more pixels than its bytes vouch for."""

from __future__ import annotations

import io
import logging
import math
import re
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Final

from PIL import Image, UnidentifiedImageError

FORMATS: Final = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "AVIF")
"""Pillow's names of the formats that are read. No other decoder ever sees the bytes: that of EPS runs a program."""
MAX_PIXELS: Final = 89_478_485
"""Pixels of the largest image that is decoded: what fills 256 MiB at three bytes each."""
MAX_PASSES: Final = 2 * 10**9
"""Pixels times scans of a progressive JPEG. Encoders write about ten scans, and each is a pass over all pixels."""
_FREE: Final = 2**28
"""Bytes that decoding may take whatever the size of the file."""
_VOUCHED: Final = 256
"""Further bytes for each byte of the file. Photographs need 10 to 60; a single color takes thousands."""
_COST: Final[Mapping[str, int]] = {"1": 5, "L": 5, "P": 13, "RGB": 10, "I;16": 18}
"""Bytes that decoding takes a pixel at its peak, all copies together, by Pillow's mode."""
_LARGEST_COST: Final = 20  # of the other modes, such as RGBA
_CANVAS: Final = 9  # more in a format of animations, whose decoders keep one
_ANIMATED: Final = frozenset(("GIF", "WEBP", "AVIF"))
_JPEG_COST, _SCANS_COST = 4, 10  # of a JPEG decoded at once, and of one that is kept until its last scan is read
_TILE: Final = (322, 323)  # the tags of its width and height
_PPM_HEADER: Final = re.compile(rb"P[1-6](?:(?:\s|#[^\n]*\n)+\d+){2,3}")
_LONGEST_HEADER, _MOST_COMMENTS = 2**14, 100
SCAN: Final = b"\xff\xda"
"""What begins a scan of a JPEG."""
logging.getLogger("PIL").addHandler(logging.NullHandler())  # what it logs, the error says
_lock: Final = threading.Lock()
_filters: Final = ExitStack()
"""Restores the filters of warnings that there were before the first of the readers that are at work."""
_readers: Final[list[int]] = []
"""One entry for each of them, in any thread."""


class TooCostlyError(ValueError):
    """Decoding would take more memory or time than the file deserves; the text continues a sentence about it."""


@contextmanager
def open_image(content: bytes, formats: tuple[str, ...] = FORMATS) -> Iterator[Image.Image]:
    """An image whose header is known, by Pillow; see `check_cost` before it is decoded. Raises
    `PIL.UnidentifiedImageError` for what is in none of the ``formats``, and whatever a damaged header leads to.
    """
    if content.startswith(b"RIFF"):
        check_pixels(_webp_pixels(content), 2 * _CANVAS, len(content))
    if content.startswith(b"P"):
        _check_comments(content)
    with silent_decoders():
        try:
            image = Image.open(io.BytesIO(content), formats=formats)
        except Image.DecompressionBombError:
            raise TooCostlyError(f"has more than {_in_millions(MAX_PIXELS)} pixels") from None
        with image:
            yield image


def check_cost(image: Image.Image, length: int, pages: int = 1, more: int = 0) -> None:
    """Raise `TooCostlyError` where decoding ``pages`` of an image takes more memory than a file of ``length`` bytes
    vouches for, or where each has more than `MAX_PIXELS`. The caller itself takes ``more`` bytes a pixel.
    """
    tags = getattr(image, "tag_v2", {})
    tile = math.prod(int(tags.get(tag, 0)) for tag in _TILE)  # of a TIFF, decoded as a whole however small the image is
    cost = _COST.get(image.mode, _LARGEST_COST) + (_CANVAS if image.format in _ANIMATED else 0) + more
    check_pixels(max(image.width * image.height, tile), cost, length, pages)


def check_scans(jpeg: bytes, pixels: int) -> int:
    """The number of a JPEG's scans. Raises `TooCostlyError` where they take seconds, in which nothing can interrupt its
    decoder.
    """
    scans = jpeg.count(SCAN)
    if scans * pixels > MAX_PASSES:
        raise TooCostlyError(f"stores {_in_millions(pixels)} pixels in {scans:,} scans")
    return scans


def check_jpeg_cost(content: bytes, pixels: int) -> None:
    """What `check_cost` does, for a JPEG that OpenCV decodes."""
    scans = check_scans(content, pixels)
    check_pixels(pixels, _SCANS_COST if scans > 1 else _JPEG_COST, len(content))


def check_pixels(pixels: int, cost: int, length: int, pages: int = 1) -> None:
    """Raise `TooCostlyError` where ``pages`` of so many pixels at ``cost`` bytes take more than a file vouches for."""
    if pixels > MAX_PIXELS:
        raise TooCostlyError(f"has more than {_in_millions(MAX_PIXELS)} pixels")
    if pixels * pages * cost > _FREE + _VOUCHED * length:
        memory = f"{pixels * pages * cost / 2**20:,.0f} MiB"
        raise TooCostlyError(
            f"announces {_in_millions(pixels * pages)} pixels in {length:,} bytes, which take {memory}"
        )


def _check_comments(content: bytes) -> None:
    """Raise `TooCostlyError` for a PPM that is mostly comments: Pillow passes over them in quadratic time."""
    header = _PPM_HEADER.match(content, 0, _LONGEST_HEADER)
    if not header:
        raise UnidentifiedImageError
    comments = content.count(b"#", header.end()) if content[1:2] in b"123" else 0
    if comments > _MOST_COMMENTS:
        raise TooCostlyError(f"has {comments:,} comments between its numbers")


def _webp_pixels(content: bytes) -> int:
    """Height times width of a WebP file, whose decoder makes a canvas as soon as it is opened; 0 of any other."""
    kind = content[12:16] if content[:4] == b"RIFF" and content[8:12] == b"WEBP" else b""
    if kind == b"VP8X":
        width, height = (1 + int.from_bytes(content[start : start + 3], "little") for start in (24, 27))
    elif kind == b"VP8L":
        bits = int.from_bytes(content[21:25], "little")
        width, height = (1 + (bits >> shift & 0x3FFF) for shift in (0, 14))
    else:
        width, height = (int.from_bytes(content[start : start + 2], "little") & 0x3FFF for start in (26, 28))
    return width * height if kind else 0


def _in_millions(pixels: int) -> str:
    return f"{pixels / 10**6:,.0f} million" if pixels >= 10**6 else f"{pixels:,}"


@contextmanager
def silent_decoders() -> Iterator[None]:
    """Keep the warnings of Pillow and pydicom to themselves; what they warn of, an error says or does no harm.

    The filters of warnings belong to the whole process: the last of several readers to leave restores them.
    """
    with _lock:
        if not _readers:
            _filters.enter_context(warnings.catch_warnings())
            warnings.filterwarnings("ignore", module=r"(PIL|pydicom)\.")
        _readers.append(0)
    try:
        yield
    finally:
        with _lock:
            _readers.pop()
            if not _readers:
                _filters.close()
