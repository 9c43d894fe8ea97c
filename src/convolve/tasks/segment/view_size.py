"""How large an image is when a segmentation network sees all of it, and how much of that goes through it at once."""

from __future__ import annotations

from typing import Final

from convolve.values import Preprocessing

PIXELS_AT_ONCE: Final = 512 * 512
"""Pixels that go through the network together; those of one input always do."""


def view_size(height: int, width: int, preprocessing: Preprocessing) -> tuple[int, int]:
    """Height and width of an image as the network sees it."""
    if preprocessing.fit == "tiles":
        return height, width
    if preprocessing.fit != "crop":
        return preprocessing.height, preprocessing.width
    scale = max(preprocessing.height / height, preprocessing.width / width)
    return max(preprocessing.height, round(scale * height)), max(preprocessing.width, round(scale * width))


def view_pixels(height: int, width: int, preprocessing: Preprocessing) -> int:
    """Pixels of an image as the network sees it."""
    down, across = view_size(height, width, preprocessing)
    return down * across


def most_at_once(preprocessing: Preprocessing) -> int:
    """Pixels of the largest image that a run surely does not cut into tiles."""
    return max(PIXELS_AT_ONCE, preprocessing.height * preprocessing.width)
