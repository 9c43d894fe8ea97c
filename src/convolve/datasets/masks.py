"""Masks, the class of every pixel: image files of class indices or colors, and how they follow their images."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress
from pathlib import Path
from threading import Lock
from typing import Protocol, cast, final

import cv2
import numpy as np

from convolve.datasets.images import DIGEST_BYTES
from convolve.datasets.mosaic import put_together
from convolve.datasets.parallel import in_order
from convolve.datasets.stored_masks import are_colors, class_indices, read_stored
from convolve.errors import ChangedImageError, DataError, ImageError
from convolve.memory import blame_machine
from convolve.targets import ArrayTargets
from convolve.untrusted.files import IMAGE_BYTES, read_file
from convolve.values import (
    IGNORE,
    Color,
    Flags,
    GroundTruthFindings,
    Indices,
    Matrices,
    Pixels,
    Placement,
    Preprocessing,
    Targets,
)

IN_MEMORY = 2**30
"""Bytes of decoded masks that stay in memory for the next epoch."""
_BAND = 2**20  # pixels of a large mask that are processed together
_OPACITY = 0.5  # of the classes' colors over an image


class MaskReader(Protocol):
    """Masks on disk or in memory, read one at a time; safe to call from several threads."""

    def __len__(self) -> int: ...

    def read(self, index: int) -> Pixels:
        """(H, W) class indices, `IGNORE` where no class is meant. Raises `ImageError`."""
        ...

    def digest(self, index: int) -> bytes:
        """Bytes that change whenever the class indices do. Raises `ImageError` when the file cannot be opened."""
        ...


@final
@dataclass(frozen=True)
class MaskFiles:
    """Image files below ``root``, one per image. A pixel's stored value, a number or a color, means the class whose
    index is its position in ``stored``; ``ignored`` values mean none. ``shapes`` are those of the files read so far.
    """

    root: Path
    names: tuple[str, ...]
    stored: tuple[int | Color, ...]
    ignored: tuple[int | Color, ...] = ()
    shapes: dict[str, tuple[int, int]] = field(default_factory=dict, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.names)

    def read(self, index: int) -> Pixels:
        """(H, W) class indices. Raises `ImageError`, also for a value that names no class, and `ChangedImageError` for
        a file that has had another size.
        """
        name = self.names[index]
        mask = read_stored(self.root / name)
        values = mask.translate(mask.values, are_colors((*self.stored, *self.ignored)))
        size = (values.shape[0], values.shape[1])
        if (before := self.shapes.setdefault(name, size)) != size:
            raise ChangedImageError.by_size(name, before, size)
        return class_indices(values, self.stored, self.ignored, name)

    def digest(self, index: int) -> bytes:
        """BLAKE2b of the file's bytes and of what its values mean. Raises `ImageError`."""
        try:
            content = read_file(self.root / self.names[index], IMAGE_BYTES)
        except OSError as error:
            blame_machine(error, self.names[index])
            raise ImageError(f"{self.names[index]} cannot be opened ({error.strerror}); restore it.") from error
        meaning = repr((self.stored, self.ignored)).encode()
        return hashlib.blake2b(meaning + content, digest_size=DIGEST_BYTES).digest()


@final
@dataclass(frozen=True, eq=False)
class MaskArray:
    """Masks of one size in memory: ``array`` (N, H, W) class indices."""

    array: Pixels

    def __len__(self) -> int:
        return len(self.array)

    def read(self, index: int) -> Pixels:
        """(H, W), a view."""
        pixels: Pixels = self.array[index]
        return pixels

    def digest(self, index: int) -> bytes:
        """BLAKE2b of the shape and the class indices."""
        mask = self.array[index]
        return hashlib.blake2b(b"%d %d " % mask.shape + mask.tobytes(), digest_size=DIGEST_BYTES).digest()


@final
@dataclass(frozen=True, eq=False)
class PixelCounts:
    """How many pixels of each class N masks have, ``counts`` (N, C), none where a mask cannot be read; ``failed`` says
    by index why that is.
    """

    counts: Indices
    failed: Mapping[int, str]


