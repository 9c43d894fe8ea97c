"""From an image of any size to what a network sees: resized for the cache, fitted to the input, normalized.

Training, evaluation and prediction all pass through `resize_for_cache` first, so that an image gives the same bits
whether it was decoded a moment ago or comes out of the cache.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from convolve.datasets.decode import to_channels
from convolve.datasets.geometry import fit_matrix, warp
from convolve.values import Floats, Pixels, Preprocessing

ColorMatrices = npt.NDArray[np.float64]
"""(N, C, C + 1) what takes 8-bit channel values (…, 1) to a network's inputs, or (C, C + 1) of one image."""
CACHE_SCALE = 1.15
"""How much larger than the network's input an image is cached, so that random crops find detail to show."""
_BLOCK = 2**18  # values converted at once: they stay in the processor's second-level cache


def least_side(preprocessing: Preprocessing) -> int:
    """Pixels of the shorter side that decoding must not go below, 0 for full size: what to ask of `Images.read`."""
    if preprocessing.fit == "tiles":
        return 0
    return math.ceil(CACHE_SCALE * max(preprocessing.height, preprocessing.width))


def cached_size(height: int, width: int, preprocessing: Preprocessing, enlarge: bool = False) -> tuple[int, int]:
    """Height and width at which an image is cached: `CACHE_SCALE` times what the network's input shows of it, and at
    most the original; with `tiles` the original.

    With ``enlarge`` an image smaller than the input is brought to the input's size.
    """
    input_size = (preprocessing.height, preprocessing.width)
    scales = _scales([math.ceil(CACHE_SCALE * side) for side in input_size], (height, width), preprocessing)
    scales = [min(scale, 1.0) for scale in scales]
    if enlarge:
        scales = np.maximum(scales, _scales(input_size, (height, width), preprocessing)).tolist()
    return max(1, round(height * scales[0])), max(1, round(width * scales[1]))


def resize_for_cache(pixels: Pixels, preprocessing: Preprocessing, enlarge: bool = False) -> Pixels:
    """(H, W, channels) an image as it is cached: in its proportions, unless the fit is `stretch`.

    Shrinking goes linearly to the nearest whole multiple of the goal and then averages whole blocks, which comes as
    near to an exact area average as 8 bits show, at a fraction of its cost. A second call changes nothing.
    """
    pixels = to_channels(pixels, preprocessing.channels)
    height, width = cached_size(pixels.shape[0], pixels.shape[1], preprocessing, enlarge)
    if pixels.shape[:2] == (height, width):
        return pixels
    blocks = max(1, round(min(pixels.shape[0] / height, pixels.shape[1] / width)))
    resized = cv2.resize(pixels, (width * blocks, height * blocks), interpolation=cv2.INTER_LINEAR)
    if blocks > 1:
        resized = cv2.resize(resized, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(resized.reshape(height, width, preprocessing.channels), dtype=np.uint8)


def _scales(goal: Sequence[int], size: tuple[int, int], preprocessing: Preprocessing) -> list[float]:
    """The factors that bring height and width to the goal: to cover it, or with `letterbox` to fit into it."""
    ratios = [side / own for side, own in zip(goal, size, strict=True)]
    if preprocessing.fit == "tiles":
        return [1.0, 1.0]
    if preprocessing.fit == "stretch":
        return ratios
    return 2 * [max(ratios) if preprocessing.fit == "crop" else min(ratios)]


def fit_to_input(pixels: Pixels, preprocessing: Preprocessing) -> Pixels:
    """(height, width, channels) an image as the network sees it without augmentation."""
    small = resize_for_cache(pixels, preprocessing)
    matrix = fit_matrix(small.shape[0], small.shape[1], preprocessing)
    return np.asarray(warp([small], matrix[None], preprocessing)[0])


def normalize(pixels: Pixels, preprocessing: Preprocessing) -> Floats:
    """(N, H, W, C) float32 of (N, H, W, C) uint8: between 0 and 1, less the mean, over the standard deviation."""
    return transform_colors(pixels, normalization_matrix(preprocessing)[None])


def normalization_matrix(preprocessing: Preprocessing) -> ColorMatrices:
    """(C, C + 1) from 8-bit values to normalized ones."""
    mean, std = np.array(preprocessing.mean), np.array(preprocessing.std)
    return np.column_stack([np.diag(1 / (255 * std)), -mean / std])


def transform_colors(pixels: Pixels, matrices: ColorMatrices) -> Floats:
    """(N, H, W, C) float32 of (N, H, W, C) uint8, each image by its matrix, or all by one (1, C, C + 1)."""
    result = np.empty(pixels.shape, np.float32)
    count, height, width, channels = pixels.shape
    if channels == 1 and len(matrices) > 1:
        scale, offset = matrices.astype(np.float32).reshape(-1, 2).T[:, :, None, None, None]
        np.multiply(pixels, scale, out=result, dtype=np.float32)
        result += offset
        return result
    step = 1 if len(matrices) > 1 else max(1, _BLOCK // max(1, height * width * channels))
    scratch = np.empty((min(step, count) * height, width, channels), np.float32)
    for first in range(0, count, step):
        rows = pixels[first : first + step].reshape(-1, width, channels)
        floats = scratch[: len(rows)]
        np.copyto(floats, rows)
        target = result[first : first + step].reshape(-1, width, channels)
        cv2.transform(floats, matrices[first if len(matrices) > 1 else 0], dst=target)
    return result
