"""From a picture of any size to what a network sees: kept pixels, fitted pixels, normalized values.

Training, evaluation and prediction all pass through `kept` first, so that a picture gives the same bits whether it was
decoded a moment ago or comes out of the cache.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from convolve.datasets.color import colored, normalizing
from convolve.datasets.decode import to_channels
from convolve.datasets.geometry import frame, warp
from convolve.values import Floats, Pixels, Preprocessing

__all__ = ["KEPT", "fitted", "frame", "kept", "kept_size", "least_side", "normalized"]

KEPT = 1.15
"""How much larger than the frame a picture is kept, so that random crops find detail to show."""


def least_side(preprocessing: Preprocessing) -> int:
    """Pixels of the shorter side that reading must not go below, 0 for all of them: what to ask of `Images.read`."""
    if preprocessing.fit == "tiles":
        return 0
    return math.ceil(KEPT * max(preprocessing.height, preprocessing.width))


def kept_size(height: int, width: int, preprocessing: Preprocessing, enlarge: bool = False) -> tuple[int, int]:
    """Height and width at which a picture is kept: `KEPT` times what its frame shows, and at most the original; with
    `tiles` the original.

    With ``enlarge`` a picture smaller than its frame is brought to the frame's size.
    """
    frame_sides = (preprocessing.height, preprocessing.width)
    scales = _scales([math.ceil(KEPT * side) for side in frame_sides], (height, width), preprocessing)
    scales = [min(scale, 1.0) for scale in scales]
    if enlarge:
        scales = np.maximum(scales, _scales(frame_sides, (height, width), preprocessing)).tolist()
    return max(1, round(height * scales[0])), max(1, round(width * scales[1]))


def kept(pixels: Pixels, preprocessing: Preprocessing, enlarge: bool = False) -> Pixels:
    """(H, W, channels) the picture as it is kept: proportions kept too, unless the fit is `stretch`.

    Shrinking goes linearly to the nearest whole multiple of the goal and then averages whole blocks, which comes as
    near to an exact area average as 8 bits show, at a fraction of its cost. Keeping what was kept changes nothing.
    """
    pixels = to_channels(pixels, preprocessing.channels)
    height, width = kept_size(pixels.shape[0], pixels.shape[1], preprocessing, enlarge)
    if pixels.shape[:2] == (height, width):
        return pixels
    blocks = max(1, round(min(pixels.shape[0] / height, pixels.shape[1] / width)))
    resized = cv2.resize(pixels, (width * blocks, height * blocks), interpolation=cv2.INTER_LINEAR)
    if blocks > 1:
        resized = cv2.resize(resized, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(resized.reshape(height, width, preprocessing.channels), dtype=np.uint8)


def _scales(goal: Sequence[int], size: tuple[int, int], preprocessing: Preprocessing) -> list[float]:
    """What brings height and width to the goal: so that it is covered, or with `letterbox` nothing stands over it."""
    ratios = [wanted / side for wanted, side in zip(goal, size, strict=True)]
    if preprocessing.fit == "tiles":
        return [1.0, 1.0]
    if preprocessing.fit == "stretch":
        return ratios
    return 2 * [max(ratios) if preprocessing.fit == "crop" else min(ratios)]


def fitted(pixels: Pixels, preprocessing: Preprocessing) -> Pixels:
    """(height, width, channels) the picture as the network sees it when nothing is varied."""
    small = kept(pixels, preprocessing)
    matrix = frame(small.shape[0], small.shape[1], preprocessing)
    return np.asarray(warp([small], matrix[None], preprocessing)[0])


def normalized(pixels: Pixels, preprocessing: Preprocessing) -> Floats:
    """(N, H, W, C) float32 of (N, H, W, C) uint8: between 0 and 1, less the mean, over the standard deviation."""
    return colored(pixels, normalizing(preprocessing)[None])
