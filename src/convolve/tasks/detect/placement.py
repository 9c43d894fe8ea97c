"""Where images of any size are in the network's input, and back again."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from convolve.datasets.preprocess import box_matrices, cached_size, source_boxes
from convolve.values import Indices, Matrices, Preprocessing


def input_matrices(sizes: Indices, preprocessing: Preprocessing) -> Matrices:
    """(N, 2, 3) what takes a point in the pixels of images of ``sizes`` (N, 2; height, width) to the input without
    augmentation, exactly as their pixels get there: resized for the cache, then fitted.
    """
    small = np.array(
        [cached_size(height, width, preprocessing) for height, width in sizes.tolist()], dtype=np.int64
    ).reshape(-1, 2)
    matrices = box_matrices(source_boxes(small, preprocessing), preprocessing)
    matrices[:, [0, 1], [0, 1]] *= small[:, ::-1] / np.maximum(sizes[:, ::-1], 1)
    return matrices


def to_image(boxes: npt.NDArray[np.float64], matrices: Matrices, sizes: Indices) -> npt.NDArray[np.float64]:
    """(M, 4) boxes in pixels of the input to those of their images, of ``sizes`` (M, 2) and reached by ``matrices``
    (M, 2, 3), clipped to these.
    """
    scales, shifts = matrices[:, [0, 1], [0, 1]], matrices[:, :, 2]
    found = (boxes - np.tile(shifts, 2)) / np.tile(scales, 2)
    return np.clip(found, 0, np.tile(sizes[:, ::-1], 2))
