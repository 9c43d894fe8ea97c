"""Images on disk or in memory, behind one protocol (`values.Images`): read one at a time, from any thread.

Files become pixels: upright, 8 bits a channel, gray or RGB, or an error that says why not. Pillow reads the header of
everything but DICOM, and decodes all but that and plain JPEGs, which OpenCV decodes a quarter faster to the same
pixels. Both release the interpreter lock. The price is that the library behind OpenCV may write a line about a slightly
damaged JPEG to the error stream; one that is cut short is refused before.
"""

from __future__ import annotations

import hashlib
import os
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any, Final, final

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from convolve.datasets import dicom
from convolve.datasets.jpeg import END, read_jpeg_header
from convolve.datasets.parallel import CHUNK, in_order
from convolve.errors import ImageError
from convolve.memory import blame_machine
from convolve.untrusted.files import IMAGE_BYTES, read_file
from convolve.untrusted.images import (
    TooCostlyError,
    check_cost,
    check_jpeg_cost,
    check_scans,
    open_image,
    silent_decoders,
)
from convolve.values import EncodedImage, Header, Images, Indices, Pixels

DIGEST_BYTES = 16
_WIDTH, _HEIGHT, _ORIENTATION = 0x0100, 0x0101, 0x0112  # tags of TIFF and EXIF
_GRAY_MODES: Final = frozenset({"1", "L", "LA", "I", "F"})
SIDEWAYS: Final = 5
"""The first of the EXIF orientations that exchange height and width."""
_PNG_METADATA: Final = (b"eXIf", b"exif", b"xmp")  # names all in which Pillow looks for a PNG's orientation
_JPEG_FLAGS: Final = {
    1: (cv2.IMREAD_COLOR_RGB, cv2.IMREAD_GRAYSCALE),
    2: (cv2.IMREAD_COLOR_RGB | cv2.IMREAD_REDUCED_GRAYSCALE_2, cv2.IMREAD_REDUCED_GRAYSCALE_2),
    4: (cv2.IMREAD_COLOR_RGB | cv2.IMREAD_REDUCED_GRAYSCALE_4, cv2.IMREAD_REDUCED_GRAYSCALE_4),
    8: (cv2.IMREAD_COLOR_RGB | cv2.IMREAD_REDUCED_GRAYSCALE_8, cv2.IMREAD_REDUCED_GRAYSCALE_8),
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


def read_digests(images: Images, workers: int | None = None) -> tuple[bytes, ...]:
    """The digest of every image, each file read once; empty bytes for a file that cannot be opened."""

    def read(index: int) -> bytes:
        try:
            return images.digest(index)
        except ImageError:
            return b""

    return tuple(in_order(read, range(len(images)), workers, CHUNK))


@final
@dataclass(frozen=True)
class EncodedFile(EncodedImage):
    """The bytes of an image file, and what to call it in errors."""

    blob: bytes
    name: str

    @cached_property
    def digest(self) -> bytes:
        """BLAKE2b of the bytes."""
        return hashlib.blake2b(self.blob, digest_size=DIGEST_BYTES).digest()

    @cached_property
    def header(self) -> Header:
        """What the file's header says. Raises `ImageError`."""
        if plain := read_jpeg_header(self.blob):
            return Header((plain.height, plain.width), plain.gray)
        if self.blob[128:132] == dicom.MARK or self.name.casefold().endswith(dicom.SUFFIXES):
            with _opened_dicom(self.blob, self.name) as document:
                return dicom.header_of(document)
        with _image_errors(self.blob, self.name), open_image(self.blob) as image:
            gray = image.mode in _GRAY_MODES or image.mode.startswith("I;")
            # Of a PNG without metadata Pillow would decode all pixels to see whether some come after them.
            bare = image.format == "PNG" and not any(word in self.blob for word in _PNG_METADATA)
            if not bare:
                check_cost(image, len(self.blob))
            size, orientation = (image.size, 1) if bare else _layout(image)
            return Header(size if orientation >= SIDEWAYS else size[::-1], gray, orientation)

    def decode(self, at_least: int = 0) -> Pixels:
        """(H, W, 1) gray or (H, W, 3) RGB uint8, turned as the EXIF orientation says.

        A JPEG whose shorter side exceeds ``at_least`` pixels comes at half, a quarter or an eighth of its size, as long
        as that side stays ``at_least`` long; 0 asks for full size. Transparency is laid over white, 16 bits become 8,
        CMYK becomes RGB, animations give their first frame. The array may be read-only. Safe to call from several
        threads. Raises `ImageError` naming the file when it is no image, is cut short, or exceeds `MAX_PIXELS`.
        """
        if header := read_jpeg_header(self.blob):
            if self.blob.rfind(END, header.scan) < 0:
                raise _cut_short(self.name)
            try:
                return _decode_jpeg(self.blob, gray=header.gray, scale=header.reduction(at_least))
            except Exception as error:
                with _image_errors(self.blob, self.name):
                    raise error
        if self.blob[128:132] == dicom.MARK or self.name.casefold().endswith(dicom.SUFFIXES):
            with _opened_dicom(self.blob, self.name) as document:
                return dicom.decode_dicom(document, self.name, len(self.blob))
        with _image_errors(self.blob, self.name), open_image(self.blob) as image:
            (width, height), jpeg = image.size, image.format in ("JPEG", "MPO")
            if at_least and jpeg:
                image.draft(None, (at_least, at_least))
            by_opencv = image.format == "JPEG" and image.mode in ("L", "RGB")
            if by_opencv:
                check_jpeg_cost(self.blob, width * height)
            else:
                check_cost(image, len(self.blob))
                check_scans(self.blob if jpeg else b"", width * height)
            if jpeg and not _complete(self.blob):
                raise _cut_short(self.name)
            size, orientation = _layout(image)
            if by_opencv:
                pixels = _decode_jpeg(self.blob, gray=image.mode == "L", scale=round(width / image.width))
            else:
                image.load()
                loaded = image if image.size == size else image.copy()  # whose size is that of its pixels
                eight_bits = loaded.mode in ("L", "RGB") and not loaded.has_transparency_data
                pixels = np.asarray(loaded if eight_bits else _eight_bits(loaded, self))
            if pixels.shape[1::-1] != size:
                raise ValueError(f"its pixels are not the {size[0]}x{size[1]} that it announces")
            turn = _UPRIGHT.get(orientation)
            pixels = pixels if turn is None else np.asarray(Image.fromarray(pixels).transpose(turn))
            return pixels if pixels.ndim == 3 else pixels[:, :, None]


@final
@dataclass(frozen=True, eq=False)
class EncodedArray(EncodedImage):
    """An image that is in memory already: ``pixels`` (H, W, 1 or 3) uint8."""

    pixels: Pixels

    @property
    def digest(self) -> bytes:
        """BLAKE2b of the shape and the pixels."""
        shape = b"%d %d %d " % self.pixels.shape
        return hashlib.blake2b(shape + self.pixels.tobytes(), digest_size=DIGEST_BYTES).digest()

    @property
    def header(self) -> Header:
        """Its shape."""
        height, width, channels = self.pixels.shape
        return Header((height, width), channels == 1)

    def decode(self, at_least: int = 0) -> Pixels:  # noqa: ARG002 - nothing is saved by reducing
        """(H, W, 1 or 3) uint8, a view."""
        return self.pixels


@final
@dataclass(frozen=True)
class ImageFiles(Images):
    """Image files; ``names`` are their paths below ``root`` (a path from the root of the disk stays as it is)."""

    root: Path
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    def name(self, index: int) -> str:
        """The path below ``root``."""
        return self.names[index]

    def open(self, index: int) -> EncodedFile:
        """Read a file. Raises `ImageError`."""
        name = self.names[index]
        try:
            return EncodedFile(read_file(os.path.join(self.root, name), IMAGE_BYTES), name)  # noqa: PTH118 - 3x as fast
        except OSError as error:
            blame_machine(error, name)
            reason = error.strerror or str(error)
            raise ImageError(f"{name} cannot be opened ({reason}); restore it or leave it out.") from error

    def take(self, indices: Indices) -> ImageFiles:
        """Some of the files, in the order asked."""
        return ImageFiles(self.root, tuple(self.names[index] for index in indices))


@final
@dataclass(frozen=True, eq=False)
class ImageArray(Images):
    """Images of one size in memory: ``array`` (N, H, W, 1 or 3) uint8, called ``label#0``, ``label#1`` and so on."""

    array: Pixels
    label: str

    def __len__(self) -> int:
        return len(self.array)

    def name(self, index: int) -> str:
        """``label#index``."""
        return f"{self.label}#{index}"

    def open(self, index: int) -> EncodedArray:
        """One image, a view."""
        return EncodedArray(self.array[index])

    def take(self, indices: Indices) -> TakenImages:
        """Some of the images, in the order asked, under their old names."""
        return TakenImages(self, np.asarray(indices, dtype=np.int64))


@final
@dataclass(frozen=True, eq=False)
class TakenImages(Images):
    """Some of other images, by ``indices`` (N,), under the names that they have there."""

    images: Images
    indices: Indices

    def __len__(self) -> int:
        return len(self.indices)

    def name(self, index: int) -> str:
        """As in the images it was taken from."""
        return self.images.name(int(self.indices[index]))

    def open(self, index: int) -> EncodedImage:
        """As in the images it was taken from. Raises `ImageError`."""
        return self.images.open(int(self.indices[index]))

    def take(self, indices: Indices) -> TakenImages:
        """Some of these, in the order asked."""
        return TakenImages(self.images, self.indices[indices])


@final
@dataclass(frozen=True)
class JoinedImages(Images):
    """Several collections, one after another."""

    parts: tuple[Images, ...]

    @cached_property
    def _starts(self) -> Sequence[int]:
        return list(accumulate((len(part) for part in self.parts), initial=0))

    def __len__(self) -> int:
        return self._starts[-1]

    def name(self, index: int) -> str:
        """As in the part that holds it."""
        part, inner = self._find(index)
        return part.name(inner)

    def open(self, index: int) -> EncodedImage:
        """As in the part that holds it. Raises `ImageError`."""
        part, inner = self._find(index)
        return part.open(inner)

    def take(self, indices: Indices) -> TakenImages:
        """Some of the images, in the order asked."""
        return TakenImages(self, np.asarray(indices, dtype=np.int64))

    def _find(self, index: int) -> tuple[Images, int]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        part = bisect_right(self._starts, index) - 1
        return self.parts[part], index - self._starts[part]


def to_channels(pixels: Pixels, channels: int) -> Pixels:
    """(H, W, 1 or 3) as (H, W, channels): gray repeated into RGB, or RGB weighed into gray (ITU-R BT.601)."""
    if pixels.shape[2] == channels:
        return pixels
    if channels == 3:
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB), dtype=np.uint8)
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), dtype=np.uint8)[:, :, None]


@contextmanager
def _image_errors(blob: bytes, name: str) -> Iterator[None]:
    """Make an `ImageError` with the image's name of whatever a decoder raises."""
    if not blob:
        raise ImageError(f"{name} is empty; copy it again or delete it.")
    try:
        yield
    except ImageError:
        raise
    except UnidentifiedImageError:
        raise ImageError(f"{name} is not an image in a supported format; save it as JPEG, PNG, TIFF or WebP.") from None
    except TooCostlyError as error:
        raise ImageError(f"{name} {error}; make it smaller.") from None
    except MemoryError as error:
        blame_machine(error, name)
        raise ImageError(f"{name} needs more memory than there is; make it smaller.") from None
    except Exception as error:  # a damaged file can make a decoder raise anything
        blame_machine(error, name)
        raise ImageError(f"{name} is damaged or cut short ({error}); copy it again or delete it.") from error


@contextmanager
def _opened_dicom(blob: bytes, name: str) -> Iterator[Any]:
    """What a DICOM file holds. Raises `ImageError`, as all that is done with it does."""
    with _image_errors(blob, name), silent_decoders():
        yield dicom.read_dicom(blob, name)


def _decode_jpeg(blob: bytes, *, gray: bool, scale: int) -> Pixels:
    """(H, W, 1 or 3), at 1 / ``scale`` (1, 2, 4 or 8) of the size, as it lies in the file. Raises `ValueError`."""
    flag = _JPEG_FLAGS[scale][gray] | cv2.IMREAD_IGNORE_ORIENTATION
    decoded = cv2.imdecode(np.frombuffer(blob, np.uint8), flag)
    if decoded is None:
        raise ValueError("its decoder gives up")
    return np.asarray(decoded[:, :, None] if gray else decoded, dtype=np.uint8)


