"""Run-length encoding (RLE) of regions, as in COCO's annotations.

Pixels are counted down the columns, first those outside of the region, then those inside, in turn. As text each count
(from the third on, its difference from the one two before) is written in groups of five bits, lowest first, the sixth
bit saying that more follow, as a character from `0` on (the format of the COCO API).
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from convolve.errors import DataError
from convolve.values import Flags, Pixels

_MOST_BITS = 60  # of a number in the text


def encode(region: Flags) -> list[int]:
    """(H, W) to the lengths of its runs."""
    flat = region.T.reshape(-1)
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    ends = [*changes.tolist(), len(flat)]
    if len(flat) and flat[0]:
        ends.insert(0, 0)
    return np.diff([0, *ends]).tolist() if len(flat) else []


def decode(counts: Sequence[int], size: tuple[int, int]) -> Pixels:
    """(H, W) zeros and ones. Raises `DataError` when the runs do not fill it."""
    _check(counts, size)
    flat = np.repeat(np.arange(len(counts), dtype=np.uint8) & 1, counts)
    if not len(flat):
        return np.zeros(size, np.uint8)
    filled: Pixels = cv2.transpose(flat.reshape(size[::-1]))  # type: ignore[assignment]
    return filled


def columns_inside(counts: Sequence[int], size: tuple[int, int]) -> tuple[slice, list[int]]:
    """The columns from the first to the last one that has a pixel inside, and the runs that fill these alone. Raises
    `DataError` when the runs do not fill a mask of the ``size``.
    """
    _check(counts, size)
    inside = [index for index in range(1, len(counts), 2) if counts[index]]
    if not inside:
        return slice(0, 0), []
    before, after = sum(counts[: inside[0]]), sum(counts[inside[-1] + 1 :])
    left, right = before // size[0], after // size[0]
    runs = [before - left * size[0], *counts[inside[0] : inside[-1] + 1], after - right * size[0]]
    return slice(left, size[1] - right), runs


def _check(counts: Sequence[int], size: tuple[int, int]) -> None:
    if sum(counts) != size[0] * size[1] or min(counts, default=0) < 0:
        raise DataError(f"Run lengths of {sum(counts)} pixels do not fill a mask of {size[0]}x{size[1]}.")


def to_text(counts: Sequence[int]) -> str:
    """Run lengths as COCO's compressed text."""
    letters: list[str] = []
    for index, count in enumerate(counts):
        value = count - counts[index - 2] if index > 2 else count
        more = True
        while more:
            group, value = value & 31, value >> 5
            more = value != (-1 if group & 16 else 0)
            letters.append(chr(48 + group + 32 * more))
    return "".join(letters)


def from_text(text: str) -> list[int]:
    """COCO's compressed text as run lengths. Raises `DataError` for any other text."""
    counts: list[int] = []
    value = shift = 0
    for letter in text:
        group = ord(letter) - 48
        if not 0 <= group < 64:
            raise DataError(f"'{letter}' is not part of COCO's compressed run lengths.")
        value |= (group & 31) << shift
        shift += 5
        if shift > _MOST_BITS:
            raise DataError("COCO's compressed run lengths have a number that no image has pixels for.")
        if not group & 32:
            value -= (1 << shift) if group & 16 else 0
            counts.append(value + (counts[-2] if len(counts) > 2 else 0))
            value = shift = 0
    if shift:
        raise DataError("COCO's compressed run lengths end in the middle of a number.")
    return counts
