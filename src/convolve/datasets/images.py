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

from convolve.datasets.decode import decode, size
from convolve.errors import ImageError
from convolve.values import Images, Indices, Pixels

DIGEST_BYTES = 16


@final
@dataclass(frozen=True)
class ImageFiles:
    """Image files; ``names`` are their paths below ``root`` (a path from the root of the disk stays as it is)."""

    root: Path
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    def name(self, index: int) -> str:
        """The path below ``root``."""
        return self.names[index]

    def read(self, index: int, at_least: int = 0) -> Pixels:
        """(H, W, 1 or 3) uint8 upright pixels; see `decode`. Raises `ImageError`."""
        return decode(self._bytes(index), self.names[index], at_least)

    def size(self, index: int) -> tuple[int, int]:
        """Height and width, from the file's header. Raises `ImageError`."""
        return size(self._bytes(index), self.names[index])

    def digest(self, index: int) -> bytes:
        """BLAKE2b of the file's bytes. Raises `ImageError`."""
        return hashlib.blake2b(self._bytes(index), digest_size=DIGEST_BYTES).digest()

    def take(self, indices: Indices) -> ImageFiles:
        """Some of the files, in the order asked."""
        return ImageFiles(self.root, tuple(self.names[index] for index in indices))

    def _bytes(self, index: int) -> bytes:
        try:
            return (self.root / self.names[index]).read_bytes()
        except OSError as error:
            why = error.strerror or str(error)
            raise ImageError(f"{self.names[index]} cannot be opened ({why}); restore it or leave it out.") from error


@final
@dataclass(frozen=True, eq=False)
class ImageArray:
    """Images of one size in memory: ``array`` (N, H, W, 1 or 3) uint8, called ``label#0``, ``label#1`` and so on."""

    array: Pixels
    label: str

    def __len__(self) -> int:
        return len(self.array)

    def name(self, index: int) -> str:
        """``label#index``."""
        return f"{self.label}#{index}"

    def read(self, index: int, at_least: int = 0) -> Pixels:  # noqa: ARG002 - nothing is saved by reducing
        """(H, W, C) uint8, a view."""
        pixels: Pixels = self.array[index]
        return pixels

    def size(self, index: int) -> tuple[int, int]:  # noqa: ARG002 - all are alike
        """Height and width."""
        return self.array.shape[1], self.array.shape[2]

    def digest(self, index: int) -> bytes:
        """BLAKE2b of the shape and the pixels."""
        pixels = self.array[index]
        return hashlib.blake2b(b"%d %d %d " % pixels.shape + pixels.tobytes(), digest_size=DIGEST_BYTES).digest()

    def take(self, indices: Indices) -> TakenImages:
        """Some of the images, in the order asked, under their old names."""
        return TakenImages(self, np.asarray(indices, dtype=np.int64))


@final
@dataclass(frozen=True, eq=False)
class TakenImages:
    """Some of other images, by ``indices`` (N,), under the names that they have there."""

    images: Images
    indices: Indices

    def __len__(self) -> int:
        return len(self.indices)

    def name(self, index: int) -> str:
        """As in the images it was taken from."""
        return self.images.name(int(self.indices[index]))

    def read(self, index: int, at_least: int = 0) -> Pixels:
        """As in the images it was taken from. Raises `ImageError`."""
        return self.images.read(int(self.indices[index]), at_least)

    def size(self, index: int) -> tuple[int, int]:
        """As in the images it was taken from. Raises `ImageError`."""
        return self.images.size(int(self.indices[index]))

    def digest(self, index: int) -> bytes:
        """As in the images it was taken from. Raises `ImageError`."""
        return self.images.digest(int(self.indices[index]))

    def take(self, indices: Indices) -> TakenImages:
        """Some of these, in the order asked."""
        return TakenImages(self.images, self.indices[indices])


@final
@dataclass(frozen=True)
class JoinedImages:
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

    def read(self, index: int, at_least: int = 0) -> Pixels:
        """As in the part that holds it. Raises `ImageError`."""
        part, inner = self._find(index)
        return part.read(inner, at_least)

    def size(self, index: int) -> tuple[int, int]:
        """As in the part that holds it. Raises `ImageError`."""
        part, inner = self._find(index)
        return part.size(inner)

    def digest(self, index: int) -> bytes:
        """As in the part that holds it. Raises `ImageError`."""
        part, inner = self._find(index)
        return part.digest(inner)

    def take(self, indices: Indices) -> TakenImages:
        """Some of the images, in the order asked."""
        return TakenImages(self, np.asarray(indices, dtype=np.int64))

    def _find(self, index: int) -> tuple[Images, int]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        part = bisect_right(self._starts, index) - 1
        return self.parts[part], index - self._starts[part]
