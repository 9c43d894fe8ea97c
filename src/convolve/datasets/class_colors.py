"""Colors by which classes are told apart in drawings."""

from __future__ import annotations

import colorsys
from typing import Final

from convolve.values import IGNORE, Color


def class_color(index: int) -> Color:
    """The color of a class of objects, which is never black: hues by the golden section, in turn light and dark."""
    shades = colorsys.hsv_to_rgb(index * 0.618034 % 1, 0.65 + 0.25 * (index % 2), 0.95 - 0.25 * (index // 2 % 2))
    red, green, blue = (round(255 * shade) for shade in shades)
    return red, green, blue


MASK_COLORS: Final = ((0, 0, 0), *map(class_color, range(IGNORE - 1)))
"""Colors of as many classes as a mask can have, the first one, mostly the background, black."""
