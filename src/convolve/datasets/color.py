"""Color as one matrix per image: brightness, contrast, saturation, AlexNet's shift and normalization in one pass.

Matrices (N, C, C + 1) float64 map 8-bit channel values (…, 1) to a network's inputs. Values are not clipped between
the steps, so that the steps compose; only in that does the result differ from doing them one after the other in 8 bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from convolve.values import Floats, Pixels, Preprocessing

Matrices = npt.NDArray[np.float64]
_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, as in the gray of JPEG
_BLOCK = 2**18  # values converted at once: they stay in the processor's second-level cache


@dataclass(frozen=True)
class ColorChange:
    """Per image, each (N,): factors of ``brightness``, ``contrast`` and ``saturation`` (1 changes nothing), and
    ``shift`` (N, C) added to values between 0 and 1.
    """

    brightness: Matrices
    contrast: Matrices
    saturation: Matrices
    shift: Matrices


def normalization_matrix(preprocessing: Preprocessing) -> Matrices:
    """(C, C + 1) from 8-bit values to normalized ones."""
    mean, std = np.array(preprocessing.mean), np.array(preprocessing.std)
    return np.column_stack([np.diag(1 / (255 * std)), -mean / std])


def color_matrices(change: ColorChange, preprocessing: Preprocessing) -> Matrices:
    """(N, C, C + 1) the changes, and normalization after them.

    Contrast changes the distance from the gray of the dataset's mean, saturation that from each pixel's own gray.
    """
    mean, std = np.array(preprocessing.mean), np.array(preprocessing.std)
    channels = preprocessing.channels
    luma = _LUMA if channels == 3 else np.full(channels, 1 / channels)
    factor, saturation = change.brightness * change.contrast, change.saturation
    if channels == 1:
        saturation = np.ones_like(saturation)
    linear = saturation[:, None, None] * np.eye(channels) + (1 - saturation)[:, None, None] * luma
    offset = (1 - change.contrast)[:, None] * (mean @ luma) + change.shift - mean
    scaled = factor[:, None, None] * linear / 255
    return np.asarray(np.concatenate([scaled, offset[:, :, None]], axis=2) / std[:, None])


def transform_colors(pixels: Pixels, matrices: Matrices) -> Floats:
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


def principal_axes(images: Sequence[Pixels] | Pixels) -> Matrices:
    """(C, C) the principal axes of the images' colors as columns, each as long as its eigenvalue; values in 0–1.

    Source: Krizhevsky et al. 2012, section 4.1, whose shift is this matrix times three normal draws.
    """
    colors = np.concatenate(
        [image.reshape(-1, image.shape[2])[:: max(1, image[..., 0].size // 1024)] for image in images]
    )
    values, axes = np.linalg.eigh(np.atleast_2d(np.cov(colors / 255, rowvar=False)))
    return np.asarray(axes * np.maximum(values, 0))
