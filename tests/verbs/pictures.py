"""Small datasets of pictures that a small network learns in a moment: each class has its own bright corner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from convolve.values import Pixels

QUICK: dict[str, Any] = {"network": "lenet5_keras", "size": 16, "epochs": 1, "batch": 16, "threads": 1}
"""Options of a training that takes a second."""
STILL: dict[str, Any] = {"rotate": 0.0, "scale": 0.0, "translate": 0.0, "flip": False, "brightness": 0.0, "contrast": 0}
"""No augmentation of small pictures."""
_CORNERS = ((0, 0), (0, 1), (1, 0), (1, 1))


def picture(numbers: Sequence[int], random: np.random.Generator, side: int = 24, color: bool = True) -> Pixels:
    """(side, side, 3 or 1) noise with the corners of the classes ``numbers`` bright."""
    pixels = random.integers(0, 120, (side, side, 3 if color else 1))
    half = side // 2
    for number in numbers:
        row, column = _CORNERS[number]
        pixels[row * half : (row + 1) * half, column * half : (column + 1) * half] += 120
    return pixels.astype(np.uint8)


def save(place: Path, pixels: Pixels) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[..., 0]).save(place)


def folders(root: Path, counts: Mapping[str, int], color: bool = True, seed: int = 0, suffix: str = ".png") -> Path:
    """A folder per class; ``counts`` are the classes' images."""
    random = np.random.default_rng(seed)
    for number, (name, count) in enumerate(counts.items()):
        for place in range(count):
            save(root / name / f"{place}{suffix}", picture([number], random, color=color))
    return root


def labeled(root: Path, count: int, classes: Sequence[str] = ("north west", "north east", "south")) -> Path:
    """A table of pictures with any number of labels each."""
    random = np.random.default_rng(3)
    lines = ["file,labels"]
    for place in range(count):
        present = [number for number in range(len(classes)) if random.random() < 0.5] or [place % len(classes)]
        save(root / f"{place}.png", picture(present, random))
        lines.append(f"{place}.png,{'|'.join(classes[number] for number in present)}")
    (root / "labels.csv").write_text("\n".join(lines))
    return root / "labels.csv"
