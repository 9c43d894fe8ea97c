"""A contact sheet: many small images on one page, each with its caption."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from typing import Final

from PIL import Image, ImageDraw, ImageFont

from convolve.values import Pixels

TILE: Final = 144
_GAP: Final = 14
_MARGIN: Final = 24
_FONT_SIZE: Final = 13
_CAPTION: Final = 24
_MOST_COLUMNS: Final = 8
_PAPER: Final = "#ffffff"
_MOUNT: Final = "#f1f3f5"
_INK: Final = "#343a40"
_ELLIPSIS: Final = "..."
"""Three dots, since Korean fonts center the single character."""
_FAMILIES: Final = (
    "NanumGothic",
    "NanumBarunGothic",
    "Noto Sans CJK KR",
    "Noto Sans KR",
    "Malgun Gothic",
    "Apple SD Gothic Neo",
    "AppleGothic",
    "UnDotum",
    "DejaVu Sans",
)

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def contact_sheet(images: Sequence[Pixels], captions: Sequence[str]) -> Image.Image:
    """An RGB image of all images, each (H, W, 1 or 3) uint8, in rows of up to eight with a caption below.

    Images keep their shape; tiny ones are enlarged by whole factors so that their pixels show. Captions that are too
    long end in an ellipsis.
    """
    columns = max(1, min(_MOST_COLUMNS, len(images), math.ceil(math.sqrt(1.5 * len(images)))))
    rows = math.ceil(len(images) / columns)
    step = TILE + _CAPTION + _GAP
    page = (2 * _MARGIN + columns * (TILE + _GAP) - _GAP, 2 * _MARGIN + max(0, rows * step - _GAP))
    sheet = Image.new("RGB", page, _PAPER)
    texts = [unicodedata.normalize("NFC", " ".join(caption.split())) for caption in captions]
    draw, font = ImageDraw.Draw(sheet), font_for("".join(texts))
    for number, (pixels, text) in enumerate(zip(images, texts, strict=True)):
        row, column = divmod(number, columns)
        left, top = _MARGIN + column * (TILE + _GAP), _MARGIN + row * step
        sheet.paste(_mount(pixels), (left, top))
        middle = (left + TILE / 2, top + TILE + _CAPTION / 2)
        draw.text(middle, shortened(text, font), fill=_INK, font=font, anchor="mm")
    return sheet


def _mount(pixels: Pixels) -> Image.Image:
    """The image in the middle of a square tile."""
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).convert("RGB")
    scale = TILE / max(image.size)
    if scale >= 2:
        image = image.resize((image.width * int(scale), image.height * int(scale)), Image.Resampling.NEAREST)
    else:
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        image = image.resize(size, Image.Resampling.LANCZOS)
    tile = Image.new("RGB", (TILE, TILE), _MOUNT)
    tile.paste(image, ((TILE - image.width) // 2, (TILE - image.height) // 2))
    return tile


def shortened(text: str, font: Font, width: int = TILE) -> str:
    """The text, ending in an ellipsis where it would be wider than ``width`` pixels."""
    if font.getlength(text) <= width:
        return text
    kept = next(
        (end for end in range(len(text), -1, -1) if font.getlength(text[:end].rstrip() + _ELLIPSIS) <= width), 0
    )
    return text[:kept].rstrip() + _ELLIPSIS


def font_for(text: str, size: int = _FONT_SIZE) -> Font:
    """Pillow's own font for plain text; for any other the first family installed here that has all its characters."""
    if text.isascii():
        return ImageFont.load_default(size)
    from matplotlib.font_manager import fontManager, get_font

    found = {
        entry.name: entry.fname for entry in fontManager.ttflist if entry.name in _FAMILIES and entry.weight == 400
    }
    paths = [found[family] for family in _FAMILIES if family in found]
    wanted = {ord(character) for character in text}
    complete = (path for path in paths if wanted <= get_font(path).get_charmap().keys())
    path = next(complete, paths[0])
    return ImageFont.truetype(path, size)