@final
class Masks:
    """A `GroundTruth`: the class of every pixel of N images, in files or in memory.

    Image i has mask ``indices[i]`` of the ``reader``, or none where that is -1; without ``indices`` (N,) they are in
    the same order; ``covers`` (N,) says which images have one. ``table`` (256,) maps the reader's class indices to
    those of ``classes``. ``colors`` are those in which the dataset paints each class. ``counts`` are those of the
    reader's masks, where they are known. `take` and `with_classes` give views that share what was read.
    """

    def __init__(
        self,
        reader: MaskReader | _MaskMemory,
        classes: Sequence[str],
        colors: Sequence[Color],
        indices: Indices | None = None,
        table: Pixels | None = None,
        counts: PixelCounts | None = None,
    ) -> None:
        """Raises `DataError` unless there are as many colors as classes, and 255 at most."""
        if len(classes) != len(colors) or len(classes) > IGNORE:
            raise DataError(
                f"Masks of {len(classes)} classes have {len(colors)} colors; give each class one, 255 at most."
            )
        self.classes, self.colors = tuple(classes), tuple(colors)
        self._memory = reader if isinstance(reader, _MaskMemory) else _MaskMemory(reader, len(classes), counts)
        self._indices: Indices = np.arange(len(self._memory.reader)) if indices is None else indices
        self.covers: Flags = self._indices >= 0
        self._table = np.arange(IGNORE + 1, dtype=np.uint8) if table is None else table

    def __len__(self) -> int:
        return len(self._indices)

    @property
    def findings(self) -> GroundTruthFindings:
        """The masks that cannot be read, and the `pixels` of each class in all others. Reads as `pixel_counts` does."""
        failed = self._memory.counts().failed
        return GroundTruthFindings(
            failed={row: failed[index] for row, index in enumerate(self._indices.tolist()) if index in failed},
            counts={"pixels": self.pixel_counts()},
            fractions=frozenset({"pixels"}),
        )

    def read(self, index: int) -> Pixels:
        """(H, W) class indices, `IGNORE` where no class is meant. Raises `ImageError`, also where there is no mask."""
        pixels: Pixels = self._table[self._memory.reader.read(self._position(index))]
        return pixels

    def digest(self, index: int) -> bytes:
        """BLAKE2b of what is stored and what it means; nothing where there is no mask. Raises `ImageError`."""
        if self._indices[index] < 0:
            return b""
        content = self._table.tobytes() + self._memory.reader.digest(self._position(index))
        return hashlib.blake2b(content, digest_size=DIGEST_BYTES).digest()

    def pixel_counts(self) -> Indices:
        """(N, C) how many pixels of each class each mask has; none where it cannot be read.

        Reads every mask when it is first asked for, by threads.
        """
        stored = self._memory.counts().counts
        counts = np.zeros((len(self), len(self.classes)), dtype=np.int64)
        for old, new in enumerate(self._table[: stored.shape[1]].tolist()):
            if new != IGNORE:
                counts[:, new] += np.where(self.covers, stored[self._indices, old], 0)
        return counts

    def presence(self) -> Flags:
        """(N, C) which classes occur in each mask; none where it cannot be read. Reads as `pixel_counts` does."""
        return self.pixel_counts() > 0

    def take(self, indices: Indices) -> Masks:
        """The masks of some images, in the order asked; -1 stands for an image without a mask."""
        rows = np.where(indices >= 0, self._indices[indices], -1)
        return Masks(self._memory, self.classes, self.colors, rows, self._table)

    def with_classes(self, names: Sequence[str]) -> Masks:
        """The masks with the classes ``names`` in that order; pixels of any other class become `IGNORE`. A class that
        has not been there is black.
        """
        if tuple(names) == self.classes:
            return self
        mapping = np.full(IGNORE + 1, IGNORE, np.uint8)
        for old, name in enumerate(self.classes):
            if name in names:
                mapping[old] = names.index(name)
        own = dict(zip(self.classes, self.colors, strict=True))
        colors = [own.get(name, (0, 0, 0)) for name in names]
        return Masks(self._memory, names, colors, self._indices, mapping[self._table])

    def targets(self, indices: Indices, placement: Placement) -> ArrayTargets:
        """(M, height, width) uint8 class indices of the pixels of the input, resampled once, by the nearest pixel."""
        preprocessing = placement.preprocessing
        result = np.empty((len(indices), preprocessing.height, preprocessing.width), np.uint8)
        for index, matrix, size, target in zip(
            indices.tolist(), placement.matrices, placement.sizes, result, strict=True
        ):
            mask = self._memory.cached(self._position(index))
            scales = np.array([size[1] / mask.shape[1], size[0] / mask.shape[0]])
            target[...] = warp_mask(mask, matrix * np.array([*scales, 1.0]), preprocessing)
        whole = result if placement.regions is None else put_together(result, placement.regions)
        return ArrayTargets(self._table[whole])

    def draw(self, images: Pixels, targets: Targets) -> tuple[Pixels, list[str]]:
        """(N, H, W, 3) the images (N, H, W, 1 or 3) half covered by their masks' colors, and the names of the classes
        that occur in each mask, joined by plus signs.
        """
        masks = cast(ArrayTargets, targets).values.astype(np.uint8)
        rgb = np.broadcast_to(images, (*images.shape[:3], 3))
        drawn = [overlay(image, mask, self.colors) for image, mask in zip(rgb, masks, strict=True)]
        present = [count_pixels(mask, len(self.classes)) > 0 for mask in masks]
        return np.stack(drawn), [" + ".join(compress(self.classes, flags)) for flags in present]

    def _position(self, index: int) -> int:
        """In the reader. Raises `ImageError`."""
        position = int(self._indices[index])
        if position < 0:
            raise ImageError(f"Image {index} has no mask; leave it out with `Dataset.for_ground_truth`.")
        return position


