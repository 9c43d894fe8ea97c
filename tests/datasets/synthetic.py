"""Images made here: smooth enough that good resamplings agree, rich enough that any others do not."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

import cv2
import numpy as np
from PIL import Image

from convolve.datasets.images import ImageFiles
from convolve.values import EncodedImage, Header, Images, Indices, Pixels, Preprocessing

REMEDY = "rest"
"""What a task says where classes are of very different sizes."""


def random_image(height: int, width: int, channels: int = 3, seed: int = 0) -> Pixels:
    """(height, width, channels) soft random blots."""
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 8, channels), dtype=np.uint8)
    grown = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(grown, dtype=np.uint8).reshape(height, width, channels)


def preprocessing(height: int, width: int, channels: int = 3, fit: str = "crop") -> Preprocessing:
    """A frame with a mean and a standard deviation of their own for each channel."""
    mean, std = (0.485, 0.456, 0.406)[:channels], (0.229, 0.224, 0.225)[:channels]
    return Preprocessing(height, width, channels, fit, mean, std)  # type: ignore[arg-type]


def files(root: Path, sizes: list[tuple[int, int]]) -> ImageFiles:
    """PNG files of those heights and widths, each another image."""
    root.mkdir(parents=True, exist_ok=True)
    for number, (height, width) in enumerate(sizes):
        Image.fromarray(random_image(height, width, seed=number)).save(root / f"{number}.png")
    return ImageFiles(root, tuple(f"{number}.png" for number in range(len(sizes))))


@dataclass(frozen=True)
class CountedImages(Images):
    """Other images, counting by index how often each is ``opened`` and ``decoded``."""

    images: Images
    opened: Counter[int] = field(default_factory=Counter)
    decoded: Counter[int] = field(default_factory=Counter)
    lock: Lock = field(default_factory=Lock)

    def __len__(self) -> int:
        return len(self.images)

    def name(self, index: int) -> str:
        return self.images.name(index)

    def open(self, index: int) -> EncodedImage:
        with self.lock:
            self.opened[index] += 1
        return CountedImage(self.images.open(index), self, index)

    def take(self, indices: Indices) -> Images:
        return self.images.take(indices)


@dataclass(frozen=True)
class CountedImage(EncodedImage):
    """One of `CountedImages`."""

    encoded: EncodedImage
    counts: CountedImages
    index: int

    @property
    def digest(self) -> bytes:
        return self.encoded.digest

    @property
    def header(self) -> Header:
        return self.encoded.header

    def decode(self, at_least: int = 0) -> Pixels:
        with self.counts.lock:
            self.counts.decoded[self.index] += 1
        return self.encoded.decode(at_least)
