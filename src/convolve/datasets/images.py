"""Images on disk or in memory, behind one protocol (`values.Images`): read one at a time, from any thread."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import final

import numpy as np

from convolve.datasets.decode import Header, decode, read_header
from convolve.datasets.parallel import CHUNK, in_order
from convolve.errors import ImageError
from convolve.values import EncodedImage, Images, Indices, Pixels

DIGEST_BYTES = 16


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

    @property
    def size(self) -> tuple[int, int]:
        """Height and width, from the header. Raises `ImageError`."""
        return self._header.height, self._header.width

    @property
    def gray(self) -> bool:
        """Whether the header rules out color. Raises `ImageError`."""
        return self._header.gray

    def decode(self, at_least: int = 0) -> Pixels:
        """(H, W, 1 or 3) uint8 upright pixels; see `decode.decode`. Raises `ImageError`."""
        return decode(self.blob, self.name, at_least)

    @cached_property
    def _header(self) -> Header:
        return read_header(self.blob, self.name)


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
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.pixels.shape[0], self.pixels.shape[1]

    @property
    def gray(self) -> bool:
        """Whether there is one channel."""
        return bool(self.pixels.shape[2] == 1)

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
            return EncodedFile((self.root / name).read_bytes(), name)
        except OSError as error:
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
