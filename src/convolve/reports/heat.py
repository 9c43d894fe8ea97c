"""Heat over photographs: the colors of a map, and a sheet of one image's maps.

Maps of one sign go from dark violet to pale yellow (`inferno`, made for even steps in lightness and color: van der
Walt and Smith 2015), and are the more opaque the hotter, so that the photograph stays readable where nothing is. Signed
ones are orange where they speak for the class, blue where against it, and clear at 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from convolve.datasets.decode import to_channels
from convolve.fonts import ellipsize, pillow_font
from convolve.reports.colors import INK, MUTED, PAPER, RIGHT, WRONG, mix
from convolve.values import Color, Floats, Pixels

OPACITY = 0.75
"""How opaque the hottest pixel is over a sheet's photograph."""
_LEVELS = 256
_FADING = 0.8  # opacity is heat to this power
_TINT = 130  # of 255, how opaque the inside of a region is
_OUTLINE = 150  # so many outlines would fill the shorter side
_COLOR = 0.3  # of the photograph, that stays below the heat
_GAP, _MARGIN, _LINE = 16, 24, 20
_TITLE, _LABEL = 17, 13
_BOX, _TRUE_BOX = "#ffffff", "#3ddc84"
Box = tuple[float, float, float, float]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Tile:
    """A map over its photograph, with a ``label`` and a ``note`` below it.

    ``heat`` (h, w) between -1 and 1 when ``signed``, else between 0 and 1; None shows the photograph alone, or the
    pixels of a ``region`` (h, w) in a color of their own. ``box`` is
    drawn in white and ``truths`` in green: left, top, right, bottom as shares of the picture.
    """

    label: str
    note: str = ""
    heat: Floats | None = None
    signed: bool = False
    box: Box | None = None
    truths: tuple[Box, ...] = ()
    region: tuple[Flags, Color] | None = None


