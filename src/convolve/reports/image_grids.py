"""Image grids with texts, drawn to the pixel: the heatmaps of one image, and views of filters, maps and patches."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from convolve.datasets.images import to_channels
from convolve.fonts import ellipsize, pillow_font
from convolve.reports.colors import CELL, INK, MUTED, PAPER, diverging_colors, sequential_colors
from convolve.reports.heatmaps import blend, heatmap_layer, overlay, region_layer
from convolve.reports.image_card import Box
from convolve.values import Color, Flags, Floats, Pixels

_SQUARES = 1.5  # enlargement from which on pixels are drawn as squares
_FOUND, _GROUND_TRUTH = "#ffffff", "#3ddc84"


@dataclass(frozen=True)
class _Layout:
    """Lengths in pixels: page margin, gap between tiles and between blocks, line height, three font sizes."""

    margin: int
    gap: int
    between: int
    line: int
    title: int
    text: int
    small: int


_HEATMAPS = _Layout(margin=24, gap=16, between=8, line=20, title=17, text=13, small=13)
_BLOCKS = _Layout(margin=32, gap=8, between=28, line=30, title=28, text=21, small=17)
_RAMP = (80, 10)
_SCALE = (160, 16)
_LEAST = 480  # pixels across for the texts of a grid with few images


@dataclass(frozen=True)
class GridTile:
    """An attribution over its image, with a ``label`` and a ``note`` below it.

    ``attribution`` (h, w) is between -1 and 1 if ``signed``, else between 0 and 1; None shows the image alone, or the
    pixels of a ``region`` (h, w) in a color of their own. The box that was ``found`` is drawn in white and those of the
    ``ground_truth`` in green.
    """

    label: str
    note: str = ""
    attribution: Floats | None = None
    signed: bool = False
    found: Box | None = None
    ground_truth: tuple[Box, ...] = ()
    region: tuple[Flags, Color] | None = None


@dataclass(frozen=True)
class Scale:
    """The values at the ends of a color ramp; it is the diverging one where ``low`` is below 0."""

    low: float
    high: float


@dataclass(frozen=True)
class GridBlock:
    """Images ``tiles`` (N, h, w, 1 or 3) of one size in rows of ``columns``, under a ``heading``.

    Each is drawn ``side`` pixels large, above its caption where there are ``captions``; ``rows`` are labels to the left
    of each row.
    """

    heading: str
    tiles: Pixels
    columns: int
    side: int = 96
    captions: Sequence[str] = ()
    rows: Sequence[str] = ()
    scale: Scale | None = None


def heatmap_grid(image: Pixels, title: tuple[str, str], rows: Sequence[Sequence[GridTile]]) -> Image.Image:
    """An RGB image of one image's tiles in rows, two lines of title above and the key to the colors below.

    ``image`` (H, W, 1 or 3) uint8 is what lies under every tile. Texts that are too long end in an ellipsis.
    """
    layout, (height, width) = _HEATMAPS, image.shape[:2]
    columns = max(len(row) for row in rows)
    top, step = layout.margin + 2 * layout.line + layout.between, height + 2 * layout.line + layout.gap
    size = (
        2 * layout.margin + columns * (width + layout.gap) - layout.gap,
        top + len(rows) * step + layout.line + layout.margin,
    )
    grid = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(grid)
    half, across = layout.line / 2, size[0] - 2 * layout.margin
    _write(draw, (layout.margin, layout.margin - 4 + half), _shorten(title[0], layout.title, across), layout.title)
    _write(
        draw,
        (layout.margin, layout.margin + layout.line + half),
        _shorten(title[1], layout.text, across),
        layout.text,
        color=MUTED,
    )
    for number, row in enumerate(rows):
        for column, tile in enumerate(row):
            left, upper = layout.margin + column * (width + layout.gap), top + number * step
            grid.paste(_draw_tile(image, tile), (left, upper))
            below = upper + height + 4 + half
            _write(draw, (left, below), _shorten(tile.label, layout.text, width), layout.text)
            _write(draw, (left, below + layout.line), _shorten(tile.note, layout.text, width), layout.text, color=MUTED)
    signs = {tile.signed for row in rows for tile in row if tile.attribution is not None}
    _draw_key(grid, sorted(signs), (layout.margin, size[1] - layout.margin - layout.line + 4))
    return grid


def image_grid(title: str, blocks: Sequence[GridBlock], note: str = "") -> Image.Image:
    """The blocks below each other, under a title, with a note at the end, on white."""
    layout, parts = _BLOCKS, [_draw_block(block) for block in blocks]
    width = max(_LEAST, _text_width(title, layout.title), *(part.width for part in parts))
    notes = _wrap(note, width, layout.small)
    height = layout.line + sum(part.height + layout.between for part in parts) + len(notes) * layout.line
    grid = Image.new("RGB", (width + 2 * layout.margin, height + 2 * layout.margin), PAPER)
    draw = ImageDraw.Draw(grid)
    _write(draw, (layout.margin, layout.margin + layout.line / 2 - 4), title, layout.title)
    top = layout.margin + layout.line + 8
    for part in parts:
        grid.paste(part, (layout.margin, top))
        top += part.height + layout.between
    for line in notes:
        _write(draw, (layout.margin, top), line, layout.small, color=MUTED)
        top += layout.line
    return grid


def column_count(images: int, most: int = 16) -> int:
    """How many columns make a grid of that many images somewhat wider than high; up to eight form one row."""
    return max(1, min(most, images, max(8, math.ceil(math.sqrt(1.6 * images)))))


def _draw_tile(pixels: Pixels, tile: GridTile) -> Image.Image:
    height, width = pixels.shape[:2]
    drawn = to_channels(pixels, 3)
    if tile.attribution is not None:
        drawn = overlay(drawn, heatmap_layer(tile.attribution, tile.signed, height, width))
    elif tile.region:
        drawn = blend(drawn, region_layer(*tile.region, height, width))
    image = Image.fromarray(drawn)
    draw = ImageDraw.Draw(image)
    for color, boxes in ((_GROUND_TRUTH, tile.ground_truth), (_FOUND, (tile.found,) if tile.found else ())):
        for left, top, right, bottom in boxes:
            edges = [round(left * width), round(top * height), round(right * width) - 1, round(bottom * height) - 1]
            for inset, line, thickness in ((0, INK, 1), (1, color, 2), (3, INK, 1)):
                inner = [edges[0] + inset, edges[1] + inset, edges[2] - inset, edges[3] - inset]
                if inner[0] < inner[2] and inner[1] < inner[3]:
                    draw.rectangle(inner, outline=line, width=thickness)
    return image


def _draw_key(grid: Image.Image, signs: Sequence[bool], corner: tuple[int, int]) -> None:
    """A ramp of each scale in use with its ends named, as far as the grid is wide enough for them."""
    left, top = corner
    length, height = _RAMP
    draw, size = ImageDraw.Draw(grid), _HEATMAPS.text
    for signed in signs:
        ends = ("against", "for it") if signed else ("none", "most")
        widths = [_text_width(end, size) + 6 for end in ends]
        if left + sum(widths) + length > grid.width - _HEATMAPS.margin:
            return
        values = np.linspace(-1 if signed else 0, 1, length, dtype=np.float32)[None]
        ramp = overlay(np.full((height, length, 3), 200, np.uint8), heatmap_layer(values, signed, height, length), 1.0)
        _write(draw, (left, top + height / 2), ends[0], size, color=MUTED)
        grid.paste(Image.fromarray(ramp), (left + widths[0], top))
        _write(draw, (left + widths[0] + length + 6, top + height / 2), ends[1], size, color=MUTED)
        left += sum(widths) + length + 2 * _HEATMAPS.gap


def _draw_block(block: GridBlock) -> Image.Image:
    layout, side = _BLOCKS, max(_tile_size(block.tiles[0], block.side))
    caption = layout.line if block.captions else 0
    left = max((_text_width(label, layout.small) + 14 for label in block.rows), default=0)
    top = layout.line + 6 if block.heading or block.scale else 0
    rows, step = math.ceil(len(block.tiles) / block.columns), side + caption + layout.gap
    across = left + min(block.columns, len(block.tiles)) * (side + layout.gap) - layout.gap
    heading = _text_width(block.heading, layout.text)
    words = heading + (_scale_width(block.scale) + 24 if block.scale else 0)
    image = Image.new("RGB", (max(across, words), top + rows * step - layout.gap), PAPER)
    draw = ImageDraw.Draw(image)
    _write(draw, (0, layout.line / 2), block.heading, layout.text)
    if block.scale:
        _draw_scale(image, block.scale, heading + 24)
    for number, tile in enumerate(block.tiles):
        row, column = divmod(number, block.columns)
        corner = left + column * (side + layout.gap), top + row * step
        image.paste(_mount(tile, block.side, side), corner)
        if block.captions:
            center = corner[0] + side / 2, corner[1] + side + layout.line / 2
            text = _shorten(block.captions[number], layout.small, side + layout.gap - 4)
            _write(draw, center, text, layout.small, anchor="mm")
    for row, label in enumerate(block.rows):
        _write(draw, (left - 14, top + row * step + side / 2), label, layout.small, anchor="rm", color=MUTED)
    return image


def _mount(tile: Pixels, longest: int, side: int) -> Image.Image:
    """The tile, about ``longest`` pixels large, in the middle of a square; a small tile's pixels become squares."""
    image = Image.fromarray(tile[..., 0] if tile.shape[-1] == 1 else tile).convert("RGB")
    squares = max(image.size) * _SQUARES <= longest
    image = image.resize(_tile_size(tile, longest), Image.Resampling.NEAREST if squares else Image.Resampling.LANCZOS)
    mount = Image.new("RGB", (side, side), CELL)
    mount.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return mount


