"""Small images of a figure with a head and two feet, and a table of these points."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from convolve.values import Pixels

NAMES = ("head", "left_foot", "right_foot")
COLORS = ((250, 240, 60), (230, 60, 40), (40, 80, 240))
SHAPE = (48, 64)


def figure(random: np.random.Generator, shape: tuple[int, int] = SHAPE) -> tuple[Pixels, list[tuple[float, float]]]:
    """An image (H, W, 3) and x and y of each point; the left foot, which is red, is on the left side of the image."""
    image = np.full((*shape, 3), 110, dtype=np.int64)
    tall, wide = int(random.integers(16, 26)), int(random.integers(8, 14))
    x = int(random.integers(wide + 5, shape[1] - wide - 5))
    y = int(random.integers(5, shape[0] - tall - 5))
    points = [(x, y), (x - wide, y + tall), (x + wide, y + tall)]
    image += random.integers(-15, 16, image.shape)
    canvas = image.clip(0, 255).astype(np.uint8)
    for foot in points[1:]:
        cv2.line(canvas, points[0], foot, (30, 30, 30), 2)
    for point, color in zip(points, COLORS, strict=True):
        cv2.circle(canvas, point, 4, color, -1)
    return canvas, [(column + 0.5, row + 0.5) for column, row in points]


def table_folder(root: Path, count: int = 24, seed: int = 0) -> Path:
    """A folder of such images with `points.csv`."""
    random = np.random.default_rng(seed)
    root.mkdir(parents=True, exist_ok=True)
    lines = ["image," + ",".join(f"{name}_x,{name}_y" for name in NAMES)]
    for number in range(count):
        image, points = figure(random)
        Image.fromarray(image).save(root / f"{number:03}.png")
        lines.append(f"{number:03}.png," + ",".join(f"{x},{y}" for x, y in points))
    (root / "points.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root
