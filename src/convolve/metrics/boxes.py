"""How far boxes agree: intersection over union.

Boxes are (…, 4) left, top, right, bottom in continuous coordinates that count from the outer edge of the first pixel,
as in `convolve.datasets.geometry`: a box round the first pixel alone is 0, 0, 1, 1.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

BoxArray = npt.NDArray[np.float64]


def box_areas(boxes: BoxArray) -> BoxArray:
    """(…) areas of (…, 4) boxes; 0 where right or bottom do not lie beyond left and top."""
    sides = np.clip(boxes[..., 2:] - boxes[..., :2], 0, None)
    return np.asarray(sides.prod(axis=-1), dtype=np.float64)


def intersection_over_union(first: BoxArray, second: BoxArray) -> BoxArray:
    """(N, M) the area that (N, 4) and (M, 4) boxes share over the area that either covers; 0 where both are empty."""
    shared_corners = np.maximum(first[:, None, :2], second[None, :, :2]), np.minimum(first[:, None, 2:], second[:, 2:])
    shared = box_areas(np.concatenate(shared_corners, axis=-1))
    either = box_areas(first)[:, None] + box_areas(second) - shared
    return np.divide(shared, either, out=np.zeros_like(shared), where=either > 0)
