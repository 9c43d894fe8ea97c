"""Scenes of a floor and a wall, with their depths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image


def scene(number: int, height: int = 24, width: int = 32) -> tuple[npt.NDArray[np.uint8], npt.NDArray[Any]]:
    """An image (H, W, 3) whose brightness falls with the distance, and its depth (H, W) in whole millimeters."""
    random = np.random.default_rng(number)
    rows = np.mgrid[:height, :width][0] + 0.5
    depth = np.minimum(height / rows[::-1], random.uniform(4, 8))[::-1]
    left, top = random.integers(0, width - 8), random.integers(0, height - 8)
    depth[top : top + 8, left : left + 8] = random.uniform(1, 3)
    color = 250 * np.exp(-depth / 5)[..., None] * random.uniform(0.8, 1, 3)
    return color.astype(np.uint8), np.round(1000 * depth).astype(np.uint16)


def depth_folder(root: Path, count: int) -> Path:
    """``images/`` and ``depth/`` with files of the same names; the first row of every depth map is unknown."""
    for name in ("images", "depth"):
        (root / name).mkdir(parents=True)
    for number in range(count):
        image, depth = scene(number)
        depth[0] = 0
        Image.fromarray(image).save(root / "images" / f"{number}.png")
        Image.fromarray(depth).save(root / "depth" / f"{number}.png")
    return root
