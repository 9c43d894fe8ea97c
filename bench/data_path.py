"""Photos from a folder at 224 × 224, the data path alone, against torchvision's usual one.

    python -m bench.data_path FOLDER [--copies 8] [--rounds 5] [--workers 2] [--batch 32]

FOLDER holds one folder of photos per class. Every photo is copied ``--copies`` times, as a file of its own, so that an
epoch takes seconds. The peer is `ImageFolder`, RandomResizedCrop(224), RandomHorizontalFlip, ToTensor, Normalize and a
`DataLoader` with as many processes as we have threads; its processes persist and have been through an epoch before any
is timed. Both sides deliver normalized float32 batches, which are not used. Files are in the system's file cache.

Every round times the peer and each of our epochs, one after another; ratios are per round, and the median counts. The
first epoch begins with an empty cache: it reads, hashes and decodes all files, writes the cache and then goes through
them with crop and flip. A later first epoch finds the cache, and reads files and cache to see
that both are as they were.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
import torch
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.datasets.folder import IMG_EXTENSIONS
from torchvision.transforms import Compose, Normalize, RandomHorizontalFlip, RandomResizedCrop, ToTensor

from convolve.datasets.augmentation import Augmentation
from convolve.datasets.batches import Batches, BatchOptions
from convolve.datasets.cache import PixelSource, open_cache
from convolve.datasets.images import ImageFiles
from convolve.datasets.labels import Labels
from convolve.values import Preprocessing

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PREPROCESSING = Preprocessing(224, 224, 3, "crop", MEAN, STD)
CROP_AND_FLIP = Augmentation(crop=0.08, flip=True)
FULL = replace(
    CROP_AND_FLIP, vertical_flip=True, rotate=15, scale=0.1, translate=0.05, brightness=0.2, contrast=0.2,
    saturation=0.2, pca=0.1,
)  # fmt: skip
NOISY = replace(FULL, noise=0.02)
GOALS = {"first epoch": 1.5, "full augmentation": 4.0, "crop and flip": 10.0}


def main() -> None:
    parser = argparse.ArgumentParser(description="The data path against torchvision's.")
    parser.add_argument("folder", type=Path)
    for name, default in {"copies": 8, "rounds": 5, "workers": 2, "batch": 32}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        photos, caches = Path(folder) / "photos", Path(folder) / "caches"
        count = multiply(options.folder, photos, options.copies)
        if not count:
            parser.exit(2, f"{options.folder} has no photos in class folders; give one folder of photos per class.\n")
        measured = rounds(photos, caches, options)
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} processors, torch {torch.__version__}")
    print(f"{count} photos, batch {options.batch}, {options.workers} workers, median of {options.rounds} rounds")
    for name, times in measured.items():
        ratios = sorted(peer / ours for peer, ours in zip(measured["peer"], times, strict=True))
        goal = f"  (goal {GOALS[name]:g}x)" if name in GOALS else ""
        print(
            f"{name:28}{count / median(times):8.0f} images/s   {median(ratios):5.2f}x"
            f"  [{ratios[0]:.2f}, {ratios[-1]:.2f}]{goal}"
        )


def multiply(folder: Path, photos: Path, copies: int) -> int:
    """Copy every photo of each class folder so many times; how many copies there are."""
    files = sorted(path for path in folder.glob("*/*") if path.is_file() and path.suffix.lower() in IMG_EXTENSIONS)
    for path in files:
        (photos / path.parent.name).mkdir(parents=True, exist_ok=True)
        for number in range(copies):
            shutil.copy(path, photos / path.parent.name / f"{number}-{path.name}")
    return len(files) * copies


def rounds(photos: Path, caches: Path, options: argparse.Namespace) -> dict[str, list[float]]:
    peer = stock(photos, options)
    source = open_source(photos, caches / "filled", options)
    streamed = open_source(photos, caches / "none", options, budget=0)
    epochs: dict[str, Callable[[], Iterable[object]]] = {
        "peer": lambda: peer,
        "first epoch": lambda: ours(open_source(photos, caches / "empty", options), CROP_AND_FLIP, options),
        "full augmentation": lambda: ours(source, FULL, options),
        "full augmentation and noise": lambda: ours(source, NOISY, options),
        "crop and flip": lambda: ours(source, CROP_AND_FLIP, options),
        "no augmentation": lambda: ours(source, None, options),
        "later first epoch": lambda: ours(open_source(photos, caches / "filled", options), CROP_AND_FLIP, options),
        "crop and flip, no cache": lambda: ours(streamed, CROP_AND_FLIP, options),
    }
    seconds(epochs["peer"])  # its processes start here
    measured: dict[str, list[float]] = {name: [] for name in epochs}
    for _ in range(options.rounds):
        for name, epoch in epochs.items():
            measured[name].append(seconds(epoch))
            shutil.rmtree(caches / "empty", ignore_errors=True)
    return measured


def stock(photos: Path, options: argparse.Namespace) -> DataLoader[object]:
    transform = Compose([RandomResizedCrop(224), RandomHorizontalFlip(), ToTensor(), Normalize(MEAN, STD)])
    return DataLoader(
        ImageFolder(str(photos), transform), options.batch, shuffle=True, num_workers=options.workers,
        persistent_workers=options.workers > 0,
    )  # fmt: skip


def open_source(photos: Path, caches: Path, options: argparse.Namespace, budget: int = 2**40) -> PixelSource:
    names = tuple(sorted(str(path.relative_to(photos)) for path in photos.glob("*/*")))
    return open_cache(ImageFiles(photos, names), PREPROCESSING, caches, budget, options.workers)


def ours(source: PixelSource, augmentation: Augmentation | None, options: argparse.Namespace) -> Iterable[object]:
    labels = Labels(np.zeros(len(source), np.int64), ("photo",))
    how = BatchOptions(
        PREPROCESSING, options.batch, 0, shuffle=True, augmentation=augmentation, workers=options.workers
    )
    return Batches(source, labels, np.arange(len(source)), how).epoch(0)


def seconds(epoch: Callable[[], Iterable[object]]) -> float:
    start = time.perf_counter()
    for _ in epoch():
        pass
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
