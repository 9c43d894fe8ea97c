"""Sheets of small pictures, to the pixel: filters, feature maps, patches, and images that a class is sure of."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from convolve.fonts import ellipsize, pillow_font
from convolve.reports.colors import CELL, INK, MUTED, PAPER
from convolve.reports.ramps import diverging, rising
from convolve.values import Pixels

_MARGIN, _GAP, _BETWEEN, _LINE = 32, 8, 28, 30
_TITLE, _TEXT, _SMALL = 28, 21, 17
_STRIP = (160, 16)
_SQUARES = 1.5  # enlargement from which on pixels are drawn as squares
_LEAST = 480  # pixels across for the words of a sheet with few pictures


@dataclass(frozen=True)
class Scale:
    """What the ends of a color ramp stand for; it is the diverging one where ``low`` is below 0."""

    low: float
    high: float


@dataclass(frozen=True)
class Block:
    """Pictures ``tiles`` (N, h, w, 1 or 3) of one size in rows of ``columns``, under a ``heading``.

    Each is drawn ``side`` pixels large, over its caption where there are ``captions``; ``rows`` are words to the left
    of each row.
    """

    heading: str
    tiles: Pixels
    columns: int
    side: int = 96
    captions: Sequence[str] = ()
    rows: Sequence[str] = ()
    scale: Scale | None = None


def sheet(title: str, blocks: Sequence[Block], note: str = "") -> Image.Image:
    """The blocks below each other, under a title, with a note at the end, on white."""
    parts = [_drawn(block) for block in blocks]
    width = max(_LEAST, _width(title, _TITLE), *(part.width for part in parts))
    notes = _wrapped(note, width, _SMALL)
    height = _LINE + sum(part.height + _BETWEEN for part in parts) + len(notes) * _LINE
    page = Image.new("RGB", (width + 2 * _MARGIN, height + 2 * _MARGIN), PAPER)
    draw = ImageDraw.Draw(page)
    _write(draw, (_MARGIN, _MARGIN + _LINE / 2 - 4), title, _TITLE, "lm")
    top = _MARGIN + _LINE + 8
    for part in parts:
        page.paste(part, (_MARGIN, top))
        top += part.height + _BETWEEN
    for line in notes:
        _write(draw, (_MARGIN, top), line, _SMALL, "lm", MUTED)
        top += _LINE
    return page


def square(count: int, most: int = 16) -> int:
    """How many columns make ``count`` pictures a sheet somewhat wider than high; up to eight stand in one row."""
    return max(1, min(most, count, max(8, math.ceil(math.sqrt(1.6 * count)))))


def _drawn(block: Block) -> Image.Image:
    rows, side = math.ceil(len(block.tiles) / block.columns), max(_size(block.tiles[0], block.side))
    caption = _LINE if block.captions else 0
    left = max((_width(words, _SMALL) + 14 for words in block.rows), default=0)
    top = _LINE + 6 if block.heading or block.scale else 0
    across = left + min(block.columns, len(block.tiles)) * (side + _GAP) - _GAP
    words = _width(block.heading, _TEXT) + (_scale_width(block.scale) + 24 if block.scale else 0)
    picture = Image.new("RGB", (max(across, words), top + rows * (side + caption + _GAP) - _GAP), PAPER)
    draw = ImageDraw.Draw(picture)
    _write(draw, (0, _LINE / 2), block.heading, _TEXT, "lm")
    if block.scale:
        _draw_scale(picture, block.scale, _width(block.heading, _TEXT) + 24)
    for number, tile in enumerate(block.tiles):
        row, column = divmod(number, block.columns)
        place = left + column * (side + _GAP), top + row * (side + caption + _GAP)
        picture.paste(_mounted(tile, block.side, side), place)
        if block.captions:
            text = _one_line(block.captions[number])
            below = ellipsize(text, pillow_font(text, _SMALL), side + _GAP - 4)
            _write(draw, (place[0] + side / 2, place[1] + side + _LINE / 2), below, _SMALL, "mm")
    for row, label in enumerate(block.rows):
        middle = top + row * (side + caption + _GAP) + side / 2
        _write(draw, (left - 14, middle), label, _SMALL, "rm", MUTED)
    return picture


def _mounted(tile: Pixels, wanted: int, side: int) -> Image.Image:
    """The tile, about ``wanted`` pixels large, in the middle of a square: its own pixels show where it is small."""
    picture = Image.fromarray(tile[..., 0] if tile.shape[-1] == 1 else tile).convert("RGB")
    squares = max(picture.size) * _SQUARES <= wanted
    picture = picture.resize(_size(tile, wanted), Image.Resampling.NEAREST if squares else Image.Resampling.LANCZOS)
    mount = Image.new("RGB", (side, side), CELL)
    mount.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    return mount


def _size(tile: Pixels, wanted: int) -> tuple[int, int]:
    """Width and height of a tile (h, w, C) whose longer side comes nearest to ``wanted``: whole squares if enlarged."""
    height, width = tile.shape[:2]
    scale = wanted / max(height, width)
    scale = max(1, round(scale)) if scale >= _SQUARES else scale
    return max(1, round(width * scale)), max(1, round(height * scale))


def _scale_width(scale: Scale) -> int:
    return _STRIP[0] + 20 + sum(_width(_number(end), _SMALL) for end in (scale.low, scale.high))


def _draw_scale(picture: Image.Image, scale: Scale, left: int) -> None:
    draw, low = ImageDraw.Draw(picture), _number(scale.low)
    shares = np.linspace(-1 if scale.low < 0 else 0, 1, _STRIP[0])
    colors = (diverging if scale.low < 0 else rising)(shares)
    strip = np.ascontiguousarray(np.broadcast_to(colors, (_STRIP[1], *colors.shape)))
    start = left + _width(low, _SMALL) + 10
    _write(draw, (left, _LINE / 2), low, _SMALL, "lm", MUTED)
    picture.paste(Image.fromarray(strip), (start, (_LINE - _STRIP[1]) // 2))
    _write(draw, (start + _STRIP[0] + 10, _LINE / 2), _number(scale.high), _SMALL, "lm", MUTED)


def _number(value: float) -> str:
    return f"{value:.3g}"


def _write(
    draw: ImageDraw.ImageDraw, place: tuple[float, float], words: str, size: int, anchor: str, color: str = INK
) -> None:
    text = _one_line(words)
    draw.text(place, text, fill=color, font=pillow_font(text, size), anchor=anchor)


def _width(words: str, size: int) -> int:
    text = _one_line(words)
    return math.ceil(pillow_font(text, size).getlength(text))


def _one_line(words: str) -> str:
    return unicodedata.normalize("NFC", " ".join(words.split()))


def _wrapped(words: str, width: int, size: int) -> list[str]:
    lines: list[str] = []
    for word in words.split():
        if lines and _width(f"{lines[-1]} {word}", size) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines
