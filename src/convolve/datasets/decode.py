"""Image files become pixels: upright, 8 bits a channel, gray or RGB, or an error that says why not.

Pillow reads the header of everything and decodes all but plain JPEGs, which OpenCV decodes a quarter faster to the same
pixels. Both release the interpreter lock. The price is that the library behind OpenCV may write a line about a slightly
damaged JPEG to the error stream; one that is cut short is refused before.
"""

from __future__ import annotations

import io
import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final, NamedTuple

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from convolve.errors import ImageError
from convolve.values import Pixels

FORMATS: Final = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "AVIF")
"""Pillow's names of the formats that are read; no other decoder ever sees the bytes."""
MAX_PIXELS: Final = 89_478_485
"""Pixels of the largest image that is decoded: what fills 256 MiB at three bytes each."""

logging.getLogger("PIL").addHandler(logging.NullHandler())  # what it logs, the error says
_ORIENTATION: Final = 0x0112
_GRAY_MODES: Final = frozenset({"1", "L", "LA", "I", "F"})
_SIDEWAYS: Final = 5
"""The first of the orientations that exchange height and width."""
_JPEG_FLAGS: Final = {
    1: (cv2.IMREAD_COLOR, cv2.IMREAD_GRAYSCALE),
    2: (cv2.IMREAD_REDUCED_COLOR_2, cv2.IMREAD_REDUCED_GRAYSCALE_2),
    4: (cv2.IMREAD_REDUCED_COLOR_4, cv2.IMREAD_REDUCED_GRAYSCALE_4),
    8: (cv2.IMREAD_REDUCED_COLOR_8, cv2.IMREAD_REDUCED_GRAYSCALE_8),
}
_UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_lock: Final = threading.Lock()
_reading: Final[list[str]] = []
"""The names of the images that are being read just now, by any thread."""
_filters: Final = ExitStack()
"""Restores the filters of warnings that there were before the first of them."""


def decode(blob: bytes, name: str, at_least: int = 0) -> Pixels:
    """Read one image file's bytes as (H, W, 1) gray or (H, W, 3) RGB uint8, turned as its EXIF orientation says.

    A JPEG whose shorter side exceeds ``at_least`` pixels comes at half, a quarter or an eighth of its size, as long as
    that side stays ``at_least`` long; 0 asks for full size. Transparency is laid over white, 16 bits become 8, CMYK
    becomes RGB, animations give their first frame. The array may be read-only. Safe to call from several threads.
    Raises `ImageError` naming ``name`` when the bytes are no image, are cut short, or hold more than `MAX_PIXELS`.
    """
    with _naming_errors(blob, name):
        image: Image.Image = Image.open(io.BytesIO(blob), formats=FORMATS)
        width = image.width
        if at_least and image.format in ("JPEG", "MPO"):
            image.draft(None, (at_least, at_least))
        if image.width * image.height > MAX_PIXELS:
            raise _too_large(name)
        if image.format in ("JPEG", "MPO") and not _complete(blob):
            raise ImageError(f"{name} is cut short (its end marker is missing); copy it again or delete it.")
        plain = image.format == "JPEG" and image.mode in ("L", "RGB")
        if not plain:
            image.load()  # turns a TIFF upright by itself
        turn = _UPRIGHT.get(_orientation(image))
        if plain:
            pixels = _plain_jpeg(blob, name, gray=image.mode == "L", scale=round(width / image.width))
        else:
            pixels = np.asarray(_eight_bits(image, name))
        if turn is not None:
            pixels = np.asarray(Image.fromarray(pixels).transpose(turn))
        return pixels if pixels.ndim == 3 else pixels[:, :, None]


class Header(NamedTuple):
    """What an image file's header says of the upright image; ``gray`` where it rules out color."""

    height: int
    width: int
    gray: bool


def read_header(blob: bytes, name: str) -> Header:
    """Read an image file's header and decode nothing. Raises `ImageError`."""
    with _naming_errors(blob, name):
        image = Image.open(io.BytesIO(blob), formats=FORMATS)
        gray = image.mode in _GRAY_MODES or image.mode.startswith("I;")
        if image.format != "TIFF" and _orientation(image) >= _SIDEWAYS:  # a TIFF says its upright size
            return Header(image.width, image.height, gray)
        return Header(image.height, image.width, gray)