def _cut_short(name: str) -> ImageError:
    return ImageError(
        f"{name} is cut short (its end marker is missing); copy it again or delete it, or save it anew if all of it is "
        "there."
    )


def _complete(blob: bytes) -> bool:
    """Whether a JPEG ends: an end marker follows its scan. (An embedded thumbnail has an end marker of its own; bytes
    that are missing may have been filled with zeros, which decode without complaint.)
    """
    position = 2
    while blob[position : position + 1] == b"\xff" and blob[position + 1] != 0xDA:
        padding = blob[position + 1] == 0xFF
        position += 1 if padding else 2 + int.from_bytes(blob[position + 2 : position + 4], "big")
    return blob.rfind(END, position) >= 0


def _layout(image: Image.Image) -> tuple[tuple[int, int], int]:
    """Width and height of the pixels as they lie in the file, and the EXIF orientation: 1 to 8, and 1 for whatever else
    may be there. It is taken out, or else Pillow would turn a TIFF by itself, whose sides it has exchanged by now.
    """
    if image.format == "PNG":
        image.load()  # the orientation may come after the pixels
    tags = getattr(image, "tag_v2", None)
    size = image.size if tags is None else (tags[_WIDTH], tags[_HEIGHT])
    try:
        orientation = image.getexif().pop(_ORIENTATION, 1)
    except Exception:  # noqa: BLE001 - damaged metadata can raise anything, and the image is good without
        orientation = 1
    return size, orientation if isinstance(orientation, int) and orientation in _UPRIGHT else 1


def _eight_bits(image: Image.Image, encoded: EncodedFile) -> Image.Image:
    """The same image in mode L or RGB, without transparency."""
    if image.mode == "1" and image.format == "BMP":  # Pillow takes 8 bits of black and white for one
        decoded = cv2.imdecode(np.frombuffer(encoded.blob, np.uint8), cv2.IMREAD_GRAYSCALE)
        return Image.fromarray(np.asarray(decoded, np.uint8))
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        values = np.asarray(image)
        if values.dtype.kind == "f" or values.min() < 0 or values.max() > 65535:
            raise ImageError(f"{encoded.name} has 32 bits a channel; save it with 8 or 16.")
        return Image.fromarray(((values.astype(np.uint32) + 128) // 257).astype(np.uint8))
    gray = image.mode in _GRAY_MODES
    if image.mode == "P":
        palette = np.array(image.getpalette("RGB")).reshape(-1, 3)
        gray = bool((palette == palette[:, :1]).all())
    if image.has_transparency_data:
        over = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", over.size, "white"), over)
    return image.convert("L" if gray else "RGB")
