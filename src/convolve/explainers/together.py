"""How many images are worked on together."""

from __future__ import annotations

from collections.abc import Sequence

_SIDE = 256


def at_once(most: int, size: Sequence[int]) -> int:
    """How many images of that (height, width) run together: ``most`` of 256x256 pixels or less, fewer of larger ones,
    so that memory is bounded.
    """
    return max(1, min(most, most * _SIDE**2 // (size[0] * size[1])))
