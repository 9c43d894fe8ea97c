"""Heatmaps over photographs: the colors of an attribution, and small transparent images for a page.

Attributions of one sign go from dark violet to pale yellow (`inferno`, made for even steps in lightness and color: van
der Walt and Smith 2015), and are more opaque the larger they are, so that the photograph stays readable where nothing
is attributed. Signed ones are orange where they speak for the score, blue where against it, and transparent at 0.
"""

from __future__ import annotations

import base64
import io

import cv2
import numpy as np
from PIL import Image

from convolve.datasets.images import to_channels
from convolve.reports.colors import PAPER, RIGHT, WRONG, mix
from convolve.values import Color, Flags, Floats, Matrices, Pixels

OPACITY = 0.75
"""How opaque the largest attribution is over a photograph."""
SIDE = 112
"""Pixels along the longer side of a heatmap in a page, which enlarges it smoothly."""
_LEVELS = 256
_FADING = 0.8  # opacity is the attribution to this power
_TINT = 130  # of 255, how opaque the inside of a region is
_OUTLINE = 150  # this many outlines would fill the shorter side
_COLOR = 0.3  # fraction of the photograph's color that stays below a heatmap
_STEP = 4  # every fourth of the 256 colors is used, which halves the files


def heatmap_layer(attribution: Floats, signed: bool, height: int, width: int) -> Pixels:
    """(height, width, 4) RGBA of an (h, w) attribution, enlarged smoothly.

    Values are between -1 and 1 if ``signed``, else between 0 and 1.
    """
    smooth = np.asarray(cv2.resize(attribution, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.float32)
    return np.asarray(palette(signed)[levels(smooth, signed)], dtype=np.uint8)


def region_layer(region: Flags, color: Color, height: int, width: int) -> Pixels:
    """(height, width, 4) RGBA: the pixels of an (h, w) region in a color, half transparent inside its outline."""
    large = cv2.resize(region.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    inside = cv2.erode(large, np.ones((3, 3), np.uint8), iterations=max(1, round(min(height, width) / _OUTLINE)))
    layer = np.empty((height, width, 4), np.uint8)
    layer[..., :3] = color
    layer[..., 3] = 255 * large - (255 - _TINT) * inside
    return layer


def levels(attribution: Floats, signed: bool) -> Pixels:
    """(h, w) the index in the palette of each value of an attribution."""
    fraction = (attribution + 1) / 2 if signed else attribution
    return np.asarray(np.rint(fraction.clip(0, 1) * (_LEVELS - 1)), dtype=np.uint8)


def palette(signed: bool) -> Pixels:
    """(256, 4) RGBA from 0 to 1, or from -1 to 1 if ``signed``; opaque at 1 and -1, transparent at 0."""
    if signed:
        values = np.linspace(-1, 1, _LEVELS)
        strength = np.abs(values)
        depth = 0.6 + 0.4 * strength
        colors = np.where((values < 0)[:, None], mix(PAPER, RIGHT, depth), mix(PAPER, WRONG, depth))
        table = np.concatenate([colors, strength[:, None] ** _FADING], axis=1)
    else:
        import matplotlib as mpl  # takes most of a second, and only who draws a heatmap needs it

        values = np.linspace(0, 1, _LEVELS)
        table = np.asarray(mpl.colormaps["inferno"](0.15 + 0.85 * values))
        table[:, 3] = values**_FADING
    return np.asarray(np.rint(255 * table), dtype=np.uint8)


def overlay(image: Pixels, layer: Pixels, opacity: float = OPACITY) -> Pixels:
    """(H, W, 3) a paled image (H, W, 1 or 3) under a layer (H, W, 4)."""
    return blend(pale(image), layer, opacity)


def blend(image: Pixels, layer: Pixels, opacity: float = 1.0) -> Pixels:
    """(H, W, 3) an image (H, W, 3) under a layer (H, W, 4)."""
    alpha = layer[..., 3:].astype(np.float32) / 255 * opacity
    return np.asarray(np.rint(image * (1 - alpha) + layer[..., :3] * alpha), dtype=np.uint8)


def pale(image: Pixels) -> Pixels:
    """(H, W, 3) an image (H, W, 1 or 3) with most of its color taken out, so that a heatmap's colors stand out."""
    color = to_channels(image, 3)
    gray = to_channels(to_channels(image, 1), 3)
    return np.asarray(cv2.addWeighted(color, _COLOR, gray, 1 - _COLOR, 0), dtype=np.uint8)


def heatmap_uri(attribution: Floats, signed: bool, side: int = SIDE) -> str:
    """An (h, w) scaled attribution as the data URI of a transparent PNG, its longer side ``side`` pixels."""
    height, width = _size(attribution.shape, side)
    interpolation = cv2.INTER_AREA if side < max(attribution.shape) else cv2.INTER_LINEAR
    small = np.asarray(cv2.resize(attribution, (width, height), interpolation=interpolation), dtype=np.float32)
    colors = palette(signed)[::_STEP]
    image = Image.fromarray(levels(small, signed) // _STEP)
    image.putpalette(colors[:, :3].tobytes())
    return _png_uri(image, colors[:, 3].tobytes())


def region_uri(region: Flags, color: Color, side: int = 2 * SIDE) -> str:
    """The pixels of an (h, w) region in a color, as the data URI of a transparent PNG."""
    return _png_uri(Image.fromarray(region_layer(region, color, *_size(region.shape, side))))


def ramp_uri(signed: bool) -> str:
    """The colors from one end of the scale to the other, as a data URI."""
    values = np.linspace(-1 if signed else 0, 1, 96, dtype=np.float32)[None]
    return _png_uri(Image.fromarray(heatmap_layer(values, signed, 1, 96)))


def project_to_image(
    attribution: Floats, input_size: tuple[int, int], matrix: Matrices, image_size: tuple[int, int], side: int
) -> Floats:
    """An (h, w) attribution over a network's input, resampled over the whole image, longer side ``side``.

    Sizes are (height, width). ``matrix`` (2, 3) takes the image's pixels to those of the input, without rotation. The
    result is 0 where the image lies outside the input.
    """
    height, width = _size(image_size, side)
    grid: list[Floats] = []
    inside: list[Floats] = []
    for axis, row, count in ((0, 1, height), (1, 0, width)):  # down the image, then across it
        centers = (np.arange(count) + 0.5) * image_size[axis] / count
        positions = matrix[row, row] * centers + matrix[row, 2]
        inside.append((positions >= 0) & (positions <= input_size[axis]))
        grid.append((positions * attribution.shape[axis] / input_size[axis] - 0.5).astype(np.float32))
    down, across = np.meshgrid(*grid, indexing="ij")
    smooth = cv2.remap(attribution, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.where(np.outer(*inside), smooth, np.zeros((height, width), dtype=np.float32))


def _size(shape: tuple[int, ...], side: int) -> tuple[int, int]:
    height, width = (max(1, round(edge * side / max(shape))) for edge in shape)
    return height, width


def _png_uri(image: Image.Image, opacity: bytes | None = None) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True, **({"transparency": opacity} if opacity else {}))
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
