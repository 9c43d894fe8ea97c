"""Opening an image of unknown origin: listed formats alone, and no more pixels than its bytes vouch for."""

from __future__ import annotations

import io
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
"""Further bytes for each byte of the file. Photographs need 10 to 60; what is one color takes thousands."""
_COST: Final[Mapping[str, int]] = {"1": 5, "L": 5, "P": 13, "RGB": 16, "I;16": 18}
"""Bytes that decoding takes a pixel at its peak, all copies together, by Pillow's mode."""
_LARGEST_COST: Final = 28  # of the other modes, such as RGBA
_CANVAS: Final = 11  # more in a format of animations, whose decoders keep a canvas
_ANIMATED: Final = frozenset(("GIF", "WEBP", "AVIF"))
_SCAN: Final = b"\xff\xda"
_lock: Final = threading.Lock()
_filters: Final = ExitStack()
"""Restores the filters of warnings that there were before the first of the readers that are at work."""
_readers: Final[list[int]] = []
"""One entry for each of them, in any thread."""


@contextmanager
def open_image(content: bytes) -> Iterator[Image.Image]:
    """An image whose header is known, by Pillow. Raises `ValueError` for what is no image in one of the `FORMATS`.

    Its size is not yet checked: see `check_cost`.
    """
    with silent_decoders():
        try:
            image = Image.open(io.BytesIO(content), formats=FORMATS)
        except UnidentifiedImageError:
            raise ValueError("no known format") from None
        with image:
            yield image


def check_cost(image: Image.Image, length: int, pages: int = 1) -> None:
    """Raise `ValueError` where decoding ``pages`` of an image takes more memory than a file of ``length`` bytes
    vouches for, or more than `MAX_PIXELS` each.
    """
    pixels = image.width * image.height
    if pixels > MAX_PIXELS:
        raise ValueError(f"it has more than {MAX_PIXELS // 10**6} million pixels")
    cost = _COST.get(image.mode, _LARGEST_COST) + (_CANVAS if image.format in _ANIMATED else 0)
    if pixels * cost * pages > _FREE + _VOUCHED * length:
        raise ValueError(
            f"its {length:,} bytes announce {pages * pixels / 10**6:,.0f} million pixels, which takes "
            f"{pages * pixels * cost / 2**20:,.0f} MiB"
        )


def check_scans(jpeg: bytes, pixels: int) -> None:
    """Raise `ValueError` for a JPEG of so many scans that decoding takes seconds, and cannot be interrupted."""
    scans = jpeg.count(_SCAN)
    if scans * pixels > MAX_PASSES:
        raise ValueError(f"its {pixels / 10**6:,.1f} million pixels are stored in {scans:,} scans")


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
