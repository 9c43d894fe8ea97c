"""Pictures made here: smooth enough that good resamplings agree, rich enough that any others do not."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from convolve.datasets.images import ImageFiles
from convolve.values import Pixels, Preprocessing


def picture(height: int, width: int, channels: int = 3, seed: int = 0) -> Pixels:
    """(height, width, channels) soft random blots."""
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 8, channels), dtype=np.uint8)
    grown = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(grown, dtype=np.uint8).reshape(height, width, channels)


def preprocessing(height: int, width: int, channels: int = 3, fit: str = "crop") -> Preprocessing:
    """A frame with a mean and a standard deviation of their own for each channel."""
    mean, std = (0.485, 0.456, 0.406)[:channels], (0.229, 0.224, 0.225)[:channels]
    return Preprocessing(height, width, channels, fit, mean, std)  # type: ignore[arg-type]


def files(root: Path, sizes: list[tuple[int, int]]) -> ImageFiles:
    """PNG files of those heights and widths, each another picture."""
    root.mkdir(parents=True, exist_ok=True)
    for number, (height, width) in enumerate(sizes):
        Image.fromarray(picture(height, width, seed=number)).save(root / f"{number}.png")
    return ImageFiles(root, tuple(f"{number}.png" for number in range(len(sizes))))
