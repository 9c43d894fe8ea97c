"""A photograph through every classic filter and pooling; slides "Photo filters", "Compare pooling algorithm"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from convolve.from_scratch.arrays import Array
from convolve.from_scratch.filters import FILTERS, Picture, filtered, pooled, shown

_PIECES = 40
"""Windows along the shorter side when pooling is compared: coarse enough to be seen."""


@dataclass(frozen=True)
class Version:
    """A picture (H, W, C) uint8 by name, the ``kernel`` or the ``window`` that made it, and the ``span`` of its values
    before they were cut off at 0 and 255.
    """

    name: str
    picture: Picture
    span: tuple[float, float]
    kernel: tuple[tuple[int, ...], ...] | None = None
    window: int | None = None


def versions(picture: Picture) -> tuple[Version, ...]:
    """The picture (H, W, C) itself, through each of `FILTERS`, and pooled in each way.

    The window of the pools is a fortieth of the shorter side, at least 2. Raises `ValueError` below 3x3 pixels.
    """
    if min(picture.shape[:2]) < 3:
        raise ValueError("The photograph is smaller than the 3x3 filters; take a larger one.")
    window = max(2, min(picture.shape[:2]) // _PIECES)
    found = [Version("original", picture, _span(picture))]
    for name, kernel in FILTERS.items():
        values = filtered(picture, kernel)
        found.append(Version(name, shown(values), _span(values), kernel=kernel))
    kinds: tuple[Literal["min", "max", "average"], ...] = ("min", "max", "average")
    for kind in kinds:
        values = pooled(picture, kind, window)
        found.append(Version(f"{kind} pooling", shown(values), _span(values), window=window))
    return tuple(found)


def _span(values: Array | Picture) -> tuple[float, float]:
    return float(values.min()), float(values.max())
