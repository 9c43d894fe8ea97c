"""From image files to the pixels of batches, each file read once: the survey and the cache come from one decoding.

Every image is decoded once, reduced to what training at this input size can show (`preprocess.resize_for_cache`) and
written to one flat file that later runs map into memory, beside what the doctor wants to know of it (`survey.measure`).
A later run reads every file once, since its digest tells whether it is still what the cache holds, and decodes only
what is new, so nothing is ever out of date.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from typing import NamedTuple, final

import numpy as np

from convolve.datasets.parallel import CHUNK, chunks, in_order, one_thread_each
from convolve.datasets.pixel_sources import (
    CachedImages,
    CacheFiles,
    CacheWriter,
    PixelSource,
    StreamedImages,
    as_array,
    clean,
    find_cache,
    form_key,
    in_memory,
)
from convolve.datasets.preprocess import cached_size, least_side, resize_for_cache
from convolve.datasets.survey import (
    MEASUREMENT,
    SHORTER_SIDE,
    ImageFacts,
    Measurements,
    Survey,
    as_survey,
    image_facts,
    measure,
    survey,
)
from convolve.errors import ImageError
from convolve.values import EncodedImage, Images, Indices, Pixels, Preprocessing

__all__ = ["PixelSource", "cache_folder", "clean", "open_cache", "read_images"]

SAMPLE = 64
"""Images, evenly spread, from which a preprocessing and the size of a cache are guessed before all are read."""
_SAMPLE_BYTES = 2**29  # of decoded pixels: the sample is smaller where its images are large
_CHUNK_BYTES = 2**22  # of cached pixels that a thread prepares before it hands them over


def cache_folder() -> Path:
    """Where caches live unless told otherwise: $CONVOLVE_CACHE, or `~/.cache/convolve/pixels`."""
    chosen = os.environ.get("CONVOLVE_CACHE")
    return Path(chosen) if chosen else Path.home() / ".cache" / "convolve" / "pixels"


def read_images(
    images: Images,
    choose: Callable[[ImageFacts], Preprocessing],
    budget: int,
    workers: int | None = None,
    folder: Path | None = None,
) -> tuple[Survey, PixelSource]:
    """Survey all images and open the fastest source of their pixels, reading each file once.

    ``choose`` gives the preprocessing for some facts (mean and deviation do not matter here). It is asked with guesses
    first and at last with the survey's own facts. The other parameters are those of `open_cache`. Raises `DataError` as
    `survey` does.
    """
    array = as_array(images)
    if array is not None:
        found = survey(images, workers)
        return found, in_memory(array, choose(found.facts))
    folder = folder or cache_folder()
    sample = _open_sample(images)
    guess = _guess(sample, len(images), choose, folder, workers)
    if guess is None:  # nothing in the sample can be read, so that as a rule this refuses the dataset
        found = survey(images, workers)
        return found, open_cache(images, choose(found.facts), folder, budget, workers)
    cache = _Cache(sample, len(images), guess, folder, budget)
    reading = _read_all(images, cache, sample, workers)
    found = as_survey(images, *reading)
    preprocessing = choose(found.facts)
    if cache.files is not None and form_key(preprocessing) != form_key(guess):
        # All images together ask for other pixels than the sample did, such as three channels for the one colored image
        # among thousands: they are read and decoded a second time. Later runs guess by what the cache then says.
        sample.known = reading.digests
        cache = _Cache(sample, len(images), preprocessing, folder, budget)
        reading = _read_all(images, cache, sample, workers)
        found = as_survey(images, *reading)
    return found, cache.source(images, preprocessing, reading)


def open_cache(
    images: Images,
    preprocessing: Preprocessing,
    folder: Path | None,
    budget: int,
    workers: int | None = None,
    digests: Sequence[bytes] | None = None,
) -> PixelSource:
    """The fastest source of these images' pixels that fits; decodes those that no earlier run has decoded.

    ``budget`` bounds the bytes of all caches in the ``folder`` together (`cache_folder` when None): the longest unused
    ones make room. What does not fit there, or on the disk, is decoded anew at each use, and `PixelSource.description`
    says so. ``workers`` threads read and decode (see `parallel.in_order`). Images that cannot be read are in
    `PixelSource.failed`. Where their ``digests`` are known (`images.read_digests`), cached files are not read again.
    """
    array = as_array(images)
    if array is not None:
        return in_memory(array, preprocessing)
    if budget <= 0:
        return StreamedImages(images, preprocessing, "no cache is allowed")
    folder, sample = folder or cache_folder(), _Sample(known=digests)
    if digests:
        sample.digests = [digests[index] for index in _spread(len(images)).tolist() if digests[index]]
    if not digests or find_cache(folder, sample.digests, len(images), form_key(preprocessing)) is None:
        sample = _open_sample(images)
    cache = _Cache(sample, len(images), preprocessing, folder, budget)
    if cache.reason:
        return StreamedImages(images, preprocessing, cache.reason)
    return cache.source(images, preprocessing, _read_all(images, cache, sample, workers))


class _Row(NamedTuple):
    """What became of one image: it was decoded and measured, or a cache has it in row ``cached``, or it has failed."""

    digest: bytes
    measurement: Measurements | None = None
    pixels: Pixels | None = None
    cached: int | None = None
    failure: str = ""


class _Reading(NamedTuple):
    """What reading all images gave: the measurements (N,) and digests of all, and by index why some have failed."""

    measurements: Measurements
    digests: Sequence[bytes]
    failed: dict[int, str]


@dataclass
class _Sample:
    """Files that have been read before all others: by index to be taken from here and not read again, ``opened`` or,
    decoded or failed already, as ``rows``; and their ``digests``. ``known`` are the digests of all images, if they are.
    """

    opened: dict[int, EncodedImage] = field(default_factory=dict)
    rows: dict[int, _Row] = field(default_factory=dict)
    sizes: list[tuple[int, int]] = field(default_factory=list)
    gray: bool = True
    digests: list[bytes] = field(default_factory=list)
    known: Sequence[bytes] | None = None


def _open_sample(images: Images) -> _Sample:
    """Read a sample of the files, and of their headers the sizes and whether there may be color."""
    sample, total = _Sample(), 0
    for index in np.random.default_rng(0).permutation(_spread(len(images))).tolist():  # its beginning is spread, too
        try:
            encoded = sample.opened[index] = images.open(index)
            sample.digests.append(encoded.digest)
            (height, width), gray = encoded.header
            sample.gray &= gray
        except ImageError as error:
            if index not in sample.opened:
                sample.rows[index] = _Row(b"", failure=str(error))
            continue
        sample.sizes.append((height, width))
        total += 3 * height * width
        if total > _SAMPLE_BYTES:
            break
    return sample


def _guess(
    sample: _Sample, count: int, choose: Callable[[ImageFacts], Preprocessing], folder: Path, workers: int | None
) -> Preprocessing | None:
    """The preprocessing for all images as far as a cache of whatever form can tell, or the sample when it is decoded;
    None where none of it can be read.
    """
    files = find_cache(folder, sample.digests, count)
    if files is not None and (files.index[:, 0] >= 0).any():
        decoded = files.measurements[files.index[:, 0] >= 0]
        return choose(image_facts(count, decoded["size"], decoded["color"]))
    if not sample.sizes:
        return None
    sizes = np.array(sample.sizes, np.int64)
    first = choose(image_facts(count, sizes, np.array([not sample.gray])))

    with one_thread_each():
        decoded_sample = in_order(partial(_decode, preprocessing=first), sample.opened.values(), workers)
        rows = dict(zip(sample.opened, decoded_sample, strict=True))
    color = [bool(row.measurement["color"]) for row in rows.values() if row.measurement is not None]
    guess = choose(image_facts(count, sizes, np.array(color, np.bool_)))
    if form_key(guess) == form_key(first):  # else gray images are stored in color, and these few are decoded again
        sample.rows |= rows
        sample.opened = {}
    return guess


def _spread(count: int) -> Indices:
    """Up to `SAMPLE` of the indices 0 to ``count`` - 1, evenly spread."""
    return np.unique(np.linspace(0, count - 1, min(count, SAMPLE)).astype(np.int64))


@final
class _Cache:
    """The cache of ``count`` images in one form: found as an earlier run left it, or built row by row.

    ``files`` is the finished cache; it is absent before `finish`, and where a ``reason`` says why there is none. Close
    the ``writer``, if there is one, at the end.
    """

    def __init__(self, sample: _Sample, count: int, preprocessing: Preprocessing, folder: Path, budget: int) -> None:
        self.preprocessing = preprocessing
        self.earlier = find_cache(folder, sample.digests, count, form_key(preprocessing))
        self.files: CacheFiles | None = None
        self.reason = ""
        self.built = False
        self._count, self._folder, self._budget = count, folder, budget
        self.writer: CacheWriter | None = None
        sizes = [cached_size(height, width, preprocessing) for height, width in sample.sizes]
        self.image_bytes = preprocessing.channels * sum(height * width for height, width in sizes) / max(len(sizes), 1)
        if self.earlier is not None:
            self.image_bytes = self.earlier.pixels.size / max(len(self.earlier), 1)
        self._expected = round(self.image_bytes * count)
        if self.earlier is None and self._expected >= budget:
            self.reason = self._too_large()

    def add(self, index: int, row: _Row) -> None:
        """Take the next image. Nothing is written as long as all images are those of the earlier cache."""
        if self.reason:
            return
        if self.writer is None and self.earlier is not None:
            had_failed = row.failure and self.earlier.has(index, row.digest) and self.earlier.get(index) is None
            if row.cached == index or had_failed:
                return
        try:
            writer = self.writer or self._begin(index)
            cached = self.earlier.get(row.cached) if self.earlier is not None and row.cached is not None else None
            writer.add(row.pixels if cached is None else cached)
        except OSError as error:
            self._give_up(error)

    def finish(self, measurements: Measurements, digests: Sequence[bytes]) -> None:
        """Publish what was written; the earlier cache stays the one where nothing has changed."""
        if self.reason:
            return
        if self.writer is None and self.earlier is not None and len(self.earlier) == self._count:
            self.files = self.earlier
            return
        try:
            self.files = (self.writer or self._begin(self._count)).finish(digests, measurements)
            self.built = True
        except OSError as error:
            self._give_up(error)

    def source(self, images: Images, preprocessing: Preprocessing, reading: _Reading) -> PixelSource:
        """Where batches take the pixels from, now that all images have been read."""
        if self.files is None:
            sizes = reading.measurements["size"]
            return StreamedImages(images, preprocessing, self.reason, sizes, reading.failed)
        description = f"Pixels come from the cache {self.files.path}, decoded in an earlier run."
        if self.built:
            size = self.files.pixels.size / 1e6
            description = f"Pixels were decoded once into the cache {self.files.path} ({size:,.0f} MB)."
        return CachedImages(self.files, reading.failed, description)

    def _begin(self, index: int) -> CacheWriter:
        """A new cache, with all images before that index taken from the earlier one. Raises `OSError`."""
        if self._expected >= self._budget:
            raise OSError(self._too_large())
        clean(self._folder, self._budget - self._expected)
        self.writer = CacheWriter(self._folder, form_key(self.preprocessing), self._budget)
        for row in range(index if self.earlier is not None else 0):
            self.writer.add(self.earlier.get(row) if self.earlier is not None else None)
        return self.writer

    def _too_large(self) -> str:
        return f"a cache would take {self._expected / 1e6:,.0f} MB of the {self._budget / 1e6:,.0f} MB allowed"

    def _give_up(self, error: OSError) -> None:
        self.reason = f"the cache {self._folder} cannot be written ({error.strerror or error})"
        if self.writer is not None:
            self.writer.close()


def _read_all(images: Images, cache: _Cache, sample: _Sample, workers: int | None) -> _Reading:
    """Read every file once, decode what the earlier cache does not have, and finish the cache."""
    measurements, digests = np.zeros(len(images), MEASUREMENT), [b""] * len(images)
    failed: dict[int, str] = {}
    size = max(1, min(CHUNK, int(_CHUNK_BYTES / max(cache.image_bytes, 1))))

    try:
        with one_thread_each():
            parts = chunks(len(images), size)
            rows = in_order(lambda part: [_read(images, index, cache, sample) for index in part], parts, workers)
            for index, row in enumerate(chain.from_iterable(rows)):
                digests[index] = row.digest
                if row.measurement is not None:
                    measurements[index] = row.measurement
                elif row.cached is not None and cache.earlier is not None:
                    measurements[index] = cache.earlier.measurements[row.cached]
                else:
                    failed[index] = row.failure
                cache.add(index, row)
        cache.finish(measurements, digests)
    finally:
        if cache.writer is not None:
            cache.writer.close()  # removes what has not been finished
    return _Reading(measurements, digests, failed)


def _read(images: Images, index: int, cache: _Cache, sample: _Sample) -> _Row:
    """One image, decoded where neither the sample nor the earlier cache has it."""
    if index in sample.rows:
        return sample.rows.pop(index)
    encoded: EncodedImage | None = None
    digest = sample.known[index] if sample.known else b""
    try:
        if not digest:
            encoded = sample.opened.pop(index, None) or images.open(index)
            digest = encoded.digest
        cached = cache.earlier.find(digest, index) if cache.earlier is not None else None
        if cached is not None:
            return _Row(digest, cached=cached)
        encoded = encoded or images.open(index)
    except ImageError as error:
        return _Row(b"", failure=str(error))
    return _decode(encoded, None if cache.reason else cache.preprocessing)


def _decode(encoded: EncodedImage, preprocessing: Preprocessing | None) -> _Row:
    """An image measured and resized for the cache of a preprocessing; without one it is only measured."""
    try:
        pixels = encoded.decode(least_side(preprocessing) if preprocessing else SHORTER_SIDE)
        resized = resize_for_cache(pixels, preprocessing) if preprocessing else None
        return _Row(encoded.digest, measure(pixels, encoded.header.size), resized)
    except ImageError as error:
        return _Row(encoded.digest, failure=str(error))
