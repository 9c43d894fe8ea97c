"""Stereo pairs of textured layers whose disparities are known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

_Numbers = npt.NDArray[Any]


def pair(number: int, height: int = 32, width: int = 48) -> tuple[_Numbers, _Numbers, _Numbers]:
    """A left and a right image (H, W, 3) of a wall with a box before it, and the left one's disparities (H, W)."""
    random = np.random.default_rng(number)
    textures = [cv2.GaussianBlur(random.uniform(0, 255, (height, 2 * width, 3)), (5, 5), 1.2) for _ in range(2)]
    left, right = textures[0][:, 8 : 8 + width].copy(), textures[0][:, 10 : 10 + width].copy()  # 2 pixels
    disparity = np.full((height, width), 2, np.float32)
    top, start = random.integers(4, height - 20), random.integers(10, width - 20)
    box = textures[1][:16, :16]
    left[top : top + 16, start : start + 16], disparity[top : top + 16, start : start + 16] = box, 5
    right[top : top + 16, start - 5 : start + 11] = box
    return left.astype(np.uint8), right.astype(np.uint8), disparity


def stereo_folder(root: Path, count: int) -> Path:
    """``left/``, ``right/`` and ``disp/`` with files of the same names; of every second pair no disparity is known."""
    for name in ("left", "right", "disp"):
        (root / name).mkdir(parents=True)
    for number in range(count):
        left, right, disparity = pair(number)
        Image.fromarray(left).save(root / "left" / f"{number}.png")
        Image.fromarray(right).save(root / "right" / f"{number}.png")
        if number % 2 == 0:
            disparity[0] = np.inf
            np.savez(root / "disp" / f"{number}.npz", disparity)
    return root