@final
class _MaskMemory:
    """The masks of another reader: those used last decoded, and the pixels of each class in all of them, counted once.

    The first ``classes`` class indices are counted.
    """

    def __init__(self, reader: MaskReader, classes: int, counts: PixelCounts | None = None) -> None:
        self.reader, self._classes, self._counts = reader, classes, counts
        self._masks: OrderedDict[int, Pixels] = OrderedDict()
        self._bytes, self._lock = 0, Lock()
        self._counting = Lock()

    def __reduce__(self) -> tuple[type[_MaskMemory], tuple[MaskReader, int, PixelCounts | None]]:
        """Another process, such as a worker of PyTorch's `DataLoader`, begins without decoded masks."""
        return _MaskMemory, (self.reader, self._classes, self._counts)

    def cached(self, index: int) -> Pixels:
        """A mask as the reader gives it, from memory where it is there."""
        with self._lock:
            if index in self._masks:
                self._masks.move_to_end(index)
                return self._masks[index]
        mask = self.reader.read(index)
        with self._lock:
            if index not in self._masks:
                self._masks[index] = mask
                self._bytes += mask.size
            while self._bytes > IN_MEMORY and len(self._masks) > 1:
                self._bytes -= self._masks.popitem(last=False)[1].size
        return mask

    def counts(self) -> PixelCounts:
        """Of all masks; reads them where that has not been done."""
        with self._counting:
            if self._counts is None:
                failed: dict[int, str] = {}

                def count(index: int) -> Indices:
                    try:
                        return count_pixels(self.reader.read(index), self._classes)
                    except ImageError as error:
                        failed[index] = str(error)
                        return np.zeros(self._classes, dtype=np.int64)

                rows = list(in_order(count, range(len(self.reader))))
                self._counts = PixelCounts(np.array(rows, dtype=np.int64).reshape(len(rows), self._classes), failed)
            return self._counts


def warp_mask(mask: Pixels, matrix: Matrices, preprocessing: Preprocessing) -> Pixels:
    """(height, width) a mask as its matrix (2, 3; see `preprocess`) takes it to the network's input, by the nearest
    pixel.

    Beyond its edges it is reflected, as in `preprocess.warp`; with `letterbox` it is `IGNORE` there.
    """
    centered = matrix.copy()  # OpenCV counts from the first pixel's center
    centered[:, 2] += matrix[:, :2].sum(axis=1) / 2 - 0.5
    border = cv2.BORDER_CONSTANT if preprocessing.fit == "letterbox" else cv2.BORDER_REFLECT_101
    size = (preprocessing.width, preprocessing.height)
    warped = cv2.warpAffine(mask, centered, size, flags=cv2.INTER_NEAREST, borderMode=border, borderValue=[IGNORE])
    return np.asarray(warped, dtype=np.uint8)


def colorize(colors: Sequence[Color], mask: Pixels) -> Pixels:
    """(H, W, 3) a mask in its classes' colors; what is ignored is white."""
    table = np.full((IGNORE + 1, 3), 255, np.uint8)
    table[: len(colors)] = colors
    return np.asarray(table[mask])


def overlay(image: Pixels, mask: Pixels, colors: Sequence[Color]) -> Pixels:
    """(H, W, 3) an image of that shape half covered by its classes' colors; unchanged where no class is meant."""
    mixed = (1 - _OPACITY) * image + _OPACITY * colorize(colors, mask)
    return np.where((mask != IGNORE)[..., None], mixed, image).round().astype(np.uint8)


def count_pixels(mask: Pixels, classes: int) -> Indices:
    """(classes,) how many pixels of each class a mask has."""
    flat = mask.reshape(-1)
    bands = [flat[start : start + _BAND] for start in range(0, len(flat), _BAND)]
    counts = [np.bincount(band, minlength=IGNORE + 1)[:classes] for band in bands]
    return np.asarray(np.sum(counts, axis=0), dtype=np.int64)
