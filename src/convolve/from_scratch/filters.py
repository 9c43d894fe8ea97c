"""Classic filters on a photograph, by the same convolution that networks learn; slides "Convolution: photo filters".

`VERTICAL_EDGES` is the lecture's: on a picture that is 0 on the left and 100 on the right it gives 0 300 300 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt

from convolve.from_scratch.arrays import Array
from convolve.from_scratch.convolution import convolution_forward
from convolve.from_scratch.pooling import average_pool_forward, max_pool_forward, min_pool_forward

Picture = npt.NDArray[np.uint8]

SHARPEN = ((0, -1, 0), (-1, 5, -1), (0, -1, 0))
EMBOSS = ((-2, -1, 0), (-1, 1, 1), (0, 1, 2))
VERTICAL_EDGES = ((-1, 0, 1), (-1, 0, 1), (-1, 0, 1))
HORIZONTAL_EDGES = ((-1, -1, -1), (0, 0, 0), (1, 1, 1))

FILTERS: Mapping[str, tuple[tuple[int, ...], ...]] = {
    "sharpen": SHARPEN, "emboss": EMBOSS, "vertical edges": VERTICAL_EDGES, "horizontal edges": HORIZONTAL_EDGES
}  # fmt: skip
"""3x3 kernels by name."""
POOLS = {"min": min_pool_forward, "max": max_pool_forward, "average": average_pool_forward}


def filtered(picture: Picture, kernel: npt.ArrayLike) -> Array:
    """A picture (H, W, C) through a kernel of odd sides (FH, FW), each channel by itself, to (H, W, C) float32.

    The border is continued outwards, so that it makes no edge of its own. Values may leave 0 to 255; see `shown`.
    """
    weights = np.asarray(kernel, np.float32)
    border = [(side // 2, side // 2) for side in weights.shape]
    bordered = np.pad(picture, [*border, (0, 0)], mode="edge")
    channels: Array = bordered.transpose(2, 0, 1)[:, None].astype(np.float32)
    y, _ = convolution_forward(channels, weights[None, None], np.zeros(1, np.float32))
    return y[:, 0].transpose(1, 2, 0)


def pooled(picture: Picture, kind: Literal["min", "max", "average"], size: int) -> Array:
    """A picture (H, W, C) to (H / size, W / size, C) float32, one value for each window of ``size`` x ``size``."""
    channels: Array = picture.transpose(2, 0, 1)[None].astype(np.float32)
    y, _ = POOLS[kind](channels, size, size)
    picture_of_values: Array = y[0].transpose(1, 2, 0)
    return picture_of_values


def shown(values: Array) -> Picture:
    """Values as a picture: rounded, and cut off at 0 and 255."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
