"""The colors of figures and pages: blue for right, orange for wrong, which color-blind readers can tell apart."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

from convolve.values import Floats, Pixels

PAPER, CELL, LINE, MUTED, INK = "#ffffff", "#f2f3f5", "#d5d9df", "#626a75", "#1b1f26"
RIGHT, WRONG = "#1b62a8", "#c8501a"
_NAMES = {INK: "ink", MUTED: "muted", LINE: "line", CELL: "cell", RIGHT: "right", WRONG: "wrong", PAPER: "paper"}
# Linear sRGB to the responses of the three cones, and their cube roots to OKLab (Ottosson 2020, "A perceptual color
# space for image processing").
_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def mix(start: str, end: str, fractions: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Colors between two, in perceptually even steps: fractions (...) from 0 to 1 become sRGB (..., 3) from 0 to 1."""
    fraction = np.asarray(fractions, dtype=np.float64)[..., None]
    blend = (1 - fraction) * _to_lab(start) + fraction * _to_lab(end)
    linear = np.clip((blend @ np.linalg.inv(_LAB).T) ** 3 @ np.linalg.inv(_CONES).T, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def use_css_variables(svg: str) -> str:
    """An SVG with its colors replaced by a page's CSS variables (``--ink`` ...), which fall back to those colors."""
    return re.sub("|".join(_NAMES), lambda color: f"var(--{_NAMES[color[0]]}, {color[0]})", svg)


def sequential_colors(fractions: npt.ArrayLike) -> Pixels:
    """Fractions (...) from 0 to 1 to sRGB (..., 3): viridis, from dark blue to yellow; what is beyond is clipped."""
    from matplotlib import colormaps

    colors = colormaps["viridis"](np.clip(np.asarray(fractions, dtype=np.float64), 0, 1))
    return _eight_bits(np.asarray(colors)[..., :3])


def diverging_colors(fractions: npt.ArrayLike) -> Pixels:
    """Fractions (...) from -1 to 1 to sRGB (..., 3): blue below 0, white at 0, orange above, as in signed heatmaps."""
    fraction = np.clip(np.asarray(fractions, dtype=np.float64), -1, 1)
    below, above = mix(PAPER, RIGHT, np.maximum(-fraction, 0)), mix(PAPER, WRONG, np.maximum(fraction, 0))
    return _eight_bits(np.where((fraction < 0)[..., None], below, above))


def color_maps(maps: Floats) -> tuple[Pixels, float, float]:
    """Maps (N, h, w) to (N, h, w, 3) in colors of one scale, and the values at its two ends.

    The scale goes from 0 to the largest value, and is clipped at the 99.9th percentile, so that a single value does not
    darken the others; to both sides of 0 where there are values below it.
    """
    end = float(np.quantile(np.abs(maps), 0.999)) or float(np.abs(maps).max()) or 1.0
    if (maps < 0).any():
        return diverging_colors(maps / end), -end, end
    return sequential_colors(maps / end), 0.0, end


def _eight_bits(colors: npt.NDArray[np.float64]) -> Pixels:
    return np.asarray((colors * 255).round(), dtype=np.uint8)


def _to_lab(color: str) -> npt.NDArray[np.float64]:
    values = np.array([int(color[position : position + 2], 16) for position in (1, 3, 5)]) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return np.asarray(np.cbrt(linear @ _CONES.T) @ _LAB.T, dtype=np.float64)
