"""Classic filters and poolings of a photograph, by the same convolution that networks learn.

Slides "Photo filters" and "Compare pooling algorithm". `VERTICAL_EDGES` is the lecture's: on an image that is 0 on the
left and 100 on the right it gives 0 300 300 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from convolve.from_scratch.arrays import Array
from convolve.from_scratch.convolution import convolution_forward
from convolve.from_scratch.pooling import average_pool_forward, max_pool_forward, min_pool_forward

Image = npt.NDArray[np.uint8]
Pool = Literal["min", "max", "average"]

SHARPEN = ((0, -1, 0), (-1, 5, -1), (0, -1, 0))
EMBOSS = ((-2, -1, 0), (-1, 1, 1), (0, 1, 2))
VERTICAL_EDGES = ((-1, 0, 1), (-1, 0, 1), (-1, 0, 1))
HORIZONTAL_EDGES = ((-1, -1, -1), (0, 0, 0), (1, 1, 1))

FILTERS: Mapping[str, tuple[tuple[int, ...], ...]] = {
    "sharpen": SHARPEN, "emboss": EMBOSS, "vertical edges": VERTICAL_EDGES, "horizontal edges": HORIZONTAL_EDGES
}  # fmt: skip
"""3x3 kernels by name."""
POOLS = {"min": min_pool_forward, "max": max_pool_forward, "average": average_pool_forward}

_WINDOWS = 40
"""Windows along the shorter side when poolings are compared: coarse enough to be visible."""


@dataclass(frozen=True)
class FilteredImage:
    """An ``image`` (H, W, C) uint8 by name, the ``kernel`` or pooling ``window`` that it was computed with, and the
    ``value_range`` (smallest, largest) before values were clipped to 0 and 255.
    """

    name: str
    image: Image
    value_range: tuple[float, float]
    kernel: tuple[tuple[int, ...], ...] | None = None
    window: int | None = None


def apply_all(image: Image) -> tuple[FilteredImage, ...]:
    """The image (H, W, C) itself, through each of `FILTERS`, and pooled in each way.

    The pooling window is a fortieth of the shorter side, at least 2. Raises `ValueError` below 3x3 pixels.
    """
    if min(image.shape[:2]) < 3:
        raise ValueError("The photograph is smaller than the 3x3 filters; take a larger one.")
    window = max(2, min(image.shape[:2]) // _WINDOWS)
    results = [FilteredImage("original", image, _value_range(image))]
    for name, kernel in FILTERS.items():
        values = apply_filter(image, kernel)
        results.append(FilteredImage(name, to_pixels(values), _value_range(values), kernel=kernel))
    for kind in get_args(Pool):
        values = pool(image, kind, window)
        results.append(FilteredImage(f"{kind} pooling", to_pixels(values), _value_range(values), window=window))
    return tuple(results)


def apply_filter(image: Image, kernel: npt.ArrayLike) -> Array:
    """An image (H, W, C) through a kernel of odd sides (FH, FW), channel by channel, to (H, W, C) float32.

    The border is replicated, so that it causes no edge. Values may lie outside 0 to 255; see `to_pixels`.
    """
    weights = np.asarray(kernel, np.float32)
    border = [(side // 2, side // 2) for side in weights.shape]
    padded = np.pad(image, [*border, (0, 0)], mode="edge")
    channels: Array = padded.transpose(2, 0, 1)[:, None].astype(np.float32)
    y, _ = convolution_forward(channels, weights[None, None], np.zeros(1, np.float32))
    return y[:, 0].transpose(1, 2, 0)


def pool(image: Image, kind: Pool, size: int) -> Array:
    """An image (H, W, C) to (H / size, W / size, C) float32, one value for each window of ``size`` x ``size``."""
    channels: Array = image.transpose(2, 0, 1)[None].astype(np.float32)
    y, _ = POOLS[kind](channels, size, size)
    values: Array = y[0].transpose(1, 2, 0)
    return values


def to_pixels(values: Array) -> Image:
    """Values as an image: rounded, and clipped to 0 and 255."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _value_range(values: Array | Image) -> tuple[float, float]:
    return float(values.min()), float(values.max())
