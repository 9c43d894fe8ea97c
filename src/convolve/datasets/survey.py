"""What one reading of every image tells: what the doctor judges by, and half a kilobyte of it for each cached image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

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
MEASUREMENT: Final = np.dtype(
    [
        ("size", np.int64, (2,)),
        ("color", np.bool_),
        ("mean", np.float32, (3,)),
        ("square", np.float32, (3,)),
        ("luma", np.uint8, (LUMA_SIDE, LUMA_SIDE)),
        ("chroma", np.uint8, (CHROMA_SIDE, CHROMA_SIDE, 2)),
    ]
)
"""What is measured of one image: ``size`` (height, width); ``color``, whether channels differ; ``mean`` and ``square``
(3,) of its values and squared values between 0 and 1; ``luma`` (16, 16) and ``chroma`` (4, 4, 2) thumbnails.
"""
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


@dataclass(frozen=True)
class Survey:
    """What one reading of every image found: ``measurements`` (N,) and ``digests`` of all N, of which only those of the
    ``usable`` ones count. ``failed`` says by index why another cannot be read. ``facts`` are of those that can.
    """

    measurements: Measurements
    digests: tuple[bytes, ...]
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

    measurements = np.zeros(len(images), MEASUREMENT)
    digests = [b""] * len(images)
    failed: dict[int, str] = {}
    report = Pace(listener, "read", len(images), "images") if listener else None
    with one_thread_each():
        for index, found in enumerate(in_order(look, range(len(images)), workers, CHUNK)):
            if isinstance(found, str):
                failed[index] = found
            else:
                measurements[index], digests[index] = found
            if report and ((index + 1) % CHUNK == 0 or index + 1 == len(images)):
                report(index + 1)
    return as_survey(images, measurements, digests, failed)


def as_survey(
    images: Images, measurements: Measurements, digests: Sequence[bytes], failed: Mapping[int, str]
) -> Survey:
    """A survey from what is known of all images. Raises `DataError` as `survey` does."""
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
    usable = np.array([index for index in range(len(images)) if index not in failed], np.int64)
    facts = image_facts(len(usable), measurements["size"][usable], measurements["color"][usable])
    return Survey(measurements, tuple(digests), failed, usable, facts)


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
