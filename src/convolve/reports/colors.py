"""The colors of every picture and page: blue for right, orange for wrong, which color-blind readers tell apart."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

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


def themed(svg: str) -> str:
    """An SVG whose colors are the CSS variables of a page (``--ink`` ...), and themselves where there are none."""
    return re.sub("|".join(_NAMES), lambda color: f"var(--{_NAMES[color[0]]}, {color[0]})", svg)


def _to_lab(color: str) -> npt.NDArray[np.float64]:
    values = np.array([int(color[position : position + 2], 16) for position in (1, 3, 5)]) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return np.asarray(np.cbrt(linear @ _CONES.T) @ _LAB.T, dtype=np.float64)
