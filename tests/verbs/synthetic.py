"""Small datasets of images that a small network learns in a moment: each class has its own bright corner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import convolve
from convolve.values import Pixels
from convolve.verbs.train import Trained

QUICK: dict[str, Any] = {"network": "lenet5_keras", "size": 16, "epochs": 1, "batch": 16, "threads": 1}
"""Options of a training that takes a second."""
STILL: dict[str, Any] = {"rotate": 0.0, "scale": 0.0, "translate": 0.0, "flip": False, "brightness": 0.0, "contrast": 0}
"""No augmentation of small images."""
_CORNERS = ((0, 0), (0, 1), (1, 0), (1, 1))


def train(data: str | Path | None = None, **options: Any) -> Trained:
    """One training, without progress on the console."""
    found = convolve.train(None if data is None else str(data), **{"progress": False} | options)
    assert isinstance(found, Trained)
    return found


def corner_image(classes: Sequence[int], random: np.random.Generator, side: int = 24, color: bool = True) -> Pixels:
    """(side, side, 3 or 1) noise with the corners of the ``classes`` bright."""
    pixels = random.integers(0, 120, (side, side, 3 if color else 1))
    half = side // 2
    for index in classes:
        row, column = _CORNERS[index]
        pixels[row * half : (row + 1) * half, column * half : (column + 1) * half] += 120
    return pixels.astype(np.uint8)


def save(path: Path, pixels: Pixels) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[..., 0]).save(path)


def folders(root: Path, counts: Mapping[str, int], color: bool = True, seed: int = 0, suffix: str = ".png") -> Path:
    """A folder per class; ``counts`` are the classes' images."""
    random = np.random.default_rng(seed)
    for index, (name, count) in enumerate(counts.items()):
        for image in range(count):
            save(root / name / f"{image}{suffix}", corner_image([index], random, color=color))
    return root


def labeled(root: Path, count: int, classes: Sequence[str] = ("north west", "north east", "south")) -> Path:
    """A table of images with any number of labels each."""
    random = np.random.default_rng(3)
    lines = ["file,labels"]
    for image in range(count):
        present = [index for index in range(len(classes)) if random.random() < 0.5] or [image % len(classes)]
        save(root / f"{image}.png", corner_image(present, random))
        lines.append(f"{image}.png,{'|'.join(classes[index] for index in present)}")
    (root / "labels.csv").write_text("\n".join(lines))
    return root / "labels.csv"
