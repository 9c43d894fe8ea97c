"""Small pictures for a page, inside the page itself, and which of many to keep."""

from __future__ import annotations

import base64
import io
from contextlib import suppress

import numpy as np
import numpy.typing as npt
from PIL import Image

from convolve.errors import ImageError
from convolve.metrics.confusion import Flags, Fractions
from convolve.reports.report import Example
from convolve.values import Floats, Images, Indices, Pixels

_TINY = 64
Confidence = Floats | Fractions
Answers = Indices | Flags


def thumbnail(pixels: Pixels, side: int = 96) -> str:
    """(H, W, 1 or 3) uint8 to a data URI, its longer side at most ``side`` pixels.

    What is no larger than 64 pixels stays as it is, as PNG, and a page may enlarge it in squares; the rest is JPEG.
    """
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    tiny = max(image.size) <= min(side, _TINY)
    image.thumbnail((side, side), Image.Resampling.BOX if tiny else Image.Resampling.LANCZOS)
    written = io.BytesIO()
    if tiny:
        image.save(written, "PNG", optimize=True)
    else:
        image.save(written, "JPEG", quality=82, optimize=True)
    kind = "png" if tiny else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(written.getvalue()).decode('ascii')}"


def choose(truth: Indices, predicted: Indices, confidence: Confidence, each: int = 12, total: int = 600) -> Indices:
    """Which of N images to keep for a confusion matrix: at most ``each`` of a cell, ``total`` in all.

    Cells share the pictures by how many images they hold, as parties share seats (Sainte-Lague), a right cell as if it
    held two; in a cell the most confident go first. Returns their places, by cell and then confidence.
    """
    _, cells, counts = np.unique(np.stack([truth, predicted]), axis=1, return_inverse=True, return_counts=True)
    order = np.lexsort((-confidence, cells))
    sizes = counts[cells[order]]
    turn = np.arange(len(order)) - (np.cumsum(counts) - counts)[cells[order]]
    by_seat = np.argsort((turn + 0.5) / np.where((truth == predicted)[order], 2, sizes), kind="stable")
    kept = by_seat[turn[by_seat] < each][:total]
    return np.asarray(order[np.sort(kept)], dtype=np.int64)


def worst(truth: Answers, predicted: Answers, confidence: Confidence, count: int = 24) -> Indices:
    """The places of the wrong answers among N, most confident first."""
    wrong = np.flatnonzero((truth != predicted).reshape(len(truth), -1).any(axis=1))
    return np.asarray(wrong[np.argsort(-confidence[wrong], kind="stable")][:count], dtype=np.int64)


def examples(
    images: Images, chosen: Indices, truth: Answers, predicted: Answers, confidence: Confidence, side: int = 96
) -> tuple[Example, ...]:
    """The chosen of N images, read and made small; one that cannot be read is left out.

    ``truth`` and ``predicted``: (N,) classes, or (N, C) flags where an image may carry several labels.
    """
    found: list[Example] = []
    for index in chosen.tolist():
        with suppress(ImageError):
            picture = thumbnail(images.read(index, at_least=side), side)
            classes = _classes(truth[index]), _classes(predicted[index])
            found.append(Example(images.name(index), picture, *classes, float(confidence[index])))
    return tuple(found)


def _classes(answer: npt.NDArray[np.generic]) -> tuple[int, ...]:
    return tuple(np.flatnonzero(answer).tolist()) if answer.ndim else (int(answer),)
