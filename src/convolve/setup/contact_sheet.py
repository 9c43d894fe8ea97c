"""What a network sees in training, after augmentation: many small images on one page, each with its caption."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, ImageDraw

from convolve.datasets.batches import Batches
from convolve.files import atomic_write
from convolve.fonts import ellipsize, pillow_font
from convolve.marks import save_png
from convolve.values import Floats, GroundTruth, Pixels, Preprocessing

IMAGES = 40
TILE: Final = 144
_GAP: Final = 14
_MARGIN: Final = 24
_FONT_SIZE: Final = 13
_CAPTION: Final = 24
_MOST_COLUMNS: Final = 8
_PAPER: Final = "#ffffff"
_MOUNT: Final = "#f1f3f5"
_INK: Final = "#343a40"


def write_contact_sheet(
    path: Path | None, ground_truth: GroundTruth, batches: Batches, preprocessing: Preprocessing
) -> Image.Image:
    """The first images of a training with their ground truth, also written as a PNG where there is a ``path``. Raises
    `ConvolveError`.
    """
    images: list[Pixels] = []
    captions: list[str] = []
    with closing(batches.epoch(0)) as first:
        for batch in first:
            drawn, words = ground_truth.draw(denormalize(batch.images, preprocessing), batch.targets)
            images += list(drawn)
            captions += words
            if len(images) >= IMAGES:
                break
    sheet = contact_sheet(images[:IMAGES], captions[:IMAGES])
    if path is not None:
        with atomic_write(path) as draft:
            save_png(sheet, draft)
    return sheet


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
    draw, font = ImageDraw.Draw(sheet), pillow_font("".join(texts), _FONT_SIZE)
    for number, (pixels, text) in enumerate(zip(images, texts, strict=True)):
        row, column = divmod(number, columns)
        left, top = _MARGIN + column * (TILE + _GAP), _MARGIN + row * step
        image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).convert("RGB")
        scale = TILE / max(image.size)
        if scale >= 2:
            image = image.resize((image.width * int(scale), image.height * int(scale)), Image.Resampling.NEAREST)
        else:
            size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
            image = image.resize(size, Image.Resampling.LANCZOS)
        sheet.paste(_MOUNT, (left, top, left + TILE, top + TILE))
        sheet.paste(image, (left + (TILE - image.width) // 2, top + (TILE - image.height) // 2))
        middle = (left + TILE / 2, top + TILE + _CAPTION / 2)
        draw.text(middle, ellipsize(text, font, TILE), fill=_INK, font=font, anchor="mm")
    return sheet


def denormalize(images: Floats, preprocessing: Preprocessing) -> Pixels:
    """(..., C) normalized values to (..., C) uint8 pixels."""
    values = images * np.array(preprocessing.std) + np.array(preprocessing.mean)
    return np.asarray((values * 255).round().clip(0, 255), dtype=np.uint8)
