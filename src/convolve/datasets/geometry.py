"""How pictures meet the frame that a network sees: one affine matrix per image, applied in one resampling.

Coordinates are continuous and count from the outer edge of the first pixel: a picture W pixels wide spans 0 to W and
its first pixel's center lies at 0.5. Matrices (N, 2, 3) float64 map (x, y, 1) in the source to (x, y) in the frame,
so the same ones carry masks, boxes and points; ``sizes`` (N, 2) are the sources' heights and widths.

What lies beyond the picture is its mirror image, so that no border shows that a network could learn from; with
`letterbox` it is the mean color, as in the padding itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt

from convolve.values import Indices, Matrices, Pixels, Preprocessing

_WHOLE = 1e-6  # pixels: nearer to a whole number than this is that number
_WIDE = 64 * 64  # frame pixels from which OpenCV's four-channel warp pays for the conversion to and fro (measured)


def source_boxes(sizes: Indices, preprocessing: Preprocessing) -> Indices:
    """(N, 4) x, y, width, height of the part of each picture that its frame shows: whole pixels, centerd. With `tiles`
    it is as large as the frame, also where the picture is smaller.
    """
    heights, widths = sizes.T
    if preprocessing.fit == "tiles":
        frame_extent = np.array([preprocessing.width, preprocessing.height])
        return np.concatenate(
            [(sizes[:, ::-1] - frame_extent) // 2, np.broadcast_to(frame_extent, sizes.shape)], axis=1
        )
    if preprocessing.fit != "crop":
        return np.stack([np.zeros_like(widths), np.zeros_like(widths), widths, heights], axis=1)
    scale = np.maximum(preprocessing.height / heights, preprocessing.width / widths)
    shown_width = np.clip(np.rint(preprocessing.width / scale), 1, widths).astype(np.int64)
    shown_height = np.clip(np.rint(preprocessing.height / scale), 1, heights).astype(np.int64)
    return np.stack(
        [(widths - shown_width) // 2, (heights - shown_height) // 2, shown_width, shown_height], axis=1
    ).astype(np.int64)


def box_matrices(boxes: Indices, preprocessing: Preprocessing) -> Matrices:
    """(N, 2, 3) what lays each box (x, y, width, height) into the frame: filling it, or with `letterbox` inside it."""
    corners, extents = boxes[:, :2], boxes[:, 2:]
    frame_extent = np.array([preprocessing.width, preprocessing.height])
    shown = np.broadcast_to(frame_extent, extents.shape)
    if preprocessing.fit == "letterbox":
        scale = np.min(frame_extent / extents, axis=1, keepdims=True)
        shown = np.clip(np.rint(extents * scale), 1, frame_extent).astype(np.int64)
    scales = shown / extents
    matrices = np.zeros((len(boxes), 2, 3))
    matrices[:, [0, 1], [0, 1]] = scales
    matrices[:, :, 2] = (frame_extent - shown) // 2 - scales * corners
    return matrices


def frame(height: int, width: int, preprocessing: Preprocessing) -> Matrices:
    """(2, 3) how a picture of that size meets the frame when nothing is varied."""
    sizes = np.array([[height, width]], dtype=np.int64)
    return np.asarray(box_matrices(source_boxes(sizes, preprocessing), preprocessing)[0])


def warp(images: Sequence[Pixels] | Pixels, matrices: Matrices, preprocessing: Preprocessing) -> Pixels:
    """(N, height, width, C) every image as its matrix lays it into the frame, resampled once, linearly, in 8 bits.

    Matrices that only cut out, enlarge and mirror whole pixels go the way of `cv2.resize`, which is several times
    cheaper and agrees within rounding, but for the outermost half pixel, where it does not look past the cut.
    """
    sizes = np.array([image.shape[:2] for image in images], dtype=np.int64).reshape(-1, 2)
    result = np.empty((len(images), preprocessing.height, preprocessing.width, preprocessing.channels), np.uint8)
    spans = _whole_pixel_spans(matrices, sizes, preprocessing)
    mirrored = (matrices[:, [0, 1], [0, 1]] < 0).tolist()
    for image, matrix, span, mirror, frame_pixels in zip(images, matrices, spans, mirrored, result, strict=True):
        if span is None:
            frame_pixels[...] = _resampled(image, matrix, preprocessing).reshape(frame_pixels.shape)
        else:
            _lay(image, span, mirror, mean_color(preprocessing), frame_pixels)
    return result


def mean_color(preprocessing: Preprocessing) -> tuple[int, ...]:
    """The mean as 8-bit channel values: what pads a letterbox."""
    return tuple(round(255 * value) for value in preprocessing.mean)


def _whole_pixel_spans(matrices: Matrices, sizes: Indices, preprocessing: Preprocessing) -> list[list[int] | None]:
    """Per image x0, y0, x1, y1 in the source and in the frame, where whole pixels meet whole pixels; None elsewhere."""
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


def _lay(image: Pixels, span: list[int], mirror: list[bool], padding: tuple[int, ...], result: Pixels) -> None:
    """Resize a cut of whole pixels into whole pixels of the frame, mirrored along x, y as told; pad the rest."""
    x0, y0, x1, y1, left, top, right, bottom = span
    target = result[top:bottom, left:right]
    if target.shape != result.shape:
        result[...] = padding
        part = np.empty(target.shape, np.uint8)
        _lay(image, [x0, y0, x1, y1, 0, 0, right - left, bottom - top], mirror, padding, part)
        target[...] = part
        return
    part = image[y0:y1, x0:x1]
    if not any(mirror):
        cv2.resize(part, (right, bottom), dst=result, interpolation=cv2.INTER_LINEAR)
        return
    if part.shape != result.shape:
        part = _pixels(cv2.resize(part, (right, bottom), interpolation=cv2.INTER_LINEAR))
    cv2.flip(part, -1 if all(mirror) else int(mirror[0]), dst=result)


def _resampled(image: Pixels, matrix: Matrices, preprocessing: Preprocessing) -> Pixels:
    size = (preprocessing.width, preprocessing.height)
    centerd = matrix.copy()  # OpenCV counts from the first pixel's center
    centerd[:, 2] += matrix[:, :2].sum(axis=1) / 2 - 0.5
    wide = image.shape[2] == 3 and size[0] * size[1] >= _WIDE
    source = cv2.cvtColor(image, cv2.COLOR_RGB2RGBA) if wide else image
    if preprocessing.fit == "letterbox":
        border, color = cv2.BORDER_CONSTANT, mean_color(preprocessing)
    else:
        border, color = cv2.BORDER_REFLECT_101, ()
    warped = cv2.warpAffine(source, centerd, size, flags=cv2.INTER_LINEAR, borderMode=border, borderValue=color)
    return _pixels(cv2.cvtColor(warped, cv2.COLOR_RGBA2RGB) if wide else warped)


def _pixels(array: npt.NDArray[Any]) -> Pixels:
    """OpenCV says no types; given 8 bits it returns 8 bits."""
    return cast(Pixels, array)
