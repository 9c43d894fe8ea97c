"""From an image of any size to what a network sees: resized for the cache, fitted to the input, normalized.

Training, evaluation and prediction all pass through `resize_for_cache` first, so that an image gives the same bits
whether it was decoded a moment ago or comes out of the cache.

An image is brought to the input by one affine matrix, applied in one resampling. Coordinates are continuous and count
from the outer edge of the first pixel: an image W pixels wide spans 0 to W and its first pixel's center lies at 0.5.
Matrices (N, 2, 3) float64 map (x, y, 1) in the source to (x, y) in the input, so the same ones move masks, boxes and
points; ``sizes`` (N, 2) are the sources' heights and widths.

Beyond its edges an image is reflected, so that there is no border from which a network could learn; with `letterbox`
it is the mean color, as in the padding itself, and so it is where the targets know nothing of what a reflection shows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from convolve.datasets.images import to_channels
from convolve.values import Floats, Indices, Matrices, Pixels, Preprocessing

ColorMatrices = npt.NDArray[np.float64]
"""(N, C, C + 1) what takes 8-bit channel values (…, 1) to a network's inputs, or (C, C + 1) of one image."""
CACHE_SCALE = 1.15
"""How much larger than the network's input an image is cached, so that random crops find detail to show."""
_WHOLE = 1e-6  # pixels: nearer to a whole number than this is that number
SMALL = 64 * 64
"""Pixels of the largest image for which `warp_small` pays (measured)."""
_TALLEST = 2**15 - 1  # rows of the largest image that OpenCV resamples
_LARGE = 64 * 64  # input pixels from which OpenCV's four-channel warp pays for the conversion to and fro (measured)
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
    if preprocessing.fit == "tiles":
        return height, width
    sides = ((preprocessing.height, height), (preprocessing.width, width))
    shrink = [min(math.ceil(CACHE_SCALE * side) / own, 1.0) for side, own in sides]
    grow = [side / own if enlarge else 0.0 for side, own in sides]
    if preprocessing.fit != "stretch":  # one factor for both sides: to cover the input, or to fit into it
        choose = max if preprocessing.fit == "crop" else min
        shrink, grow = 2 * [choose(shrink)], 2 * [choose(grow)]
    return max(1, round(height * max(shrink[0], grow[0]))), max(1, round(width * max(shrink[1], grow[1])))


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


def fit_to_input(pixels: Pixels, preprocessing: Preprocessing) -> Pixels:
    """(height, width, channels) an image as the network sees it without augmentation."""
    small = resize_for_cache(pixels, preprocessing)
    matrix = fit_matrix(small.shape[0], small.shape[1], preprocessing)
    return np.asarray(warp([small], matrix[None], preprocessing)[0])


