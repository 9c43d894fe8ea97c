"""Faces brought to one position and size, so that an embedding sees nothing but the face.

By five points as in Deng, Guo, Xue, Zafeiriou 2019, "ArcFace: additive angular margin loss for deep face recognition",
section 3.1: the similarity (turn, scale and shift) that brings them nearest to the authors' template, by least squares
(Umeyama 1991, "Least-squares estimation of transformation parameters between two point patterns", equations 40 to 43).
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from convolve.values import Pixels

Doubles = npt.NDArray[np.float64]

SIDE = 112
TEMPLATE: Doubles = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
"""Eyes, nose and corners of the mouth in an image of 112x112 pixels, x and y; 0 is the center of the first pixel."""
_LEAST_SCALE = 0.5
"""Images are first made smaller by the mean over areas where they would shrink by more, since the warp samples them."""


def similarity(source: Doubles, target: Doubles) -> Doubles:
    """The matrix (2, 3) of the similarity that brings points ``source`` (N, 2) nearest to ``target`` (N, 2)."""
    from_mean, to_mean = source.mean(0), target.mean(0)
    covariance = (target - to_mean).T @ (source - from_mean) / len(source)
    left, values, right = np.linalg.svd(covariance)
    signs = np.array([1.0, np.sign(np.linalg.det(left) * np.linalg.det(right)) or 1.0])  # no reflection
    turn = left @ np.diag(signs) @ right
    scale = (values * signs).sum() / (source - from_mean).var(0).sum()
    return np.column_stack([scale * turn, to_mean - scale * turn @ from_mean])


def align(pixels: Pixels, points: Doubles) -> Pixels:
    """(112, 112, 3) the face with five ``points`` (5, 2) in an image (H, W, 3); black beyond the image."""
    scale = float(np.hypot(*similarity(points, TEMPLATE)[:, 0]))
    if scale < _LEAST_SCALE:
        factor = scale / _LEAST_SCALE
        height, width = (max(1, round(side * factor)) for side in pixels.shape[:2])
        ratio = np.array([width / pixels.shape[1], height / pixels.shape[0]])
        pixels = np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        points = (points + 0.5) * ratio - 0.5
    matrix = similarity(points, TEMPLATE)
    return np.asarray(cv2.warpAffine(pixels, matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR), np.uint8)


def cut(pixels: Pixels, box: tuple[float, float, float, float]) -> Pixels:
    """(112, 112, 3) the square around a box (left, top, right, bottom) in an image (H, W, 3); black beyond it."""
    left, top, right, bottom = box
    half = max(right - left, bottom - top, 1.0) / 2
    x, y = (left + right) / 2 - 0.5, (top + bottom) / 2 - 0.5
    corners = np.array([[x - half, y - half], [x + half, y - half], [x, y + half], [x - half, y + half]])
    ends = np.array([[-0.5, -0.5], [SIDE - 0.5, -0.5], [SIDE / 2 - 0.5, SIDE - 0.5], [-0.5, SIDE - 0.5]])
    matrix = similarity(corners, ends)
    return np.asarray(cv2.warpAffine(pixels, matrix, (SIDE, SIDE), flags=cv2.INTER_AREA), np.uint8)
