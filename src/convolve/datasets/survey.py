"""One reading of every image: what the doctor judges by, and small enough (half a kilobyte each) to keep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from convolve.datasets.parallel import in_order, one_thread_each
from convolve.errors import DataError, ImageError
from convolve.values import Floats, Images, Indices, Pixels

MAX_UNREADABLE = 0.1
"""Share of unreadable images above which a dataset is refused."""
SHORTER_SIDE = 128
LUMA_SIDE = 16
CHROMA_SIDE = 4
_GRAY_TOLERANCE = 8
_NO_CHROMA = np.full((CHROMA_SIDE, CHROMA_SIDE, 2), 128, np.uint8)
_CHUNK = 32
_NAMED = 5


@dataclass(frozen=True)
class Survey:
    """What one reading of every image found. Row r of each array, and digest r, belong to image ``usable[r]``.

    ``sizes`` (U, 2) height and width; ``color`` (U,) whether channels differ; ``means`` and ``squares`` (U, 3) of each
    image's values and squared values between 0 and 1; ``luma`` (U, 16, 16) and ``chroma`` (U, 4, 4, 2) thumbnails;
    ``failed`` the reason by image.
    """

    usable: Indices
    sizes: Indices
    color: npt.NDArray[np.bool_]
    means: Floats
    squares: Floats
    luma: Pixels
    chroma: Pixels
    digests: tuple[bytes, ...]
    failed: Mapping[int, str]


class _Look(NamedTuple):
    size: tuple[int, int]
    color: bool
    mean: Floats
    square: Floats
    luma: Pixels
    chroma: Pixels
    digest: bytes


def survey(images: Images, workers: int = 2) -> Survey:
    """Read every image once, by threads. Raises `DataError` when more than `MAX_UNREADABLE` of them cannot be read."""
    numbers = range(len(images))
    chunks = [numbers[start : start + _CHUNK] for start in range(0, len(numbers), _CHUNK)]
    with one_thread_each():
        found = [look for looks in in_order(partial(_look_at, images), chunks, workers) for look in looks]
    failed = {index: look for index, look in enumerate(found) if isinstance(look, str)}
    _refuse_if_broken(images, failed)
    looks = [look for look in found if isinstance(look, _Look)]
    return Survey(
        usable=np.array([index for index in numbers if index not in failed], np.int64),
        sizes=np.array([look.size for look in looks], np.int64),
        color=np.array([look.color for look in looks], np.bool_),
        means=np.stack([look.mean for look in looks]),
        squares=np.stack([look.square for look in looks]),
        luma=np.stack([look.luma for look in looks]),
        chroma=np.stack([look.chroma for look in looks]),
        digests=tuple(look.digest for look in looks),
        failed=failed,
    )


def _refuse_if_broken(images: Images, failed: Mapping[int, str]) -> None:
    if not len(images):
        raise DataError("There are no images; name a folder or file that has some.")
    if len(failed) > MAX_UNREADABLE * len(images):
        named = "; ".join(f"{images.name(index)}: {reason}" for index, reason in list(failed.items())[:_NAMED])
        more = "; and others" if len(failed) > _NAMED else ""
        raise DataError(
            f"{len(failed)} of {len(images)} images cannot be read, more than {MAX_UNREADABLE:.0%}; repair or remove "
            f"them ({named}{more})."
        )


def _look_at(images: Images, indices: range) -> list[_Look | str]:
    """A look at each image, or the reason why there is none."""
    looks: list[_Look | str] = []
    for index in indices:
        try:
            looks.append(_look(images, index))
        except ImageError as error:
            looks.append(str(error))
    return looks


def _look(images: Images, index: int) -> _Look:
    small = _reduced(images.read(index, SHORTER_SIDE))
    mean, deviation = (np.broadcast_to(value.ravel() / 255, 3).astype(np.float32) for value in cv2.meanStdDev(small))
    color = small.shape[2] == 3 and _colored(small)
    thumbnails = _thumbnails(small)
    return _Look(images.size(index), color, mean, mean**2 + deviation**2, *thumbnails, images.digest(index))


def _reduced(pixels: Pixels) -> Pixels:
    """The picture with a shorter side of `SHORTER_SIDE` pixels at most; always (H, W, C)."""
    height, width, channels = pixels.shape
    scale = SHORTER_SIDE / min(height, width)
    if scale >= 1:
        return pixels
    small = cv2.resize(pixels, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8).reshape(small.shape[0], small.shape[1], channels)


def _colored(pixels: Pixels) -> bool:
    red, green, blue = (np.ascontiguousarray(pixels[..., channel]) for channel in range(3))
    return max(cv2.norm(red, green, cv2.NORM_INF), cv2.norm(green, blue, cv2.NORM_INF)) > _GRAY_TOLERANCE


def _thumbnails(pixels: Pixels) -> tuple[Pixels, Pixels]:
    """Luma (16, 16) and chroma (4, 4, 2) of a picture, stretched to a square."""
    small = cv2.resize(pixels, (LUMA_SIDE, LUMA_SIDE), interpolation=cv2.INTER_AREA)
    if small.ndim == 2:
        return np.asarray(small, np.uint8), _NO_CHROMA
    parts = cv2.cvtColor(small, cv2.COLOR_RGB2YCrCb)
    chroma = cv2.resize(parts[..., 1:], (CHROMA_SIDE, CHROMA_SIDE), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(parts[..., 0], np.uint8), np.asarray(chroma, np.uint8)
