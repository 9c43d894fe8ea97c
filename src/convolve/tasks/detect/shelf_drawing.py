"""The regions of a shelf, drawn on an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from PIL import Image, ImageDraw

from convolve.fonts import pillow_font
from convolve.tasks.detect.shelf import Region
from convolve.values import Pixels

_INK: Final = (255, 255, 255)
_RIM: Final = (40, 40, 40)
_PIXELS_PER_LINE, _PIXELS_PER_LETTER, _SMALLEST_FONT = 480, 36, 14


def draw_regions(image: Pixels, regions: Sequence[Region]) -> Pixels:
    """(H, W, 3) an image with the outline of each region that is not the whole image, and its name inside."""
    outlined = [(region.name, region.polygon) for region in regions if region.polygon is not None]
    if not outlined:
        return image
    canvas = image.copy()
    longer = max(image.shape[:2])
    width = max(1, round(longer / _PIXELS_PER_LINE))
    corners = [np.rint(polygon * (image.shape[1] - 1, image.shape[0] - 1)).astype(np.int32) for _, polygon in outlined]
    for color, thickness in ((_RIM, 3 * width), (_INK, width)):
        cv2.polylines(canvas, corners, isClosed=True, color=color, thickness=thickness, lineType=cv2.LINE_AA)
    drawn = Image.fromarray(canvas)
    pen, size = ImageDraw.Draw(drawn), max(_SMALLEST_FONT, longer // _PIXELS_PER_LETTER)
    for (name, _), own in zip(outlined, corners, strict=True):
        x, y = own[own.sum(1).argmin()].tolist()
        font = pillow_font(name, size)
        pen.text((x + 4 * width, y + 4 * width), name, fill=_INK, font=font, stroke_width=2 * width, stroke_fill=_RIM)
    return np.asarray(drawn)
