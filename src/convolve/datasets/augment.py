"""Augmentation: a batch's random transforms drawn at once, applied as one resampling and one color matrix per image.

Brightness, contrast, saturation, AlexNet's shift and normalization are one matrix. Values are not clipped between the
steps, so that the steps compose; only in that does the result differ from doing them one after the other in 8 bits.

Every parameter has random numbers of its own, used or not, so that turning one augmentation on or off does not change
what the others draw.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from convolve.datasets.augmentation import Augmentation
from convolve.datasets.preprocess import (
    SMALL,
    ColorMatrices,
    box_matrices,
    normalization_matrix,
    permute,
    source_boxes,
    transform_colors,
    warp,
    warp_small,
)
from convolve.values import Floats, Indices, Pixels, Preprocessing

Draws = npt.NDArray[np.float64]
WIDEST = 4 / 3
"""Largest change of a crop's proportions, either way (Szegedy et al. 2015, section 6); milder for mild crops."""
_SMALLEST = 0.05  # of the size, whatever `scale` asks for
_STARTS = 2**18  # where a part of the noise table may begin
_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, as in the gray of JPEG
_CHROMA = np.array([[0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])  # I and Q of the NTSC, 1953
_STEP = 32  # pixels between the sides of inputs in multi-scale training


@dataclass(frozen=True)
class Transforms:
    """What happens to N images: ``matrices`` (N, 2, 3) from source to input, which move masks, boxes and points too
    (coordinates: see `preprocess`); ``colors`` (N or 1, C, C + 1) from 8 bits to normalized values; ``noise`` (N,)
    where each image's noise begins in the table.
    """

    matrices: Draws
    colors: ColorMatrices
    noise: Indices


def draw_transforms(
    augmentation: Augmentation, sizes: Indices, preprocessing: Preprocessing, axes: Draws, random: np.random.Generator
) -> Transforms:
    """Draw transforms for images of ``sizes`` (N, 2: height, width); ``axes`` (C, C) are `principal_axes`."""
    count = len(sizes)
    crops, turns, colors = random.random((4, count)), random.random((6, count)), random.random((3, count))
    shift = (augmentation.pca or 0.0) * random.standard_normal((count, preprocessing.channels)) @ axes.T
    starts = random.integers(_STARTS, size=count)
    hues = random.random(count)

    boxes = source_boxes(sizes, preprocessing)
    smallest = 1.0 if augmentation.crop is None else augmentation.crop
    if smallest < 1:  # boxes of whole pixels, anywhere in the image; `letterbox` keeps their shape
        fraction = smallest + (1 - smallest) * crops[0]
        widest = 1.0 if preprocessing.fit == "letterbox" else min(WIDEST, 1 / max(smallest, 1 / WIDEST))
        stretch = widest ** (2 * crops[1] - 1)
        limits = sizes[:, ::-1]
        extents = boxes[:, 2:] * np.sqrt(np.stack([fraction * stretch, fraction / stretch], axis=1))
        extents = np.clip(np.rint(extents), 1, limits).astype(np.int64)
        corners = (crops[2:].T * (limits - extents + 1)).astype(np.int64)
        boxes = np.concatenate([corners, extents], axis=1)
    matrices = _affine_matrices(augmentation, box_matrices(boxes, preprocessing), preprocessing, turns)

    strengths = (augmentation.brightness, augmentation.contrast, augmentation.saturation)
    if not any((*strengths, augmentation.hue, augmentation.pca)):
        return Transforms(matrices, normalization_matrix(preprocessing)[None], starts)
    factors = [1 + (strength or 0.0) * (2 * column - 1) for strength, column in zip(strengths, colors, strict=True)]
    angles = 2 * math.pi * (augmentation.hue or 0.0) * (2 * hues - 1)
    return Transforms(matrices, color_matrices(factors, angles, shift, preprocessing), starts)


def apply_transforms(
    transforms: Transforms,
    images: Sequence[Pixels] | Pixels,
    preprocessing: Preprocessing,
    noise: Floats | None = None,
    reflect: bool = True,
) -> Floats:
    """(N, height, width, C) float32, normalized: images (H, W, C) uint8 transformed, with a `noise_table`'s noise;
    beyond their edges as `warp` says; with a permutation, permuted at the end.

    Small images of one size are resampled in one call, others in one call each; both agree within rounding. Their
    sizes alone decide on it, so that an image gives the same bits wherever it comes from.
    """
    area = preprocessing.height * preprocessing.width
    sizes = {images.shape[1:3]} if isinstance(images, np.ndarray) else {image.shape[:2] for image in images}
    small = len(sizes) == 1 and max(area, math.prod(*sizes)) <= SMALL
    if small and reflect and preprocessing.fit != "letterbox":
        warped = warp_small(np.asarray(images), transforms.matrices, preprocessing.height, preprocessing.width)
    else:
        warped = warp(images, transforms.matrices, preprocessing, reflect)
    result = transform_colors(warped, transforms.colors)
    if noise is not None:
        for image, start in zip(result, transforms.noise.tolist(), strict=True):
            np.add(image, noise[start : start + area].reshape(image.shape), out=image)
    return result if preprocessing.permutation is None else permute(result, preprocessing.permutation)


def noise_table(sigma: float, preprocessing: Preprocessing, random: np.random.Generator) -> Floats:
    """(pixels, C) Gaussian noise of standard deviation ``sigma`` of white, in normalized units.

    Images take parts of it from random positions on: thirty times cheaper than new draws, with the same effect.
    """
    shape = (preprocessing.height * preprocessing.width + _STARTS, preprocessing.channels)
    return random.standard_normal(shape, dtype=np.float32) * np.float32(sigma / np.array(preprocessing.std))


def color_matrices(
    factors: Sequence[Draws], angles: Draws, shift: Draws, preprocessing: Preprocessing
) -> ColorMatrices:
    """(N, C, C + 1) changes of color, and normalization after them.

    ``factors`` are those of brightness, contrast and saturation, (N,) each, where 1 changes nothing; hues turn by
    ``angles`` (N,) in radians; ``shift`` (N, C) is added to values between 0 and 1. Contrast changes the distance from
    the gray of the dataset's mean, saturation that from each pixel's own gray. Hue is the angle in the plane of YIQ's I
    and Q, so that grays and luma stay, which the hexagon of HSV would not leave linear.
    """
    brightness, contrast, saturation = factors
    mean, std = np.array(preprocessing.mean), np.array(preprocessing.std)
    channels = preprocessing.channels
    luma = _LUMA if channels == 3 else np.full(channels, 1 / channels)
    if channels == 1:
        saturation = np.ones_like(saturation)
    linear = saturation[:, None, None] * np.eye(channels) + (1 - saturation)[:, None, None] * luma
    if channels == 3 and angles.any():
        linear = linear @ _hue_rotations(angles)
    offset = (1 - contrast)[:, None] * (mean @ luma) + shift - mean
    scaled = (brightness * contrast)[:, None, None] * linear / 255
    return np.asarray(np.concatenate([scaled, offset[:, :, None]], axis=2) / std[:, None])


def _hue_rotations(angles: Draws) -> Draws:
    """(N, 3, 3) what turns colors about the axis of grays."""
    to_yiq = np.concatenate([_LUMA[None], _CHROMA])
    turned = np.zeros((len(angles), 3, 3))
    turned[:, 0, 0] = 1.0
    cosine, sine = np.cos(angles), np.sin(angles)
    turned[:, 1:, 1:] = np.stack([cosine, -sine, sine, cosine], axis=1).reshape(-1, 2, 2)
    return np.asarray(np.linalg.inv(to_yiq) @ turned @ to_yiq)


def input_sizes(change: float, preprocessing: Preprocessing) -> list[Preprocessing]:
    """The inputs of every size that multi-scale training draws, the smallest first, when sides may ``change`` by that
    fraction; only the one given where no other is a whole number of steps.
    """
    height, width = preprocessing.height, preprocessing.width
    steps = range(max(1, math.ceil((1 - change) * height / _STEP)), math.floor((1 + change) * height / _STEP) + 1)
    sides = [(_STEP * step, max(1, round(step * width / height)) * _STEP) for step in steps]
    return [replace(preprocessing, height=rows, width=columns) for rows, columns in sides] or [preprocessing]


def principal_axes(images: Sequence[Pixels] | Pixels) -> Draws:
    """(C, C) the principal axes of the images' colors as columns, each as long as its eigenvalue; values in 0–1.

    Source: Krizhevsky et al. 2012, section 4.1, whose shift is this matrix times three normal draws.
    """
    colors = np.concatenate(
        [image.reshape(-1, image.shape[2])[:: max(1, image[..., 0].size // 1024)] for image in images]
    )
    values, axes = np.linalg.eigh(np.atleast_2d(np.cov(colors / 255, rowvar=False)))
    return np.asarray(axes * np.maximum(values, 0))


def _affine_matrices(augmentation: Augmentation, matrices: Draws, preprocessing: Preprocessing, draws: Draws) -> Draws:
    """The matrices followed by flips, rotation, scaling (about the input's center) and translation."""
    either_way = 2 * draws - 1  # from draws between 0 and 1
    angle = np.deg2rad((augmentation.rotate or 0.0) * either_way[0])
    size = np.maximum(_SMALLEST, 1 + (augmentation.scale or 0.0) * either_way[1])
    flip = np.where(either_way[2:4] < 0, -1.0, 1.0)
    flip[[not augmentation.flip, not augmentation.vertical_flip]] = 1.0
    cosine, sine = size * np.cos(angle), size * np.sin(angle)
    linear = np.stack([cosine * flip[0], -sine * flip[1], sine * flip[0], cosine * flip[1]], axis=1)
    linear = linear.reshape(-1, 2, 2)
    extent = np.array([preprocessing.width, preprocessing.height])
    offset = extent / 2 - linear @ (extent / 2) + (augmentation.translate or 0.0) * either_way[4:6].T * extent
    moved = linear @ matrices
    moved[:, :, 2] += offset
    return np.asarray(moved)
