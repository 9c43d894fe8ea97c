"""Small images with masks that a small network learns in a moment: bright and dark blobs on gray."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from convolve.values import Pixels

QUICK: dict[str, Any] = {
    "network": "fcn1s_resnet20_cifar",
    "size": 32,
    "epochs": 1,
    "batch": 8,
    "threads": 1,
    "progress": False,
    "precision": "fp32",
}
"""Options of a training that takes seconds."""
PALETTE = ((20, 20, 20), (240, 60, 40), (40, 90, 230))


def blobs(random: np.random.Generator, shape: tuple[int, int] = (40, 40)) -> tuple[Pixels, Pixels]:
    """An image (H, W, 3) and its mask (H, W): 0 the ground, 1 a bright disc, 2 a dark rectangle."""
    mask = np.zeros(shape, np.uint8)
    row, column = (int(random.integers(side // 4, side - side // 4)) for side in shape)
    cv2.circle(mask, (column, row), min(shape) // 5, 1, -1)
    top, left = (int(random.integers(0, side // 2)) for side in shape)
    mask[top : top + shape[0] // 3, left : left + shape[1] // 4] = 2
    image = np.array([110, 210, 20])[mask][..., None] + random.integers(-20, 20, (*shape, 3))
    return image.clip(0, 255).astype(np.uint8), mask


def folder(root: Path, count: int = 24, shape: tuple[int, int] = (40, 40), seed: int = 0) -> Path:
    """A folder of images next to one of indexed masks."""
    random = np.random.default_rng(seed)
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True, exist_ok=True)
    for number in range(count):
        image, mask = blobs(random, shape)
        Image.fromarray(image).save(root / "images" / f"{number}.png")
        indexed = Image.fromarray(mask, "P")
        indexed.putpalette([value for color in PALETTE for value in color] + [0] * (768 - 9))
        indexed.save(root / "masks" / f"{number}.png")
    (root / "classes.txt").write_text("ground\nbright disc\n어두운 것\n", encoding="utf-8")
    return root
