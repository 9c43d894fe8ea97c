"""Small trees of images to annotate in tests."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from convolve.datasets.layouts.shapes import Shape
from convolve.values import Dataset, Pixels
from tests.datasets.ground_truths import labels_of, masks_of

SIZE = (10, 6)
"""Width and height of the images."""


def make_images(root: Path, *names: str) -> None:
    """Black images of `SIZE`."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", SIZE).save(root / name)


def write_json(path: Path, content: object) -> None:
    """A file with the content as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def pixels(data: Dataset) -> dict[str, list[int]]:
    """How many pixels of each class the mask of each image has."""
    counts = masks_of(data).pixel_counts().tolist()
    return {data.images.name(index): counts[index] for index in range(len(data))}


def flags(data: Dataset) -> dict[str, object]:
    """The labels of each image."""
    values = labels_of(data).values.tolist()
    return {data.images.name(index): values[index] for index in range(len(data))}


def paint(shape: Shape, size: tuple[int, int]) -> Pixels:
    """(H, W) ones where a shape lies."""
    mask = np.zeros(size, np.uint8)
    shape.paint(mask, 1)
    return mask
