"""Boxes in which a detector looks for objects: sliding windows, and those of selective search, kept on disk.

The proposals of an image depend on its content, the mode and the versions of what computes them. They are in the
caches' folder, in `proposals-` and 8 hexadecimal digits for the latter two, and in a file named by the image's digest:
the image's height and width (int64), the boxes in pixels of the reduced image (K, 4) uint16, and a digest of all that.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from convolve.datasets.cache import cache_folder
from convolve.datasets.cache_files import PROPOSALS_PREFIX
from convolve.datasets.images import DIGEST_BYTES
from convolve.datasets.parallel import in_order, one_thread_each
from convolve.datasets.selective_search import (
    MODES,
    BoxArray,
    Mode,
    enlarge_boxes,
    search_reduced,
    segmentation_version,
)
from convolve.errors import ConvolveError
from convolve.files import write_bytes
from convolve.untrusted.files import read_file
from convolve.values import EncodedImage, Images

_VERSION: Final = 1  # changes whenever the same image would give other boxes, or other files
_HEADER_BYTES = 16
_FILE_BYTES = 2**26
WINDOW_SCALES = (1.0, 0.5, 0.25, 0.125)
WINDOW_RATIOS = (1.0, 0.5, 2.0)


def sliding_windows(
    size: tuple[int, int],
    scales: Sequence[float] = WINDOW_SCALES,
    ratios: Sequence[float] = WINDOW_RATIOS,
    step: float = 0.5,
) -> BoxArray:
    """Boxes (K, 4) left, top, right, bottom in pixels: windows that slide over an image of that height and width.

    A window has the area of a square whose side is one of the ``scales`` of the image's shorter side, and a width of
    one of the ``ratios`` of its height, cut to the image's sides. Along each axis it advances by ``step`` of its own
    side at most, evenly and from edge to edge. They come scale by scale, row by row.
    """
    height, width = size
    windows = []
    for scale in scales:
        for ratio in ratios:
            side = scale * min(height, width)
            h, w = min(height, side / math.sqrt(ratio)), min(width, side * math.sqrt(ratio))
            top, left = (
                np.linspace(0, last, 1 + math.ceil(last / (step * length)))
                for last, length in ((height - h, h), (width - w, w))
            )
            y, x = (axis.ravel() for axis in np.meshgrid(top, left, indexing="ij"))
            windows.append(np.stack([x, y, x + w, y + h], axis=1))
    return np.concatenate(windows)


def read_proposals(
    images: Images, mode: Mode = "fast", folder: Path | None = None, workers: int | None = None
) -> Iterator[BoxArray]:
    """The boxes of `selective_search` of each image in turn, computed by ``workers`` threads (see `parallel.in_order`)
    unless an earlier run has left them in the ``folder`` (`cache_folder` when None). The segmentation, which is most of
    the work, holds the interpreter lock: threads help little there.

    Raises `ImageError` for an image that cannot be read, and `DataError` without scikit-image.
    """
    cache = (folder or cache_folder()) / f"{PROPOSALS_PREFIX}{_form_key(mode)}"
    with suppress(OSError):  # which it raises where there is none yet
        os.utime(cache)
    with one_thread_each():
        yield from in_order(partial(_propose, images, mode, cache), range(len(images)), workers)


def _form_key(mode: Mode) -> str:
    form = (_VERSION, mode, MODES[mode], segmentation_version())
    return hashlib.blake2b(repr(form).encode(), digest_size=4).hexdigest()


def _propose(images: Images, mode: Mode, cache: Path, index: int) -> BoxArray:
    """The proposals of an image, which are in the ``cache`` afterwards where it can be written."""
    encoded = images.open(index)
    path = cache / f"{encoded.digest.hex()}.bin"
    with suppress(OSError, ValueError):
        return _read(path)
    return _search(encoded, mode, path)


def _read(path: Path) -> BoxArray:
    """The boxes in a file. Raises `OSError`, and `ValueError` where its bytes are not those that were written."""
    content = read_file(path, _FILE_BYTES)
    body = content[:-DIGEST_BYTES]
    if hashlib.blake2b(body, digest_size=DIGEST_BYTES).digest() != content[-DIGEST_BYTES:]:
        raise ValueError(f"{path} does not hold what was written")
    height, width = np.frombuffer(body[:_HEADER_BYTES], np.int64).tolist()
    return enlarge_boxes(np.frombuffer(body[_HEADER_BYTES:], np.uint16).reshape(-1, 4), height, width)


def _search(encoded: EncodedImage, mode: Mode, path: Path) -> BoxArray:
    pixels = encoded.decode()
    height, width = pixels.shape[:2]
    boxes = search_reduced(pixels, mode)
    body = np.array([height, width], np.int64).tobytes() + boxes.tobytes()
    with suppress(ConvolveError):  # no room on the disk, say
        write_bytes(path, body + hashlib.blake2b(body, digest_size=DIGEST_BYTES).digest())
    return enlarge_boxes(boxes, height, width)
