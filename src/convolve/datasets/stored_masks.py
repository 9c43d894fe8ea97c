"""What the files of masks store: numbers or colors, told apart and converted into one another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from convolve.errors import ImageError
from convolve.memory import blame_machine
from convolve.untrusted.files import IMAGE_BYTES, read_file
from convolve.untrusted.images import TooCostlyError, check_cost, open_image
from convolve.values import IGNORE, Color, Pixels

Numbers = npt.NDArray[np.integer[Any]]
COLOR = 2**24
"""From here on a stored number is a color, so that none is taken for a class index."""
TRANSPARENT = 2**25
"""Stands for a pixel that is transparent, whatever its color."""
_GRAY = 65536 + 256 + 1
_COST = 8  # bytes that the stored number of a pixel takes, with a copy
GRAYS: Final = COLOR + _GRAY * np.arange(256)
"""(256,) the colors of a palette of grays: what GIF and BMP files have that are opened as gray images."""
_BAND = 2**20  # pixels of a large mask that are processed together


@dataclass(frozen=True, eq=False)
class StoredMask:
    """One mask as it is stored: ``values`` (H, W) are gray levels or indices of a palette, or colors as
    `stored_number` gives them. ``palette`` (256,) has the color of each index, where there is one; ``format`` is
    the file's.
    """

    values: Numbers
    palette: Numbers | None = None
    format: str | None = None

    def translate(self, values: Numbers, by_color: bool) -> Numbers:
        """Some of the values as colors, or as numbers: gray v is the color (v, v, v), other colors stay."""
        if self.palette is not None:
            return self.palette[values] if by_color else values
        if by_color:
            return np.where(values < COLOR, COLOR + _GRAY * values.astype(np.int64), values)
        if values.dtype == np.uint8:
            return values
        gray = values & 255
        return np.where(values == COLOR + _GRAY * gray.astype(np.int64), gray, values)


def read_stored(path: Path) -> StoredMask:
    """Read a mask's file. Raises `ImageError`, also where the file is compressed so that its values are not exact."""
    try:
        blob = read_file(path, IMAGE_BYTES)
        with open_image(blob) as file:
            check_cost(file, len(blob), more=_COST)
            if file.format == "WEBP" and b"VP8L" not in blob[:64]:
                raise ImageError(_lossy(str(path), "lossy WebP"))
            if file.format == "BMP" and file.mode == "1":  # Pillow takes 8 bits of black and white for one
                gray = cv2.imdecode(np.frombuffer(blob, np.uint8), cv2.IMREAD_GRAYSCALE)
                return StoredMask(np.asarray(gray, np.uint8), format=file.format)
            return store(file, str(path))
    except ImageError:
        raise
    except TooCostlyError as error:
        raise ImageError(f"{path} {error}; make it smaller or leave its image out.") from None
    except Exception as error:  # a damaged file can make a decoder raise anything
        blame_machine(error, str(path))
        reason = "no known format" if isinstance(error, UnidentifiedImageError) else str(error)
        raise ImageError(f"{path} cannot be read as a mask ({reason}); restore it or leave its image out.") from error


def store(file: Image.Image, name: str) -> StoredMask:
    """What an opened image stores, upright. Raises `ImageError` for one whose values are not exact or no classes."""
    if file.format in ("JPEG", "MPO", "AVIF") or (file.format == "TIFF" and file.info.get("compression") == "jpeg"):
        raise ImageError(_lossy(name, "AVIF" if file.format == "AVIF" else "JPEG"))
    file.load()  # turns a TIFF upright by itself
    ImageOps.exif_transpose(file, in_place=True)
    if file.mode == "P":
        return StoredMask(np.asarray(file), _palette(file), file.format)
    if file.mode in ("1", "L"):
        if file.has_transparency_data:
            return StoredMask(_colors(file.convert("RGBA"), name))
        return StoredMask(np.asarray(file.convert("L")), format=file.format)
    if file.mode in ("I", "F") or file.mode.startswith("I;"):
        deep = np.asarray(file)
        if deep.size and (deep.min() < 0 or deep.max() >= 2**16 or (deep != np.trunc(deep)).any()):
            raise ImageError(f"{name} holds values that are no whole numbers from 0 to 65535; export it as 8-bit PNG.")
        return StoredMask(deep.astype(np.int32))
    return StoredMask(_colors(file.convert("RGBA" if file.has_transparency_data else "RGB"), name))


def class_indices(values: Numbers, stored: Sequence[int | Color], ignored: Sequence[int | Color], name: str) -> Pixels:
    """The class index of every stored value, `IGNORE` for those that are ``ignored``. Raises `ImageError` for a value
    that names no class; ``name`` is the mask's.
    """
    known = np.array([stored_number(value) for value in (*stored, *ignored)])
    order = np.argsort(known)
    known, meaning = known[order], np.array([*range(len(stored)), *[IGNORE] * len(ignored)], np.uint8)[order]
    result = np.empty(values.size, np.uint8)
    for start in range(0, values.size, _BAND):
        band = values.reshape(-1)[start : start + _BAND]
        positions = np.searchsorted(known, band).clip(max=len(known) - 1)
        unknown = band[known[positions] != band]
        if len(unknown):
            raise ImageError(f"{name} holds the value {_as_text(int(unknown[0]))}, which names no class.")
        result[start : start + _BAND] = meaning[positions]
    return result.reshape(values.shape)


def stored_number(value: int | Color) -> int:
    """A gray level, palette index or color as a single number: colors are 65536 r + 256 g + b plus `COLOR`."""
    return value if isinstance(value, int) else COLOR + 65536 * value[0] + 256 * value[1] + value[2]


def stored_color(number: int) -> Color:
    """The color that such a number stands for."""
    return number >> 16 & 255, number >> 8 & 255, number & 255


def are_colors(stored: Sequence[int | Color]) -> bool:
    """Whether values are to be read as colors rather than numbers."""
    return any(isinstance(value, tuple) or value == TRANSPARENT for value in stored)


def _colors(image: Image.Image, name: str) -> Numbers:
    """(H, W) the colors of an image in mode RGB or RGBA. Raises `ImageError` for soft transparency."""
    red, green, blue, *alpha = np.moveaxis(np.asarray(image), -1, 0)
    colors: Numbers = red.astype(np.int32)
    for channel in (green, blue):  # in place: a large mask has no room for copies
        colors <<= 8
        colors |= channel
    colors += COLOR
    if alpha:
        levels = np.unique(alpha[0])
        if len(levels) > 2:
            raise ImageError(f"{name} is a mask with half-transparent edges; save it without smoothing.")
        if levels[0] == 0:
            colors[alpha[0] == 0] = TRANSPARENT
    return colors


def _palette(image: Image.Image) -> Numbers:
    """(256,) the color of each index."""
    image.apply_transparency()
    flat = image.getpalette("RGBA") or []
    entries = np.zeros((256, 4), np.int32)
    entries[: len(flat) // 4] = np.array(flat[:1024], np.int32).reshape(-1, 4)
    entries[len(flat) // 4 :, 3] = 255
    colors = COLOR + (entries[:, 0] << 16) + (entries[:, 1] << 8) + entries[:, 2]
    return np.where(entries[:, 3] == 0, np.int32(TRANSPARENT), colors)


def _lossy(name: str, compression: str) -> str:
    return f"{name} is a mask saved as {compression}, which changes its values; export it as PNG."


def _as_text(number: int) -> str:
    if number == TRANSPARENT:
        return "transparent"
    return str(number) if number < COLOR else " ".join(map(str, stored_color(number)))