def region_layer(region: Flags, color: Color, height: int, width: int) -> Pixels:
    """(height, width, 4) RGBA: the pixels of an (h, w) region in a color, half transparent inside its outline."""
    large = cv2.resize(region.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    inside = cv2.erode(large, np.ones((3, 3), np.uint8), iterations=max(1, round(min(height, width) / _OUTLINE)))
    layer = np.empty((height, width, 4), np.uint8)
    layer[..., :3] = color
    layer[..., 3] = 255 * large - (255 - _TINT) * inside
    return layer


def heat_layer(heat: Floats, signed: bool, height: int, width: int) -> Pixels:
    """(height, width, 4) RGBA of an (h, w) map, enlarged smoothly; opaque where it is hottest."""
    smooth = np.asarray(cv2.resize(heat, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.float32)
    return np.asarray(palette(signed)[levels(smooth, signed)], dtype=np.uint8)


def levels(heat: Floats, signed: bool) -> Pixels:
    """(h, w) which of the 256 colors of the palette each value of a map has."""
    share = (heat + 1) / 2 if signed else heat
    return np.asarray(np.rint(share.clip(0, 1) * (_LEVELS - 1)), dtype=np.uint8)


def palette(signed: bool) -> Pixels:
    """(256, 4) RGBA, from no heat to most, or from -1 to 1: the last and, when signed, the first are opaque."""
    return _signed_palette() if signed else _palette()


def over(picture: Pixels, layer: Pixels, opacity: float = OPACITY) -> Pixels:
    """(H, W, 3) a picture (H, W, 1 or 3) under a layer (H, W, 4)."""
    return blended(paled(picture), layer, opacity)


def blended(base: Pixels, layer: Pixels, opacity: float = 1.0) -> Pixels:
    """(H, W, 3) a picture of that shape under a layer (H, W, 4)."""
    share = layer[..., 3:].astype(np.float32) / 255 * opacity
    return np.asarray(np.rint(base * (1 - share) + layer[..., :3] * share), dtype=np.uint8)


def paled(picture: Pixels) -> Pixels:
    """(H, W, 3) a picture (H, W, 1 or 3) with most of its color taken out, so that the heat's colors stand out."""
    color = to_channels(picture, 3)
    gray = to_channels(to_channels(picture, 1), 3)
    return np.asarray(cv2.addWeighted(color, _COLOR, gray, 1 - _COLOR, 0), dtype=np.uint8)


def heat_sheet(picture: Pixels, title: tuple[str, str], rows: Sequence[Sequence[Tile]]) -> Image.Image:
    """An RGB picture of one image's tiles in rows, two lines of title above and the colors' key below.

    ``picture`` (H, W, 1 or 3) uint8 is what lies under every tile. Texts that are too long end in an ellipsis.
    """
    height, width = picture.shape[:2]
    columns = max(len(row) for row in rows)
    size = (2 * _MARGIN + columns * (width + _GAP) - _GAP, _row_top(len(rows), height) + _LINE + _MARGIN)
    sheet = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(sheet)
    _write(draw, title[0], (_MARGIN, _MARGIN - 4), _TITLE, INK, size[0] - 2 * _MARGIN)
    _write(draw, title[1], (_MARGIN, _MARGIN + _LINE), _LABEL, MUTED, size[0] - 2 * _MARGIN)
    for number, row in enumerate(rows):
        for column, tile in enumerate(row):
            corner = (_MARGIN + column * (width + _GAP), _row_top(number, height))
            sheet.paste(Image.fromarray(_drawn(picture, tile)), corner)
            below = corner[1] + height + 4
            _write(draw, tile.label, (corner[0], below), _LABEL, INK, width)
            _write(draw, tile.note, (corner[0], below + _LINE), _LABEL, MUTED, width)
    signs = {tile.signed for row in rows for tile in row if tile.heat is not None}
    _keys(sheet, draw, sorted(signs), (_MARGIN, size[1] - _MARGIN - _LINE + 4))
    return sheet


def _row_top(row: int, height: int) -> int:
    return _MARGIN + 2 * _LINE + 8 + row * (height + 2 * _LINE + _GAP)


def _drawn(picture: Pixels, tile: Tile) -> Pixels:
    height, width = picture.shape[:2]
    shown = to_channels(picture, 3)
    if tile.heat is not None:
        shown = over(shown, heat_layer(tile.heat, tile.signed, height, width))
    elif tile.region:
        shown = blended(shown, region_layer(*tile.region, height, width))
    image = Image.fromarray(shown)
    draw = ImageDraw.Draw(image)
    for color, boxes in ((_TRUE_BOX, tile.truths), (_BOX, (tile.box,) if tile.box else ())):
        for left, top, right, bottom in boxes:
            edges = [round(left * width), round(top * height), round(right * width) - 1, round(bottom * height) - 1]
            for inset, line, thickness in ((0, INK, 1), (1, color, 2), (3, INK, 1)):
                inner = [edges[0] + inset, edges[1] + inset, edges[2] - inset, edges[3] - inset]
                if inner[0] < inner[2] and inner[1] < inner[3]:
                    draw.rectangle(inner, outline=line, width=thickness)
    return np.asarray(image)


def _write(draw: ImageDraw.ImageDraw, text: str, place: tuple[int, int], size: int, color: str, width: int) -> None:
    font = pillow_font(text, size)
    draw.text((place[0], place[1] + _LINE // 2), ellipsize(text, font, width), fill=color, font=font, anchor="lm")


def _keys(sheet: Image.Image, draw: ImageDraw.ImageDraw, signs: Sequence[bool], place: tuple[int, int]) -> None:
    """A bar of each scale in use with its ends named, as far as the sheet is wide enough for them."""
    left, top = place
    for signed in signs:
        ends = ("against", "for the class") if signed else ("none", "most")
        font = pillow_font("".join(ends), _LABEL)
        lengths = [round(font.getlength(end)) + 6 for end in ends]
        if left + sum(lengths) + 80 > sheet.width - _MARGIN:
            return
        ramp = np.linspace(-1 if signed else 0, 1, 80, dtype=np.float32)[None]
        bar = over(np.full((10, 80, 3), 200, np.uint8), heat_layer(ramp, signed, 10, 80), 1.0)
        draw.text((left, top + 5), ends[0], fill=MUTED, font=font, anchor="lm")
        sheet.paste(Image.fromarray(bar), (left + lengths[0], top))
        draw.text((left + lengths[0] + 86, top + 5), ends[1], fill=MUTED, font=font, anchor="lm")
        left += sum(lengths) + 80 + 2 * _GAP


def _palette() -> npt.NDArray[np.uint8]:
    """(256, 4) the colors of a map of one sign."""
    share = np.linspace(0, 1, _LEVELS)
    colors = mpl.colormaps["inferno"](0.15 + 0.85 * share)
    colors[:, 3] = share**_FADING
    return np.asarray(np.rint(255 * colors), dtype=np.uint8)


def _signed_palette() -> npt.NDArray[np.uint8]:
    """(256, 4) the colors of a signed map, from -1 to 1."""
    share = np.linspace(-1, 1, _LEVELS)
    strength = np.abs(share)
    depth = 0.6 + 0.4 * strength
    colors = np.where((share < 0)[:, None], mix(PAPER, RIGHT, depth), mix(PAPER, WRONG, depth))
    table = np.concatenate([colors, strength[:, None] ** _FADING], axis=1)
    return np.asarray(np.rint(255 * table), dtype=np.uint8)
