"""Tiny images that carry a number in their mean color, which JPEG leaves readable, and rectangles for their masks."""

from __future__ import annotations

import io
from functools import cache
from pathlib import PurePosixPath

import numpy as np
import numpy.typing as npt
from PIL import Image

from convolve.values import Pixels

NUMBERS = 64
MASKED = 18
"""Numbers below this have masks of which no two are equal."""
_LEVELS = np.array([40, 100, 160, 220])
_FORMATS = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".bmp": "BMP", ".tif": "TIFF", ".tiff": "TIFF"}
_FORMATS |= {".gif": "GIF", ".webp": "WEBP"}
_ORIENTATION, _TO_THE_RIGHT = 0x0112, 6
Rectangle = tuple[int, int, int, int, int]
"""Class index, top, left, bottom, right."""


def shape(number: int) -> tuple[int, int]:
    """Height 8 to 11, width 8 to 12."""
    return 8 + number % 4, 8 + number // 4 % 5


@cache
def pixels(number: int, height: int = 0, width: int = 0) -> Pixels:
    """(H, W, 3) noise around a color of its own."""
    size = (height, width) if height else shape(number)
    color = _LEVELS[[number // 16, number // 4 % 4, number % 4]]
    noise = np.random.default_rng(number).integers(-14, 15, (*size, 3))
    return np.asarray(color + noise, dtype=np.uint8)


@cache
def gray(number: int, height: int, width: int) -> Pixels:
    """(height, width) noise around a gray of its own."""
    noise = np.random.default_rng(number).integers(-1, 2, (height, width))
    return np.asarray(2 + 4 * number + noise, dtype=np.uint8)


def identify(image: Pixels) -> int:
    """The number of an image (H, W, 1 or 3); -1 where there is none."""
    mean = image.mean((0, 1))
    if len(mean) == 1:
        return round((float(mean[0]) - 2) / 4)
    distances = np.abs(mean[:, None] - _LEVELS)
    if distances.min(1).max() > 20:
        return -1
    high, middle, low = distances.argmin(1)
    return int(16 * high + 4 * middle + low)


@cache
def encoded(number: int, suffix: str, turned: bool = False) -> bytes:
    """The file of an image; JPEG where the suffix says nothing. It may lie on its side, with an orientation."""
    if not turned:
        return encode(pixels(number), suffix)
    image = Image.fromarray(np.rot90(pixels(number)))
    exif = Image.Exif()
    exif[_ORIENTATION] = _TO_THE_RIGHT
    buffer = io.BytesIO()
    image.save(buffer, _FORMATS.get(suffix, "JPEG"), exif=exif)
    return buffer.getvalue()


@cache
def encoded_pages(number: int) -> bytes:
    """A TIFF of the image and of another one."""
    first, second = (Image.fromarray(pixels(each)) for each in (number, (number + 1) % NUMBERS))
    buffer = io.BytesIO()
    first.save(buffer, "TIFF", save_all=True, append_images=[second])
    return buffer.getvalue()


def encode(array: npt.NDArray[np.generic], suffix: str, mode: str | None = None, palette: bytes = b"") -> bytes:
    """A file of (H, W) or (H, W, 3) values; with a ``palette`` these are its indices."""
    if suffix.casefold() == ".dcm":
        return _encode_dicom(array)
    image = Image.fromarray(array)
    if mode:
        image = image.convert(mode)
    if palette:
        image.putpalette(palette)
    buffer = io.BytesIO()
    image.save(buffer, _FORMATS.get(suffix.casefold(), "JPEG"))
    return buffer.getvalue()


def _encode_dicom(array: npt.NDArray[np.generic]) -> bytes:
    """An uncompressed DICOM file of colors."""
    import pydicom

    document = pydicom.Dataset()
    document.file_meta = pydicom.dataset.FileMetaDataset()
    document.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    document.file_meta.MediaStorageSOPClassUID = document.SOPClassUID = pydicom.uid.SecondaryCaptureImageStorage
    document.file_meta.MediaStorageSOPInstanceUID = document.SOPInstanceUID = pydicom.uid.UID("1.2.3")
    document.Rows, document.Columns, document.SamplesPerPixel = array.shape
    document.PhotometricInterpretation, document.PlanarConfiguration = "RGB", 0
    document.BitsAllocated, document.BitsStored, document.HighBit, document.PixelRepresentation = 8, 8, 7, 0
    document.PixelData = array.tobytes() + bytes(array.size % 2)
    buffer = io.BytesIO()
    document.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def suffix_of(path: str) -> str:
    """In lower case."""
    return PurePosixPath(path).suffix.casefold()


def rectangles(number: int, classes: int) -> list[Rectangle]:
    """The objects of a mask, none over another, the larger first: class 1 in all, class 2 in two of three."""
    height, _ = shape(number)
    top, left = number % 3, number // 3 % 3
    found = [(1, top, left, top + 3 + number // 9 % 2, left + 4)]
    if classes > 2 and number % 3 != 1:
        found.append((2, height - 2, 0, height, 2 + number % 4))
    return found


def class_mask(number: int, classes: int) -> Pixels:
    """(H, W) class indices, 0 outside of the rectangles."""
    mask = np.zeros(shape(number), np.uint8)
    for index, top, left, bottom, right in rectangles(number, classes):
        mask[top:bottom, left:right] = index
    return mask
