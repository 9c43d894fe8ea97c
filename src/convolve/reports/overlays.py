"""Heat as small transparent pictures that a page lays over photographs."""

from __future__ import annotations

import base64
import io

import cv2
import numpy as np
from PIL import Image

from convolve.reports.heat import Flags, heat_layer, levels, palette, region_layer
from convolve.values import Color, Floats, Matrices

SIDE = 112
"""Pixels of a map's longer side, which a page enlarges smoothly."""
_STEP = 4  # of the 256 colors every fourth is used, which halves the files


def layer_uri(heat: Floats, signed: bool, side: int = SIDE) -> str:
    """An (h, w) map, scaled, as the data URI of a PNG with transparency, its longer side ``side`` pixels."""
    height, width = _size(heat.shape, side)
    way = cv2.INTER_AREA if side < max(heat.shape) else cv2.INTER_LINEAR
    small = np.asarray(cv2.resize(heat, (width, height), interpolation=way), dtype=np.float32)
    colors = palette(signed)[::_STEP]
    image = Image.fromarray(levels(small, signed) // _STEP)
    image.putpalette(colors[:, :3].tobytes())
    return _png(image, colors[:, 3].tobytes())


def region_uri(region: Flags, color: Color, side: int = 2 * SIDE) -> str:
    """The pixels of an (h, w) region in a color, as the data URI of a PNG with transparency."""
    return _png(Image.fromarray(region_layer(region, color, *_size(region.shape, side))))


def ramp_uri(signed: bool) -> str:
    """The colors from one end of the scale to the other, as a data URI."""
    share = np.linspace(-1 if signed else 0, 1, 96, dtype=np.float32)[None]
    return _png(Image.fromarray(heat_layer(share, signed, 1, 96)))


def laid_over(heat: Floats, seen: tuple[int, int], matrix: Matrices, picture: tuple[int, int], side: int) -> Floats:
    """An (h, w) map of a network's frame as it lies over the whole picture, longer side ``side``; 0 beyond the frame.

    ``matrix`` (2, 3) takes the pixels of a ``picture`` (height, width) to those of the frame ``seen`` (height, width),
    without turning them.
    """
    found = np.zeros(_size(picture, side), dtype=np.float32)
    grid: list[Floats] = []
    inside: list[Floats] = []
    for axis, row in ((0, 1), (1, 0)):  # down the picture, then across it
        middles = (np.arange(found.shape[axis]) + 0.5) * picture[axis] / found.shape[axis]
        places = matrix[row, row] * middles + matrix[row, 2]
        inside.append((places >= 0) & (places <= seen[axis]))
        grid.append((places * heat.shape[axis] / seen[axis] - 0.5).astype(np.float32))
    down, across = np.meshgrid(*grid, indexing="ij")
    smooth = cv2.remap(heat, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.where(np.outer(*inside), smooth, found)


def _size(shape: tuple[int, ...], side: int) -> tuple[int, int]:
    height, width = (max(1, round(edge * side / max(shape))) for edge in shape)
    return height, width


def _png(image: Image.Image, opacity: bytes | None = None) -> str:
    written = io.BytesIO()
    image.save(written, "PNG", optimize=True, **({"transparency": opacity} if opacity else {}))
    return f"data:image/png;base64,{base64.b64encode(written.getvalue()).decode('ascii')}"