def source_boxes(sizes: Indices, preprocessing: Preprocessing) -> Indices:
    """(N, 4) x, y, width, height of the part of each image that the input shows: whole pixels, centered. With `tiles`
    it is as large as the input, also where the image is smaller.
    """
    heights, widths = sizes.T
    if preprocessing.fit == "tiles":
        input_extent = np.array([preprocessing.width, preprocessing.height])
        return np.concatenate(
            [(sizes[:, ::-1] - input_extent) // 2, np.broadcast_to(input_extent, sizes.shape)], axis=1
        )
    if preprocessing.fit != "crop":
        return np.stack([np.zeros_like(widths), np.zeros_like(widths), widths, heights], axis=1)
    scale = np.maximum(preprocessing.height / heights, preprocessing.width / widths)
    width = np.clip(np.rint(preprocessing.width / scale), 1, widths).astype(np.int64)
    height = np.clip(np.rint(preprocessing.height / scale), 1, heights).astype(np.int64)
    return np.stack([(widths - width) // 2, (heights - height) // 2, width, height], axis=1).astype(np.int64)


def box_matrices(boxes: Indices, preprocessing: Preprocessing) -> Matrices:
    """(N, 2, 3) what takes each box (x, y, width, height) to the input: filling it, or with `letterbox` inside it."""
    corners, extents = boxes[:, :2], boxes[:, 2:]
    input_extent = np.array([preprocessing.width, preprocessing.height])
    filled = np.broadcast_to(input_extent, extents.shape)
    if preprocessing.fit == "letterbox":
        scale = np.min(input_extent / extents, axis=1, keepdims=True)
        filled = np.clip(np.rint(extents * scale), 1, input_extent).astype(np.int64)
    scales = filled / extents
    matrices = np.zeros((len(boxes), 2, 3))
    matrices[:, [0, 1], [0, 1]] = scales
    matrices[:, :, 2] = (input_extent - filled) // 2 - scales * corners
    return matrices


def fit_matrix(height: int, width: int, preprocessing: Preprocessing) -> Matrices:
    """(2, 3) what takes an image of that size to the input without augmentation."""
    sizes = np.array([[height, width]], dtype=np.int64)
    return np.asarray(box_matrices(source_boxes(sizes, preprocessing), preprocessing)[0])


def warp(
    images: Sequence[Pixels] | Pixels, matrices: Matrices, preprocessing: Preprocessing, reflect: bool = True
) -> Pixels:
    """(N, height, width, C) every image as its matrix takes it to the input, resampled once, linearly, in 8 bits.

    Beyond its edges it is the mean color with `letterbox` and where it is not to ``reflect``.

    Matrices that only crop, resize and flip whole pixels go the way of `cv2.resize`, which is several times
    cheaper and agrees within rounding, but for the outermost half pixel, where it does not look beyond the crop.
    """
    sizes = np.array([image.shape[:2] for image in images], dtype=np.int64).reshape(-1, 2)
    result = np.empty((len(images), preprocessing.height, preprocessing.width, preprocessing.channels), np.uint8)
    spans = _whole_pixel_spans(matrices, sizes, preprocessing)
    mean_color = tuple(round(255 * value) for value in preprocessing.mean)
    border = cv2.BORDER_REFLECT_101 if reflect and preprocessing.fit != "letterbox" else cv2.BORDER_CONSTANT
    flips = (matrices[:, [0, 1], [0, 1]] < 0).tolist()
    for image, matrix, span, flip, pixels in zip(images, matrices, spans, flips, result, strict=True):
        if span is None:
            _resample(image, matrix, border, mean_color, pixels)
        else:
            _resize(image, span, flip, mean_color, pixels)
    return result


def _whole_pixel_spans(matrices: Matrices, sizes: Indices, preprocessing: Preprocessing) -> list[list[int] | None]:
    """Per image x0, y0, x1, y1 in the source and in the input, where whole pixels go to whole pixels; else None."""
    scales, shifts = matrices[:, [0, 1], [0, 1]], matrices[:, :, 2]
    extent = np.array([preprocessing.width, preprocessing.height])
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = np.sort([-shifts / scales, (extent - shifts) / scales], axis=0)
        low, high = np.maximum(ends[0], 0), np.minimum(ends[1], sizes[:, ::-1])
        target = np.sort([scales * low + shifts, scales * high + shifts], axis=0)
        spans = np.concatenate([low, high, target[0], target[1]], axis=1)
        plain = np.all(np.abs(spans - np.rint(spans)) < _WHOLE, axis=1) & np.all(low < high, axis=1)
    plain &= (matrices[:, 0, 1] == 0) & (matrices[:, 1, 0] == 0)
    if preprocessing.fit != "letterbox":
        plain &= np.all(np.abs(target[1] - target[0] - extent) < _WHOLE, axis=1)
    whole = np.rint(np.where(plain[:, None], spans, 0)).astype(np.int64).tolist()
    return [span if usable else None for span, usable in zip(whole, plain.tolist(), strict=True)]


def _resize(image: Pixels, span: list[int], flip: list[bool], padding: tuple[int, ...], result: Pixels) -> None:
    """Resize a crop of whole pixels to whole pixels of the input, with flips along x and y; pad what remains."""
    x0, y0, x1, y1, left, top, right, bottom = span
    target = result[top:bottom, left:right]
    if target.shape != result.shape:
        result[...] = padding
        part = np.empty(target.shape, np.uint8)
        _resize(image, [x0, y0, x1, y1, 0, 0, right - left, bottom - top], flip, padding, part)
        target[...] = part
        return
    part = image[y0:y1, x0:x1]
    if not any(flip):
        cv2.resize(part, (right, bottom), dst=result, interpolation=cv2.INTER_LINEAR)
        return
    if part.shape != result.shape:
        part = cast(Pixels, cv2.resize(part, (right, bottom), interpolation=cv2.INTER_LINEAR))
    cv2.flip(part, -1 if all(flip) else int(flip[0]), dst=result)


def _resample(image: Pixels, matrix: Matrices, border: int, padding: tuple[int, ...], result: Pixels) -> None:
    """Resample the whole image as any matrix asks, beyond its edges with a border of OpenCV's."""
    height, width, channels = result.shape
    centered = matrix.copy()  # OpenCV counts from the first pixel's center
    centered[:, 2] += matrix[:, :2].sum(axis=1) / 2 - 0.5
    rgba = channels == 3 and width * height >= _LARGE
    source = cv2.cvtColor(image, cv2.COLOR_RGB2RGBA) if rgba else image
    warped = cv2.warpAffine(
        source, centered, (width, height), flags=cv2.INTER_LINEAR, borderMode=border, borderValue=padding
    )
    result[...] = (cv2.cvtColor(warped, cv2.COLOR_RGBA2RGB) if rgba else warped).reshape(result.shape)


def warp_small(images: Pixels, matrices: Matrices, height: int, width: int) -> Pixels:
    """(N, height, width, C) of many small images of one size (N, H, W, C): as `warp`, with one call for all of them.

    A call costs several microseconds whatever the size. For 28 x 28 pixels that is most of the time, and as many short
    calls from several threads as a batch has images mostly pass the interpreter lock back and forth. So the images are
    stacked into one tall image, and their maps of coordinates lead each to its own part. Edges are reflected.
    """
    count, source_height, source_width, channels = images.shape
    step = _TALLEST // max(1, source_height)
    row_of, column_of = np.divmod(np.arange(height * width), width)
    grid = np.stack([column_of, row_of, np.ones_like(row_of)]).astype(np.float32)
    result = np.empty((count, height, width, channels), np.uint8)
    for first in range(0, count, step):
        part, forward = images[first : first + step], matrices[first : first + step]
        # (N, height * width) the column and the row in the source of each pixel, from the first pixel's center
        inverse = np.linalg.inv(forward[:, :, :2])
        start = inverse.sum(axis=2, keepdims=True) / 2 - inverse @ forward[:, :, 2:] - 0.5
        maps = np.concatenate([inverse, start], axis=2).astype(np.float32).transpose(1, 0, 2).reshape(-1, 3)
        columns, rows = (maps @ grid).reshape(2, len(part), -1)
        for coordinates, length in ((columns, source_width), (rows, source_height)):
            for _ in range(2):  # reflected twice at most, between the centers of the first and the last pixel
                np.abs(coordinates, out=coordinates)
                np.subtract(np.float32(length - 1), coordinates, out=coordinates)
            np.maximum(coordinates, 0, out=coordinates)
        rows += np.arange(0, len(part) * source_height, source_height, dtype=np.float32)[:, None]
        # OpenCV is faster with four channels than with three, and with long rows.
        tall = cv2.cvtColor(part.reshape(len(part), -1, 3), cv2.COLOR_RGB2RGBA) if channels == 3 else part
        warped = cv2.remap(tall.reshape(len(part) * source_height, source_width, -1), columns, rows, cv2.INTER_LINEAR)
        warped = cv2.cvtColor(warped, cv2.COLOR_RGBA2RGB) if channels == 3 else warped
        result[first : first + step] = warped.reshape(-1, height, width, channels)
    return result


def normalize(pixels: Pixels, preprocessing: Preprocessing) -> Floats:
    """(N, H, W, C) float32 of (N, H, W, C) uint8: between 0 and 1, less the mean, over the standard deviation; with a
    permutation, permuted.
    """
    images = transform_colors(pixels, normalization_matrix(preprocessing)[None])
    return images if preprocessing.permutation is None else permute(images, preprocessing.permutation)


def permute(images: Floats, seed: int) -> Floats:
    """(N, H, W, C) images whose pixels have changed places, in all of them in the same way, drawn by the seed: what is
    near in an image no longer is, and nothing else is lost.
    """
    count, height, width, channels = images.shape
    order = np.argsort(np.random.Philox(key=seed).random_raw(height * width), kind="stable")
    return images.reshape(count, -1, channels)[:, order].reshape(images.shape)


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
