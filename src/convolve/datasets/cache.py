"""From image files to the pixels of batches, each file read once: the survey and the cache come from one decoding.

Every image is decoded once, reduced to what training at this input size can show (`preprocess.resize_for_cache`) and
written to one flat file that later runs map into memory, beside what the doctor wants to know of it (`survey.measure`).
A later run reads every file once, since its digest tells whether it is still what the cache holds, and decodes only
what is new, so nothing is ever out of date.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np

from convolve.datasets.cache_files import CachedImages, clean, discard, find_cache, form_key, write_cache
from convolve.datasets.images import ImageArray, ImageFiles, JoinedImages, TakenImages
from convolve.datasets.parallel import CHUNK, in_order, one_thread_each
from convolve.datasets.pixel_sources import PixelSource, StreamedImages, in_memory
from convolve.datasets.preprocess import cached_size, least_side, resize_for_cache
from convolve.datasets.survey import (
    MEASUREMENT,
    ImageFacts,
    Measurements,
    Survey,
    as_survey,
    image_facts,
    measure,
    survey,
)
from convolve.errors import DataError, ImageError
from convolve.values import EncodedImage, Images, Pixels, Preprocessing

__all__ = ["PixelSource", "cache_folder", "clean", "open_cache", "read_images"]

SAMPLE = 64
"""Images, evenly spread, from which a preprocessing and the size of a cache are guessed before all are read."""
_SAMPLE_BYTES = 2**29  # of decoded pixels: the sample is smaller where its images are large
_DAMAGE = " An earlier cache was damaged or of another version, and is not used."
_CHUNK_BYTES = 2**22  # of cached pixels that a thread prepares before it hands them over


def cache_folder() -> Path:
    """Where caches live unless told otherwise: $CONVOLVE_CACHE, or `~/.cache/convolve/pixels`.

    Raises `DataError` where there is neither.
    """
    chosen = os.environ.get("CONVOLVE_CACHE")
    try:
        return Path(chosen) if chosen else Path.home() / ".cache" / "convolve" / "pixels"
    except RuntimeError as error:  # as Path.home has it
        raise DataError(
            "This user has no home directory for the cache of pixels; set CONVOLVE_CACHE to a folder for it."
        ) from error


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
    array = None if isinstance(images, ImageFiles) else _as_array(images)
    if array is not None:
        found = survey(images, workers)
        return found, in_memory(array, choose(found.facts))
    folder = folder or cache_folder()
    reading = _Reading(images, workers, folder, budget, [b""] * len(images), np.zeros(len(images), MEASUREMENT))
    guess = reading.guess(choose)
    if guess is None:  # nothing in the sample can be read, so that as a rule this refuses the dataset
        guess = choose(survey(images, workers).facts)
    cached = reading.read_all(guess)
    found = as_survey(images, reading.measurements, reading.digests, reading.failed)
    preprocessing = choose(found.facts)
    measured = cached is None and least_side(preprocessing) == least_side(guess)
    if form_key(preprocessing) != form_key(guess) and not measured:
        # All images together ask for other pixels than the sample did, such as three channels for the one colored image
        # among thousands: they are read and decoded a second time. Later runs guess by what the cache then says.
        reading.failed = {}
        cached = reading.read_all(preprocessing)
        found = as_survey(images, reading.measurements, reading.digests, reading.failed)
    return found, reading.stream(preprocessing) if cached is None else cached


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
    array = _as_array(images)
    if array is not None:
        return in_memory(array, preprocessing)
    if budget <= 0:
        return StreamedImages(images, preprocessing, "no cache is allowed")
    folder = folder or cache_folder()
    known = list(digests) if digests else [b""] * len(images)
    reading = _Reading(images, workers, folder, budget, known, np.zeros(len(images), MEASUREMENT))
    found, reading.discarded = find_cache(folder, known, len(images), form_key(preprocessing))
    if found is None:
        reading.open_sample()
    cached = reading.read_all(preprocessing, may_stream=True)
    return reading.stream(preprocessing) if cached is None else cached


def _as_array(images: Images) -> Pixels | None:
    """(N, H, W, C) when all images are in memory already, of one size."""
    if isinstance(images, ImageArray):
        return images.array
    if isinstance(images, TakenImages):
        inside = _as_array(images.images)
        return None if inside is None else np.asarray(inside[images.indices])
    if isinstance(images, JoinedImages):
        parts = [_as_array(part) for part in images.parts]
        arrays = [part for part in parts if part is not None]
        if len(arrays) == len(parts) and len({part.shape[1:] for part in arrays}) == 1:
            return np.concatenate(arrays)
    return None


@dataclass
class _Reading:
    """Reading all ``images`` once, by ``workers`` threads: what is known of each of them by now.

    By index, these are their ``digests`` (empty: not known, or a file that cannot be opened), ``measurements`` (N,),
    and why some have ``failed``. Files that have been read before all others are ``opened``, or in ``decoded`` as they
    are cached, None for one that has failed; ``sizes`` are theirs, and ``gray`` whether their headers rule out color.
    """

    images: Images
    workers: int | None
    folder: Path
    budget: int
    digests: list[bytes]
    measurements: Measurements
    failed: dict[int, str] = field(default_factory=dict)
    opened: dict[int, EncodedImage] = field(default_factory=dict)
    decoded: dict[int, Pixels | None] = field(default_factory=dict)
    sizes: list[tuple[int, int]] = field(default_factory=list)
    gray: bool = True
    reason: str = ""
    """Why there is no cache."""
    damaged: set[int] = field(default_factory=set)
    """Images of which the earlier cache has other pixels than were written."""
    discarded: bool = False
    """Whether any earlier cache was damaged."""

    def open_sample(self) -> None:
        """Read some of the files, evenly spread, and of their headers the sizes and whether there may be color."""
        count, total = len(self.images), 0
        spread = np.unique(np.linspace(0, count - 1, min(count, SAMPLE)).astype(np.int64))
        for index in np.random.default_rng(0).permutation(spread).tolist():  # its beginning is spread, too
            try:
                encoded = self.opened[index] = self.images.open(index)
                self.digests[index] = encoded.digest
                (height, width), gray, _ = encoded.header
                self.gray &= gray
            except (ImageError, OSError) as error:
                if index not in self.opened:
                    self.failed[index], self.decoded[index], self.digests[index] = str(error), None, b""
                continue
            self.sizes.append((height, width))
            total += 3 * height * width
            if total > _SAMPLE_BYTES:
                break

    def guess(self, choose: Callable[[ImageFacts], Preprocessing]) -> Preprocessing | None:
        """The preprocessing for all images as far as a cache of whatever form can tell, or a sample when it is decoded;
        None where none of it can be read.
        """
        self.open_sample()
        count = len(self.images)
        cached, self.discarded = find_cache(self.folder, self.digests, count)
        if cached is not None and (cached.index[:, 0] >= 0).any():
            measured = cached.measurements[cached.index[:, 0] >= 0]
            return choose(image_facts(count, measured["size"], measured["color"]))
        if not self.sizes:
            return None
        sizes, opened = np.array(self.sizes, np.int64), dict(self.opened)
        first = choose(image_facts(count, sizes, np.array([not self.gray])))
        with one_thread_each():
            decoded = list(in_order(partial(self.read, first, None), opened, self.workers))
        guess = choose(image_facts(count, sizes, self.measurements["color"]))
        if form_key(guess) == form_key(first):
            self.decoded |= zip(opened, decoded, strict=True)
        else:  # gray images are stored in color, and these few are decoded again
            self.opened = opened
        return guess

    def read_all(self, preprocessing: Preprocessing, may_stream: bool = False) -> CachedImages | None:
        """Read every file once and decode what no earlier cache has. What then has them all: that cache, or a new one;
        None where a ``reason`` says why there is none.

        With ``may_stream`` nothing is read when a cache would be too large: the images need not be measured.
        """
        count, form = len(self.images), form_key(preprocessing)
        clean(self.folder, sys.maxsize)  # of what was never finished
        self.damaged = set()
        earlier, discarded = find_cache(self.folder, self.digests, count, form)
        self.discarded |= discarded
        if earlier is None:
            sizes = [cached_size(height, width, preprocessing) for height, width in self.sizes]
            image_bytes = preprocessing.channels * sum(height * width for height, width in sizes) / max(len(sizes), 1)
        else:
            image_bytes = earlier.pixels.size / max(len(earlier), 1)
        expected, self.reason = round(image_bytes * count), ""
        if expected >= self.budget:
            self.reason = f"a cache would take {expected / 1e6:,.0f} MB of the {self.budget / 1e6:,.0f} MB allowed"
        measure_only = earlier is None and bool(self.reason)
        if measure_only and may_stream:
            return None

        read = partial(self.read, preprocessing, earlier, measure_only=measure_only)
        chunk = max(1, min(CHUNK, int(_CHUNK_BYTES / max(image_bytes, 1))))
        with one_thread_each():
            pixels = in_order(read, range(count), self.workers, chunk)
            cached = self._store(pixels, earlier, form, expected)
            for _ in pixels:  # what is not cached is measured all the same
                pass
        self.failed = dict(sorted(self.failed.items()))
        if earlier is not None and self.damaged:
            self.discarded = True
            if cached is None or cached.path != earlier.path:
                discard(earlier.path)
        if cached is None:
            return None
        description = f"Pixels come from the cache {cached.path}, decoded in an earlier run."
        if cached is not earlier:
            description = f"Pixels were decoded once into the cache {cached.path} ({cached.pixels.size / 1e6:,.0f} MB)."
        return replace(cached, failed=self.failed, description=description + (_DAMAGE if self.discarded else ""))

    def stream(self, preprocessing: Preprocessing) -> StreamedImages:
        """The images decoded at each use, for which there is a ``reason``."""
        sizes = self.measurements["size"]
        source = StreamedImages(self.images, preprocessing, self.reason, sizes, self.failed)
        source.description += _DAMAGE if self.discarded else ""
        return source

    def _store(
        self, pixels: Iterator[Pixels | None], earlier: CachedImages | None, form: str, expected: int
    ) -> CachedImages | None:
        """The earlier cache where it has all images as they come, which writes nothing; else a new one of ``expected``
        bytes, or None for a ``reason``.
        """
        count = len(self.images)
        unchanged, changed = count, list[Pixels | None]()
        for index, new in enumerate(pixels):
            same = earlier is not None and earlier.has(index, self.digests[index], index in self.failed)
            if not same or index in self.damaged:
                unchanged, changed = index, [new]
                break
        if earlier is not None and unchanged == count == len(earlier):
            return earlier
        if self.reason:
            return None
        old = (earlier.get(row) if earlier is not None and row not in self.failed else None for row in range(unchanged))
        try:
            clean(self.folder, self.budget - expected)
            return write_cache(
                self.folder, form, self.budget, chain(old, changed, pixels), self.digests, self.measurements
            )
        except OSError as error:
            self.reason = f"the cache {self.folder} cannot be written ({error.strerror or error})"
            return None

    def read(
        self, preprocessing: Preprocessing, earlier: CachedImages | None, index: int, *, measure_only: bool = False
    ) -> Pixels | None:
        """(H, W, channels) an image as it is cached, decoded where neither the sample nor the earlier cache has it;
        None where it has failed, or is only measured: at the scale at which it would be cached, so that all that
        depends on measurements is the same with a cache and without.
        """
        if index in self.decoded:
            return self.decoded.pop(index)
        encoded = self.opened.pop(index, None)
        try:
            if not self.digests[index]:
                encoded = encoded or self.images.open(index)
                self.digests[index] = encoded.digest
            row = earlier.find(self.digests[index], index) if earlier is not None else None
            if earlier is not None and row is not None:
                if earlier.is_intact(row):
                    self.measurements[index] = earlier.measurements[row]
                    return earlier.get(row)
                self.damaged.add(index)
            encoded = encoded or self.images.open(index)
            self.digests[index] = encoded.digest
            pixels = encoded.decode(least_side(preprocessing))
            self.measurements[index] = measure(pixels, encoded.header.size)
            return None if measure_only else resize_for_cache(pixels, preprocessing)
        except (ImageError, OSError) as error:
            self.failed[index] = str(error)
            if encoded is None:
                self.digests[index] = b""
            return None
