"""Colors by which classes are told apart in drawings."""

from __future__ import annotations

import colorsys

from convolve.values import Color


def distinct_colors(count: int) -> tuple[Color, ...]:
    """Colors well apart, the first one black: hues by the golden section, in turn light and dark."""
    return ((0, 0, 0), *map(class_color, range(count - 1)))[:count]


def class_color(index: int) -> Color:
    """The color in which objects of a class are drawn, none of them black; see `distinct_colors`."""
    shades = colorsys.hsv_to_rgb(index * 0.618034 % 1, 0.65 + 0.25 * (index % 2), 0.95 - 0.25 * (index // 2 % 2))
    red, green, blue = (round(255 * shade) for shade in shades)
    return red, green, blue
