"""What a network looks at, word by word: the image once for every word, with the attention over it."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw

from convolve.datasets.images import to_channels
from convolve.datasets.sentences import Words
from convolve.fonts import ellipsize, pillow_font
from convolve.reports.heatmaps import heatmap_layer, overlay
from convolve.values import Floats, Pixels

_SIDE, _TEXT, _GAP, _COLUMNS = 180, 16, 8, 5
_PAPER, _INK = (255, 255, 255), (0, 0, 0)


def draw_attention(image: Pixels, words: Words, attention: Floats) -> Image.Image:
    """The network's input (H, W, 1 or 3) as it is, then for each word with its attention (words, h, w): the more color,
    the more of it is there; of each word the largest is full.
    """
    height, width = image.shape[:2]
    scale = _SIDE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    large = np.asarray(Image.fromarray(to_channels(image, 3)).resize(size, Image.Resampling.BICUBIC))
    layers = [heatmap_layer(one / one.max(), signed=False, height=size[1], width=size[0]) for one in attention]
    tiles = [large, *(overlay(large, layer) for layer in layers)]
    columns = min(_COLUMNS, len(tiles))
    step = size[0] + _GAP, size[1] + _TEXT + 2 * _GAP
    sheet = Image.new("RGB", (columns * step[0] + _GAP, math.ceil(len(tiles) / columns) * step[1] + _GAP), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for number, (tile, word) in enumerate(zip(tiles, ("", *words), strict=True)):
        left, top = _GAP + number % columns * step[0], _GAP + number // columns * step[1]
        sheet.paste(Image.fromarray(tile), (left, top))
        font = pillow_font(word, _TEXT)
        draw.text((left, top + size[1] + _GAP // 2), ellipsize(word, font, size[0]), _INK, font)
    return sheet
