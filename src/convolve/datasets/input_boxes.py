"""Where boxes in images of any size are in the network's input, and back again."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from convolve.datasets.preprocess import box_matrices, cached_size, source_boxes
from convolve.values import Indices, Matrices, Preprocessing


def input_matrices(sizes: Indices, preprocessing: Preprocessing) -> Matrices:
    """(N, 2, 3) matrices that take a point in the pixels of images of ``sizes`` (N, 2; height, width) to the input
    without augmentation, exactly as their pixels get there: resized for the cache, then fitted.
    """
    small = np.array(
        [cached_size(height, width, preprocessing) for height, width in sizes.tolist()], dtype=np.int64
    ).reshape(-1, 2)
    matrices = box_matrices(source_boxes(small, preprocessing), preprocessing)
    matrices[:, [0, 1], [0, 1]] *= small[:, ::-1] / np.maximum(sizes[:, ::-1], 1)
    return matrices


def to_input(boxes: npt.NDArray[np.float64], matrices: Matrices) -> npt.NDArray[np.float64]:
    """(M, 4) boxes in pixels of their images to those of the input, also beyond its edges, by ``matrices`` (M or 1, 2,
    3) that only scale and shift.
    """
    scales, shifts = matrices[:, [0, 1], [0, 1]], matrices[:, :, 2]
    scaled: npt.NDArray[np.float64] = boxes * np.tile(scales, 2) + np.tile(shifts, 2)
    return scaled


def to_image(boxes: npt.NDArray[np.float64], matrices: Matrices, sizes: Indices) -> npt.NDArray[np.float64]:
    """(M, 4) boxes in pixels of the input to pixels of their images, clipped to these. The images are of ``sizes``
    (M, 2; height, width), and ``matrices`` (M, 2, 3) take them to the input.
    """
    return np.clip(undo_matrices(boxes, matrices), 0, np.tile(sizes[:, ::-1], 2))


def undo_matrices(boxes: npt.NDArray[np.float64], matrices: Matrices) -> npt.NDArray[np.float64]:
    """(M, 4) boxes in pixels of the input to the pixels that ``matrices`` (M or 1, 2, 3) take there; they only scale
    and shift.
    """
    scales, shifts = matrices[:, [0, 1], [0, 1]], matrices[:, :, 2]
    unscaled: npt.NDArray[np.float64] = (boxes - np.tile(shifts, 2)) / np.tile(scales, 2)
    return unscaled
