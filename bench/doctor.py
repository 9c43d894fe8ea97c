"""Examining many small images, as `convolve data` does, against a plain loop that only decodes them.

    python -m bench.doctor [--images 30000] [--rounds 3] [--folder FOLDER]

There are so many JPEGs of 64 x 48 pixels in ten class folders, noise on soft blots, made in ``--folder`` (by default a
temporary one). Ours lists the folder, recognizes the layout, reads, decodes, measures and hashes every image, searches
near duplicates and judges; the time to start Python is not counted. The peer goes through torchvision's `ImageFolder`,
opens every file with Pillow and converts it to an RGB array, in one thread. Every round times both, one after another;
ratios are per round, and the median counts. Files are in the system's file cache.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import cv2
import numpy as np
from PIL import Image
from torchvision.datasets import ImageFolder

from convolve.datasets.doctor import diagnose
from convolve.datasets.layouts import open_dataset
from convolve.datasets.survey import survey

GOAL = 4000
"""Images per second on two cores."""
CLASSES = 10


def main() -> None:
    parser = argparse.ArgumentParser(description="The doctor against a plain loop.")
    parser.add_argument("--images", type=int, default=30_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        make(folder, options.images)
        examine(folder)  # imports what it needs
        ours, peer = [], []
        for _ in range(options.rounds):
            ours.append(seconds(examine, folder))
            peer.append(seconds(decode, folder))
    ratios = sorted(other / own for own, other in zip(ours, peer, strict=True))
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} processors, {options.images:,} images")
    print(f"doctor      {options.images / median(ours):8,.0f} images/s  (goal {GOAL:,})")
    print(f"plain loop  {options.images / median(peer):8,.0f} images/s")
    print(f"ratio {median(ratios):.2f}x  [{ratios[0]:.2f}, {ratios[-1]:.2f}], median of {options.rounds} rounds")


def make(folder: Path, count: int) -> None:
    """Write so many images, as far as they are not there."""
    random = np.random.default_rng(0)
    for number in range(count):
        path = folder / f"class{number % CLASSES}" / f"{number}.jpg"
        blots = cv2.resize(random.integers(0, 256, (6, 8, 3)).astype(np.float32), (64, 48))
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = (blots + random.integers(-10, 11, blots.shape)).clip(0, 255).astype(np.uint8)
            cv2.imwrite(str(path), pixels, [cv2.IMWRITE_JPEG_QUALITY, 90])


def examine(folder: Path) -> None:
    dataset = open_dataset(folder)
    diagnose(dataset, dataset.ground_truths["labels"], None, survey(dataset.images), "")


def decode(folder: Path) -> None:
    for path, _ in ImageFolder(str(folder)).samples:
        with Image.open(path) as image:
            np.asarray(image.convert("RGB"))


def seconds(function: Callable[[Path], None], folder: Path) -> float:
    start = time.perf_counter()
    function(folder)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
