"""Values in documents of unknown origin, each of the type that its reader expects, or a `ValueError`."""

from __future__ import annotations

import math
from typing import Any, Final

from convolve.untrusted.images import MAX_PIXELS

FARTHEST: Final = 2**20
"""Pixels from an image's corner within which every coordinate and length lies. JPEG's sides have 2**16 at most."""


def as_text(value: object) -> str:
    """A text, or a number as text."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("a text is something else")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a text is something else")
    return str(value)


def as_number(value: object, farthest: int = FARTHEST) -> float:
    """A number, also as text, no farther from 0 than a coordinate or another bound."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("a number is something else")
    if isinstance(value, int) and abs(value) > farthest:
        raise ValueError("a number is too large")
    number = float(value)
    if not abs(number) <= farthest:
        raise ValueError("a number is too large, or none")
    return number


def as_whole(value: object, lowest: int = -FARTHEST, highest: int = FARTHEST) -> int:
    """A whole number within bounds."""
    number = as_number(value, max(abs(lowest), abs(highest)))
    if not number.is_integer() or not lowest <= number <= highest:
        raise ValueError("a number is not whole, or too small")
    return int(number)


def as_size(height: object, width: object) -> tuple[int, int]:
    """The size of an image that could be read."""
    size = as_whole(height, 1), as_whole(width, 1)
    if size[0] * size[1] > MAX_PIXELS:
        raise ValueError("an image is too large")
    return size


def as_list(value: object) -> list[Any]:
    """A list."""
    if not isinstance(value, list):
        raise ValueError("a list is something else")
    return value


def as_dict(value: object) -> dict[str, Any]:
    """An object of JSON."""
    if not isinstance(value, dict):
        raise ValueError("an object is something else")
    return value
