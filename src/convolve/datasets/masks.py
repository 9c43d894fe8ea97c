"""Masks, the class of every pixel: image files of class numbers or colors, and how they follow an image's changes."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, final

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from convolve.datasets.cache import PixelSource
from convolve.datasets.images import DIGEST_BYTES
from convolve.datasets.parallel import in_order
from convolve.errors import ImageError
from convolve.values import IGNORE, Color, Indices, Masks, Matrices, Pixels, Preprocessing

READERS = 2
IN_MEMORY = 2**30
"""Bytes of decoded masks that are kept for the next epoch."""
_BAND = 2**20  # pixels of a large mask that are looked at together
_OVER = 0.5  # share of the classes' colors over a picture
_BREAKING = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)


@final
@dataclass(frozen=True)
class MaskFiles:
    """Image files below ``root``, one per image. A pixel's stored value, a number or a color as in ``stored``, means
    the class at its place there; ``ignored`` values mean none.
    """

    root: Path
    names: tuple[str, ...]
    stored: tuple[int | Color, ...]
    colors: tuple[Color, ...]
    ignored: tuple[int | Color, ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    def read(self, index: int) -> Pixels:
        """(H, W) class numbers. Raises `ImageError`, also for a value that names no class."""
        return as_numbers(raw_mask(self.root / self.names[index]), self.stored, self.ignored, self.names[index])

    def digest(self, index: int) -> bytes:
        """BLAKE2b of the file's bytes. Raises `ImageError`."""
        try:
            return hashlib.blake2b((self.root / self.names[index]).read_bytes(), digest_size=DIGEST_BYTES).digest()
        except OSError as error:
            raise ImageError(f"{self.names[index]} cannot be opened ({error.strerror}); restore it.") from error


def as_numbers(
    raw: npt.NDArray[np.integer[Any]], stored: Sequence[int | Color], ignored: Sequence[int | Color], name: str
) -> Pixels:
    """The class number of every stored value, `IGNORE` for those that are ``ignored``. Raises `ImageError` for a value
    that names no class, in which ``name`` is the mask's.
    """
    known = np.array([_as_number(value) for value in (*stored, *ignored)])
    order = np.argsort(known)
    known, meaning = known[order], np.array([*range(len(stored)), *[IGNORE] * len(ignored)], np.uint8)[order]
    numbers = np.empty(raw.size, np.uint8)
    for start in range(0, raw.size, _BAND):
        band = raw.reshape(-1)[start : start + _BAND]
        places = np.searchsorted(known, band).clip(max=len(known) - 1)
        strange = band[known[places] != band]
        if len(strange):
            raise ImageError(f"{name} holds the value {_as_text(int(strange[0]))}, which names no class.")
        numbers[start : start + _BAND] = meaning[places]
    return numbers.reshape(raw.shape)


@final
@dataclass(frozen=True, eq=False)
class MaskArray:
    """Masks of one size in memory: ``array`` (N, H, W) class numbers."""

    array: Pixels
    colors: tuple[Color, ...]

    def __len__(self) -> int:
        return len(self.array)

    def read(self, index: int) -> Pixels:
        """(H, W), a view."""
        pixels: Pixels = self.array[index]
        return pixels

    def digest(self, index: int) -> bytes:
        """BLAKE2b of the shape and the class numbers."""
        pixels = self.array[index]
        return hashlib.blake2b(b"%d %d " % pixels.shape + pixels.tobytes(), digest_size=DIGEST_BYTES).digest()


def raw_mask(place: Path) -> npt.NDArray[np.integer[Any]]:
    """(H, W) what a mask's file stores: palette indices or gray levels as they are, colors as 65536 r + 256 g + b,
    made larger by 2**24 so that no color is taken for a number. Raises `ImageError`.
    """
    try:
        with Image.open(place) as file:
            if file.mode in ("1", "P", "L", "I;16", "I"):
                return np.asarray(file.convert("L") if file.mode == "1" else file)
            red, green, blue = np.moveaxis(np.asarray(file.convert("RGB")), -1, 0)
    except _BREAKING as error:
        raise ImageError(f"{place} cannot be read as a mask ({error}); restore it or leave its image out.") from error
    wide = 2**24 + (red.astype(np.int32) << 16) + (green.astype(np.int32) << 8) + blue
    return np.asarray(wide, dtype=np.int32)


@final
class MaskTruth:
    """Masks as the network's answers should be: each follows the change that its image went through."""

    def __init__(self, masks: Masks, source: PixelSource, preprocessing: Preprocessing) -> None:
        self._masks, self._source, self._preprocessing = masks, source, preprocessing
        self._kept: OrderedDict[int, Pixels] = OrderedDict()
        self._bytes, self._lock = 0, Lock()

    def targets(self, indices: Indices, matrices: Matrices) -> Pixels:
        """(N, height, width) uint8 class numbers of the frame, resampled once, by the nearest pixel."""
        frame = (len(indices), self._preprocessing.height, self._preprocessing.width)
        found = np.empty(frame, np.uint8)
        for index, matrix, result in zip(indices.tolist(), matrices, found, strict=True):
            mask = self._read(index)
            shown = self._source.get(index).shape[:2]
            scales = np.array([shown[1] / mask.shape[1], shown[0] / mask.shape[0]])
            result[...] = moved(mask, matrix * np.array([*scales, 1.0]), self._preprocessing)
        return found

    def _read(self, index: int) -> Pixels:
        with self._lock:
            if index in self._kept:
                self._kept.move_to_end(index)
                return self._kept[index]
        mask = self._masks.read(index)
        with self._lock:
            self._kept[index] = mask
            self._bytes += mask.size
            while self._bytes > IN_MEMORY and len(self._kept) > 1:
                self._bytes -= self._kept.popitem(last=False)[1].size
        return mask


def moved(mask: Pixels, matrix: Matrices, preprocessing: Preprocessing) -> Pixels:
    """(height, width) a mask as its matrix (2, 3; see `geometry`) lays it into the frame, by the nearest pixel.

    What lies beyond it is its mirror image as in `geometry.warp`; with `letterbox` it is `IGNORE`.
    """
    centerd = matrix.copy()  # OpenCV counts from the first pixel's center
    centerd[:, 2] += matrix[:, :2].sum(axis=1) / 2 - 0.5
    border = cv2.BORDER_CONSTANT if preprocessing.fit == "letterbox" else cv2.BORDER_REFLECT_101
    size = (preprocessing.width, preprocessing.height)
    laid = cv2.warpAffine(mask, centerd, size, flags=cv2.INTER_NEAREST, borderMode=border, borderValue=[IGNORE])
    return np.asarray(laid, dtype=np.uint8)


def _as_number(value: int | Color) -> int:
    return value if isinstance(value, int) else 2**24 + 65536 * value[0] + 256 * value[1] + value[2]


def _as_text(number: int) -> str:
    if number < 2**24:
        return str(number)
    return " ".join(str(number >> shift & 255) for shift in (16, 8, 0))


def shown_in(colors: Sequence[Color], mask: Pixels) -> Pixels:
    """(H, W, 3) a mask in its classes' colors; what is ignored is white."""
    table = np.full((IGNORE + 1, 3), 255, np.uint8)
    table[: len(colors)] = colors
    return np.asarray(table[mask])


def laid_over(picture: Pixels, mask: Pixels, colors: Sequence[Color]) -> Pixels:
    """(H, W, 3) a picture of that shape half in its classes' colors, and as it is where no class is meant."""
    mixed = (1 - _OVER) * picture + _OVER * shown_in(colors, mask)
    return np.where((mask != IGNORE)[..., None], mixed, picture).round().astype(np.uint8)


@final
@dataclass(frozen=True, eq=False)
class ChosenMasks:
    """Other masks with some of their classes, in another order; the rest is `IGNORE`. ``table`` (256,) has the new
    number of each old one.
    """

    masks: Masks
    table: Pixels
    colors: tuple[Color, ...]

    def __len__(self) -> int:
        return len(self.masks)

    def read(self, index: int) -> Pixels:
        """(H, W) class numbers. Raises `ImageError`."""
        numbers: Pixels = self.table[self.masks.read(index)]
        return numbers

    def digest(self, index: int) -> bytes:
        """As of the masks that they were chosen from. Raises `ImageError`."""
        return self.masks.digest(index)


def chosen(masks: Masks, places: Sequence[int]) -> Masks:
    """The masks with the classes at ``places`` alone, in that order; -1 makes one that does not occur."""
    if list(places) == list(range(len(masks.colors))):
        return masks
    table = np.full(IGNORE + 1, IGNORE, np.uint8)
    for new, old in enumerate(places):
        if old >= 0:
            table[old] = new
    return ChosenMasks(masks, table, tuple(masks.colors[old] if old >= 0 else (0, 0, 0) for old in places))


def pixels_by_class(mask: Pixels, classes: int) -> Indices:
    """(classes,) how many pixels of each class a mask holds."""
    flat = mask.reshape(-1)
    bands = [flat[start : start + _BAND] for start in range(0, len(flat), _BAND)]
    counts = [np.bincount(band, minlength=IGNORE + 1)[:classes] for band in bands]
    return np.asarray(np.sum(counts, axis=0), dtype=np.int64)


def pixel_counts(masks: Masks, indices: Indices, classes: int) -> Indices:
    """(N, classes) pixels of each class in some masks; none in one that cannot be read."""

    def counted(index: int) -> Indices:
        try:
            return pixels_by_class(masks.read(index), classes)
        except ImageError:
            return np.zeros(classes, dtype=np.int64)

    return np.stack(list(in_order(counted, indices.tolist(), READERS)))


def class_flags(masks: Masks) -> Pixels:
    """(N, classes) which classes occur in each mask; none in one that cannot be read."""
    counts = pixel_counts(masks, np.arange(len(masks)), len(masks.colors))
    return (counts > 0).astype(np.uint8)
