"""Areas of boxes and their intersection over union.

Boxes are (…, 4) left, top, right, bottom in continuous coordinates that count from the outer edge of the first pixel,
as in `convolve.datasets.preprocess`: a box around the first pixel alone is 0, 0, 1, 1.

>>> intersection_over_union(np.array([[0.0, 0, 2, 2]]), np.array([[1.0, 0, 3, 2], [5, 5, 6, 6]])).round(3).tolist()
[[0.333, 0.0]]
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

BoxArray = npt.NDArray[np.float64]


def box_areas(boxes: BoxArray) -> BoxArray:
    """(…) areas of (…, 4) boxes; 0 where right or bottom do not lie beyond left and top."""
    sides = np.clip(boxes[..., 2:] - boxes[..., :2], 0, None)
    return np.asarray(sides.prod(axis=-1), dtype=np.float64)


def intersection_areas(first: BoxArray, second: BoxArray) -> BoxArray:
    """(…) areas that boxes (…, 4) and (…, 4), of shapes that broadcast, have in common; 0 where they do not meet."""
    corners = np.maximum(first[..., :2], second[..., :2]), np.minimum(first[..., 2:], second[..., 2:])
    return box_areas(np.concatenate(corners, axis=-1))


def intersection_over_union(first: BoxArray, second: BoxArray) -> BoxArray:
    """(N, 4) and (M, 4) boxes to (N, M): the area of the overlap over that of the union; 0 where both are empty."""
    overlap = intersection_areas(first[:, None], second[None])
    union = box_areas(first)[:, None] + box_areas(second) - overlap
    return np.divide(overlap, union, out=np.zeros_like(overlap), where=union > 0)
