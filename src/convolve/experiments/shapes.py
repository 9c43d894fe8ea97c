"""Drawn images with masks, for experiments on segmentation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

IMAGES, SIZE = 120, 64
_LEAST, _MOST = 10, 26


def write_shapes(folder: Path, seed: int) -> Path:
    """120 images of 64x64 pixels, each with two or three circles, squares or triangles of random color on a noisy
    background, and their masks (background 0, then 1, 2 and 3), in the folders `images` and `masks`.
    """
    generator = np.random.default_rng(seed)
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for number in range(IMAGES):
        noise = generator.integers(60, 120, (SIZE, SIZE, 3)).astype(np.uint8)
        image, mask = Image.fromarray(noise), Image.new("L", (SIZE, SIZE))
        for _ in range(int(generator.integers(2, 4))):
            _draw(ImageDraw.Draw(image), ImageDraw.Draw(mask), generator)
        image.save(folder / "images" / f"{number:03}.png")
        mask.save(folder / "masks" / f"{number:03}.png")
    return folder


def _draw(image: ImageDraw.ImageDraw, mask: ImageDraw.ImageDraw, generator: np.random.Generator) -> None:
    side = int(generator.integers(_LEAST, _MOST))
    left, top = (int(each) for each in generator.integers(0, SIZE - side, 2))
    color = tuple(int(each) for each in generator.integers(0, 256, 3))
    shape, box = int(generator.integers(1, 4)), (left, top, left + side, top + side)
    corners = [(left, top + side), (left + side, top + side), (left + side // 2, top)]
    for draw, fill in ((image, color), (mask, shape)):
        if shape == 1:
            draw.ellipse(box, fill=fill)
        elif shape == 2:
            draw.rectangle(box, fill=fill)
        else:
            draw.polygon(corners, fill=fill)