def _tile_size(tile: Pixels, longest: int) -> tuple[int, int]:
    """Width and height of a tile (h, w, C) whose longer side is nearest to ``longest``: whole squares if enlarged."""
    height, width = tile.shape[:2]
    scale = longest / max(height, width)
    scale = max(1, round(scale)) if scale >= _SQUARES else scale
    return max(1, round(width * scale)), max(1, round(height * scale))


def _scale_width(scale: Scale) -> int:
    return _SCALE[0] + 20 + sum(_text_width(f"{end:.3g}", _BLOCKS.small) for end in (scale.low, scale.high))


def _draw_scale(image: Image.Image, scale: Scale, left: int) -> None:
    (length, height), line, size = _SCALE, _BLOCKS.line, _BLOCKS.small
    draw, low = ImageDraw.Draw(image), f"{scale.low:.3g}"
    values = np.linspace(-1 if scale.low < 0 else 0, 1, length)
    colors = (diverging_colors if scale.low < 0 else sequential_colors)(values)
    ramp = np.ascontiguousarray(np.broadcast_to(colors, (height, *colors.shape)))
    start = left + _text_width(low, size) + 10
    _write(draw, (left, line / 2), low, size, color=MUTED)
    image.paste(Image.fromarray(ramp), (start, (line - height) // 2))
    _write(draw, (start + length + 10, line / 2), f"{scale.high:.3g}", size, color=MUTED)


def _write(
    draw: ImageDraw.ImageDraw,
    position: tuple[float, float],
    words: str,
    size: int,
    *,
    anchor: str = "lm",
    color: str = INK,
) -> None:
    text = _one_line(words)
    draw.text(position, text, fill=color, font=pillow_font(text, size), anchor=anchor)


def _shorten(words: str, size: int, width: int) -> str:
    """One line of text that ends in an ellipsis where it would be wider than ``width`` pixels."""
    text = _one_line(words)
    return ellipsize(text, pillow_font(text, size), width)


def _text_width(words: str, size: int) -> int:
    text = _one_line(words)
    return math.ceil(pillow_font(text, size).getlength(text))


def _one_line(words: str) -> str:
    return unicodedata.normalize("NFC", " ".join(words.split()))


def _wrap(words: str, width: int, size: int) -> list[str]:
    lines: list[str] = []
    for word in words.split():
        if lines and _text_width(f"{lines[-1]} {word}", size) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines
