"""What one reading of every image tells: what the doctor judges by, and a third of a kilobyte for each cached image."""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Final, final, overload

import cv2
import numpy as np
import numpy.typing as npt

from convolve.datasets.images import DIGEST_BYTES
from convolve.datasets.parallel import CHUNK, in_order, one_thread_each
from convolve.errors import DataError, ImageError
from convolve.progress import Listener, Pace
from convolve.values import Flags, Images, Indices, Pixels

MAX_UNREADABLE = 0.1
"""Fraction of unreadable images above which a dataset is refused."""
SHORTER_SIDE = 128
"""Pixels of the shorter side that images are reduced to before they are measured."""
LUMA_SIDE = 16
CHROMA_SIDE = 4
_SUMMARY: Final = np.dtype(
    [("size", np.int64, (2,)), ("color", np.bool_), ("mean", np.float32, (3,)), ("square", np.float32, (3,))]
)
_THUMBNAIL: Final = np.dtype(
    [("luma", np.uint8, (LUMA_SIDE, LUMA_SIDE)), ("chroma", np.uint8, (CHROMA_SIDE, CHROMA_SIDE, 2))]
)
MEASUREMENT: Final = np.dtype([*_SUMMARY.descr, *_THUMBNAIL.descr])
"""What is measured of one image: ``size`` (height, width); ``color``, whether channels differ; ``mean`` and ``square``
(3,) of its values and squared values between 0 and 1; ``luma`` (16, 16) and ``chroma`` (4, 4, 2) thumbnails.
"""
IN_MEMORY = 50_000
"""Images whose thumbnails a survey keeps in memory; those of more are in a temporary file."""
Measurements = npt.NDArray[np.void]
_GRAY_TOLERANCE = 8
_NAMES_IN_ERRORS = 5


@dataclass(frozen=True)
class ImageFacts:
    """What the choice of a preprocessing depends on: how many images there are, their ``channels`` (3 if any has
    color, else 1), and the median in pixels of their shorter and longer sides.
    """

    images: int
    channels: int
    shorter_side: int
    longer_side: int


@final
class ThumbnailFile:
    """The thumbnails of many images, one after another in a temporary file, which goes when nothing needs it. Not to be
    used by several threads at once.
    """

    def __init__(self) -> None:
        """Raises `DataError` where there is no folder for it."""
        try:
            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed in the next line
            weakref.finalize(self, self._file.close)
        except OSError as error:
            raise _cannot_store(error) from error

    def append(self, measurements: Measurements) -> None:
        """Write those of the next images. Raises `DataError` where the disk is full."""
        thumbnails = np.empty(len(measurements), _THUMBNAIL)
        for name in ("luma", "chroma"):
            thumbnails[name] = measurements[name]
        blob = memoryview(thumbnails.tobytes())
        try:
            self._file.seek(0, os.SEEK_END)
            while blob:
                blob = blob[self._file.write(blob) :]
        except OSError as error:
            raise _cannot_store(error) from error

    def __getitem__(self, rows: Indices) -> Measurements:
        """(M,) the ``luma`` and ``chroma`` of some images, in the order asked."""
        found = np.empty(len(rows), _THUMBNAIL)
        blob, size = found.view(np.uint8).data, _THUMBNAIL.itemsize
        starts = np.flatnonzero(np.diff(rows, prepend=-2) != 1).tolist()
        for start, end in pairwise([*starts, len(rows)]):
            self._file.seek(int(rows[start]) * size)
            self._file.readinto(blob[start * size : end * size])
        return found


Thumbnails = Measurements | ThumbnailFile
"""What gives an array with ``luma`` and ``chroma`` (`MEASUREMENT`) of some images, by their indices."""


@final
@dataclass(frozen=True, eq=False)
class Digests(Sequence[bytes]):
    """The digests of N images, ``values`` (N, 16), of which those that are not ``known`` (N,) are zeros."""

    values: Pixels
    known: Flags

    def __len__(self) -> int:
        return len(self.values)

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> list[bytes]: ...
    def __getitem__(self, index: int | slice) -> bytes | list[bytes]:
        """One of them, or empty bytes where it is not known."""
        if isinstance(index, slice):
            return [self[each] for each in range(len(self))[index]]
        return self.values[index].tobytes() if self.known[index] else b""

    def __setitem__(self, index: int, digest: bytes) -> None:
        if digest:
            self.values[index], self.known[index] = np.frombuffer(digest, np.uint8), True


@dataclass(frozen=True)
class Survey:
    """What one reading of every image found: ``measurements`` (N,), ``thumbnails`` and ``digests`` of all N, of which
    only those of the ``usable`` ones count. ``failed`` says by index why another cannot be read. ``facts`` are of those
    that can. The measurements have no thumbnails where these are in a file.
    """

    measurements: Measurements
    thumbnails: Thumbnails
    digests: Digests
    failed: Mapping[int, str]
    usable: Indices
    facts: ImageFacts


def survey(images: Images, workers: int | None = None, listener: Listener | None = None) -> Survey:
    """Read and decode every image once and measure it, by ``workers`` threads (see `parallel.in_order`), which the
    ``listener`` is told of.

    Raises `DataError` when there are no images or more than `MAX_UNREADABLE` of them cannot be read.
    """

    def look(index: int) -> tuple[Measurements, bytes] | str:
        try:
            encoded = images.open(index)
            return measure(encoded.decode(SHORTER_SIDE), encoded.header.size), encoded.digest
        except ImageError as error:
            return str(error)

    count = len(images)
    digests = Digests(np.zeros((count, DIGEST_BYTES), np.uint8), np.zeros(count, dtype=bool))
    failed: dict[int, str] = {}
    stored = ThumbnailFile() if count > IN_MEMORY else None
    measurements = np.zeros(count, MEASUREMENT if stored is None else _SUMMARY)
    report = Pace(listener, "read", count, "images") if listener else None
    with one_thread_each():
        found = in_order(look, range(count), workers, CHUNK)
        for start in range(0, count, CHUNK):
            block = np.zeros(min(CHUNK, count - start), MEASUREMENT)
            for row, each in enumerate(islice(found, len(block))):
                if isinstance(each, str):
                    failed[start + row] = each
                else:
                    block[row], digests[start + row] = each
            for name in measurements.dtype.names or ():
                measurements[name][start : start + CHUNK] = block[name]
            if stored:
                stored.append(block)
            if report:
                report(start + len(block))
    return as_survey(images, measurements, digests, failed, stored)


def as_survey(
    images: Images,
    measurements: Measurements,
    digests: Sequence[bytes],
    failed: Mapping[int, str],
    thumbnails: ThumbnailFile | None = None,
) -> Survey:
    """A survey from what is known of all images; the measurements have the ``thumbnails`` where no file has them.

    Raises `DataError` as `survey` does.
    """
    if not len(images):
        raise DataError("There are no images; name a folder or file that has some.")
    if len(failed) > MAX_UNREADABLE * len(images):
        some = list(failed.items())[:_NAMES_IN_ERRORS]
        names = "; ".join(f"{images.name(index)}: {reason}" for index, reason in some)
        more = "; and others" if len(failed) > _NAMES_IN_ERRORS else ""
        raise DataError(
            f"{len(failed)} of {len(images)} images cannot be read, more than {MAX_UNREADABLE:.0%}; repair or remove "
            f"them ({names}{more})."
        )
    usable = np.setdiff1d(np.arange(len(images)), list(failed)).astype(np.int64)
    facts = image_facts(len(usable), measurements["size"][usable], measurements["color"][usable])
    if not isinstance(digests, Digests):
        blob = b"".join(digest or bytes(DIGEST_BYTES) for digest in digests)
        values = np.frombuffer(blob, np.uint8).reshape(-1, DIGEST_BYTES)
        digests = Digests(values, np.array(list(map(bool, digests))))
    return Survey(measurements, thumbnails or measurements, digests, failed, usable, facts)


def measure(pixels: Pixels, size: tuple[int, int]) -> Measurements:
    """() the `MEASUREMENT` of a decoded image (H, W, 1 or 3), of ``size`` (height, width) before it was reduced."""
    # A JPEG that was decoded for the cache comes at another scale than one that is decoded for the survey alone, which
    # moves its mean and thumbnails a little. Of 300 photographs no mean moved by more than 0.4 of 255 levels, and no
    # thumbnail by more than 0.04 (see `duplicates`), for an input of 224 pixels; by 1.2 and 0.21 for one of 32.
    height, width, channels = pixels.shape
    scale = SHORTER_SIDE / min(height, width)
    if scale < 1:
        small = cv2.resize(pixels, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
        pixels = np.asarray(small, np.uint8).reshape(small.shape[0], small.shape[1], channels)
    mean, deviation = (np.float32(value[:, 0] / 255) for value in cv2.meanStdDev(pixels))  # of one channel or three
    measurement = np.zeros((), MEASUREMENT)
    measurement["size"] = size
    measurement["mean"], measurement["square"] = mean, mean**2 + deviation**2
    thumbnail = cv2.resize(pixels, (LUMA_SIDE, LUMA_SIDE), interpolation=cv2.INTER_AREA)
    if channels == 1:
        measurement["luma"], measurement["chroma"] = thumbnail, 128
        return measurement
    red, green, blue = cv2.split(pixels)
    difference = max(cv2.norm(red, green, cv2.NORM_INF), cv2.norm(green, blue, cv2.NORM_INF))
    measurement["color"] = difference > _GRAY_TOLERANCE
    parts = cv2.cvtColor(thumbnail, cv2.COLOR_RGB2YCrCb)
    measurement["luma"] = parts[..., 0]
    measurement["chroma"] = cv2.resize(parts[..., 1:], (CHROMA_SIDE, CHROMA_SIDE), interpolation=cv2.INTER_AREA)
    return measurement


def image_facts(count: int, sizes: Indices, color: Flags) -> ImageFacts:
    """The facts of ``count`` images, judged by ``sizes`` (N, 2) and ``color`` (N,) of all or some of them."""
    if not len(sizes):
        raise ValueError("no image is readable")
    shorter, longer = (int(np.median(sides)) for sides in (sizes.min(1), sizes.max(1)))
    return ImageFacts(count, 3 if color.any() else 1, shorter, longer)


def _cannot_store(error: OSError) -> DataError:
    reason = error.strerror or str(error)
    return DataError(
        f"The thumbnails of the images cannot be written to a temporary file ({reason}); set TMPDIR to a folder with "
        f"{_THUMBNAIL.itemsize} MB for each million images."
    )