@contextmanager
def _naming_errors(blob: bytes, name: str) -> Iterator[None]:
    """Whatever a decoder raises becomes an `ImageError` with the image's name, and its warnings are silent.

    The filters of warnings belong to the whole process; the last of several readers to leave restores them.
    """
    if not blob:
        raise ImageError(f"{name} is empty; copy it again or delete it.")
    with _lock:
        if not _reading:
            _filters.enter_context(warnings.catch_warnings())
            warnings.filterwarnings("ignore", module=r"PIL\.")
        _reading.append(name)
    try:
        yield
    except ImageError:
        raise
    except UnidentifiedImageError:
        raise ImageError(f"{name} is not an image in a supported format; save it as JPEG, PNG, TIFF or WebP.") from None
    except Image.DecompressionBombError:
        raise _too_large(name) from None
    except Exception as error:  # a damaged file can make a decoder raise anything
        raise ImageError(f"{name} is damaged or cut short ({error}); copy it again or delete it.") from error
    finally:
        with _lock:
            _reading.remove(name)
            if not _reading:
                _filters.close()


def to_channels(pixels: Pixels, channels: int) -> Pixels:
    """(H, W, 1 or 3) as (H, W, channels): gray repeated into RGB, or RGB weighed into gray (ITU-R BT.601)."""
    if pixels.shape[2] == channels:
        return pixels
    if channels == 3:
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB), dtype=np.uint8)
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), dtype=np.uint8)[:, :, None]


def _plain_jpeg(blob: bytes, name: str, *, gray: bool, scale: int) -> Pixels:
    """(H, W) or (H, W, 3), at 1 / ``scale`` (1, 2, 4 or 8) of the size, as it lies in the file."""
    flag = _JPEG_FLAGS[scale][gray] | cv2.IMREAD_IGNORE_ORIENTATION
    decoded = cv2.imdecode(np.frombuffer(blob, np.uint8), flag)
    if decoded is None:
        raise ImageError(f"{name} is damaged; copy it again or delete it.")
    return np.asarray(decoded if gray else cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def _too_large(name: str) -> ImageError:
    return ImageError(f"{name} has more than {MAX_PIXELS // 1_000_000} million pixels; make it smaller.")


def _complete(blob: bytes) -> bool:
    """Whether a JPEG ends: an end marker follows its scan. (An embedded thumbnail has an end marker of its own; bytes
    that are missing may have been filled with zeros, which decode without complaint.)
    """
    position = 2
    while blob[position : position + 1] == b"\xff" and blob[position + 1] != 0xDA:
        padding = blob[position + 1] == 0xFF
        position += 1 if padding else 2 + int.from_bytes(blob[position + 2 : position + 4], "big")
    return blob.rfind(b"\xff\xd9", position) >= 0


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 where there is none or it cannot be read."""
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # noqa: BLE001 - damaged metadata can raise anything, and the image is good without
        return 1


def _eight_bits(image: Image.Image, name: str) -> Image.Image:
    """The same image in mode L or RGB."""
    if image.mode in ("L", "RGB") and not image.has_transparency_data:
        return image
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        return _from_deep(image, name)
    gray = image.mode in _GRAY_MODES or (image.mode == "P" and _gray_palette(image))
    if image.has_transparency_data:
        over = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", over.size, "white"), over).convert("L" if gray else "RGB")
    return image.convert("L" if gray else "RGB")


def _gray_palette(image: Image.Image) -> bool:
    entries = np.array(image.getpalette("RGB")).reshape(-1, 3)
    return bool((entries == entries[:, :1]).all())


def _from_deep(image: Image.Image, name: str) -> Image.Image:
    values = np.asarray(image)
    if values.dtype.kind == "f" or values.min() < 0 or values.max() > 65535:
        raise ImageError(f"{name} has 32 bits a channel; save it with 8 or 16.")
    return Image.fromarray(((values.astype(np.uint32) + 128) // 257).astype(np.uint8))
