"""Colors for numbers: one ramp for what only rises, one for what lies on both sides of 0. Even to the eye."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from convolve.reports.colors import PAPER, RIGHT, WRONG, mix
from convolve.values import Floats, Pixels


def rising(fractions: npt.ArrayLike) -> Pixels:
    """Fractions (...) from 0 to 1 to sRGB (..., 3): viridis, from dark blue to yellow; what lies beyond is cut off."""
    import matplotlib as mpl

    colors = mpl.colormaps["viridis"](np.clip(np.asarray(fractions, dtype=np.float64), 0, 1))
    return _eight_bits(np.asarray(colors)[..., :3])


def diverging(fractions: npt.ArrayLike) -> Pixels:
    """Fractions (...) from -1 to 1 to sRGB (..., 3): blue below 0, white at 0, orange above,
    as in heatmaps over photographs.
    """
    fraction = np.clip(np.asarray(fractions, dtype=np.float64), -1, 1)
    below, above = mix(PAPER, RIGHT, np.maximum(-fraction, 0)), mix(PAPER, WRONG, np.maximum(fraction, 0))
    return _eight_bits(np.where((fraction < 0)[..., None], below, above))


def shown_maps(maps: Floats) -> tuple[Pixels, float, float]:
    """Maps (N, h, w) to (N, h, w, 3) in colors of one scale, and the values at its two ends.

    The scale goes from 0 to the largest value, and is cut at the 99.9th percentile, so that a single value does not
    darken the rest; to both sides of 0 where there are values below it.
    """
    end = float(np.quantile(np.abs(maps), 0.999)) or float(np.abs(maps).max()) or 1.0
    if (maps < 0).any():
        return diverging(maps / end), -end, end
    return rising(maps / end), 0.0, end


def _eight_bits(colors: npt.NDArray[np.float64]) -> Pixels:
    return np.asarray((colors * 255).round(), dtype=np.uint8)
