"""Boxes drawn on images, each with a label that covers no other label."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from convolve.datasets.images import to_channels
from convolve.fonts import Font, ellipsize, pillow_font
from convolve.values import Color, Pixels

_SIDE = 480
"""Smaller images are enlarged by a whole factor up to this longer side, so that text on them can be read."""
_PIXELS_PER_LINE, _PIXELS_PER_LETTER = 320, 40
_SMALLEST_FONT, _PADDING = 13, 2
_LONGEST = 0.5  # of the image's width that a label may take
_DARK = 128
_DASH = 4
_RIM: Color = (255, 255, 255)
Point = tuple[int, int]
Area = tuple[float, float, float, float]


@dataclass(frozen=True)
class DrawnBox:
    """Left, top, right and bottom in the image's pixels, with a label (or none) and a color; ``dashed`` for an object
    that was missed.
    """

    box: tuple[float, float, float, float]
    label: str
    color: Color
    dashed: bool = False


def draw_boxes(image: Pixels, boxes: Sequence[DrawnBox]) -> Pixels:
    """(H, W, 3) an image (h, w, 1 or 3), enlarged where it is small, with boxes; the first are drawn on top."""
    factor = max(1, _SIDE // max(image.shape[:2]))
    rgb = np.repeat(np.repeat(to_channels(image, 3), factor, 0), factor, 1)
    canvas = np.ascontiguousarray(rgb)
    longer = max(canvas.shape[:2])
    width = max(2, round(longer / _PIXELS_PER_LINE))
    for each in reversed(boxes):
        _draw_outline(canvas, np.array(each.box) * factor, each, width)
    drawn = Image.fromarray(canvas)
    brush, size = ImageDraw.Draw(drawn), max(_SMALLEST_FONT, round(longer / _PIXELS_PER_LETTER))
    taken: list[Area] = []
    for each in boxes:
        if each.label:
            taken.append(_draw_label(brush, each, (np.array(each.box) * factor).tolist(), size, taken))
    return np.asarray(drawn)


def _draw_outline(canvas: Pixels, box: npt.NDArray[np.float64], drawn: DrawnBox, width: int) -> None:
    """A frame with a bright rim, so that it is visible on an object of its own color. Its outer edge is the box's."""
    left, top, right, bottom = np.rint(box).astype(int).tolist()
    inner = (width + 2) // 2
    left, top = left + inner, top + inner
    right, bottom = max(right - 1 - inner, left), max(bottom - 1 - inner, top)
    corners = (left, top), (right, top), (right, bottom), (left, bottom)
    dash = _DASH * width if drawn.dashed else max(canvas.shape)
    for color, thickness in ((_RIM, width + 2), (drawn.color, width)):
        for start, end in zip(corners, (*corners[1:], corners[0]), strict=True):
            _draw_line(canvas, (start, end), dash, color, thickness)


def _draw_line(canvas: Pixels, ends: tuple[Point, Point], dash: int, color: Color, width: int) -> None:
    """A straight line, down or across, in dashes of a length with gaps as long."""
    (x, y), (to_x, to_y) = (min(ends), max(ends))
    for begin in range(0, max(to_x - x, to_y - y) + 1, 2 * dash):
        first = min(x + begin, to_x), min(y + begin, to_y)
        last = min(x + begin + dash, to_x), min(y + begin + dash, to_y)
        cv2.line(canvas, first, last, color, width)


def _draw_label(
    brush: ImageDraw.ImageDraw, drawn: DrawnBox, box: Sequence[float], size: int, taken: Sequence[Area]
) -> Area:
    """Draw a label at the first free area near its box, and return this area."""
    extent = brush.im.size
    text = unicodedata.normalize("NFC", " ".join(drawn.label.split()))
    font = pillow_font(text, size)
    text = ellipsize(text, font, round(_LONGEST * extent[0]))
    area = _free_area(box, _label_size(text, font), extent, taken)
    brush.rectangle(area, fill=drawn.color)
    ink = "black" if np.dot(drawn.color, (0.299, 0.587, 0.114)) > _DARK else "white"
    brush.text((area[0] + _PADDING, (area[1] + area[3]) / 2), text, fill=ink, font=font, anchor="lm")
    return area


def _label_size(text: str, font: Font) -> tuple[float, float]:
    left, top, right, bottom = font.getbbox(text, anchor="lt")
    return right - left + 2 * _PADDING, max(bottom - top, font.getbbox("Ag", anchor="lt")[3]) + 2 * _PADDING


def _free_area(box: Sequence[float], size: tuple[float, float], extent: tuple[int, int], taken: Sequence[Area]) -> Area:
    """Above the box, else below it, inside at its top or bottom, next to it: the first of these that covers no label,
    or the one that covers the least of them.
    """
    (left, top, right, bottom), (width, height) = box, size
    corners = [
        (left, top - height),
        (right - width, top - height),
        (left, bottom),
        (right - width, bottom),
        (left, top),
        (left, bottom - height),
        (right, top),
        (left - width, top),
        *((left, bottom + row * height) for row in range(1, 4)),
        *((left, top - row * height) for row in range(2, 5)),
    ]
    areas = [_inside(x, y, size, extent) for x, y in corners]
    return min(areas, key=lambda area: sum(_common(area, other) for other in taken))


def _inside(x: float, y: float, size: tuple[float, float], extent: tuple[int, int]) -> Area:
    """The area at that corner, moved into the image."""
    left, top = (max(0.0, min(at, all_ - own)) for at, own, all_ in zip((x, y), size, extent, strict=True))
    return left, top, left + size[0], top + size[1]


def _common(first: Area, second: Area) -> float:
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    return max(width, 0.0) * max(height, 0.0)
