"""Proposals of a detection dataset: selective search against OpenCV's, and sliding windows; recall and time.

    python -m bench.proposals FOLDER [--split validation] [--images 30] [--skip 0] [--modes fast quality]

OpenCV's needs `cv2.ximgproc`, which is in opencv-contrib-python-headless; without it ours is measured alone. Printed
are, of the first 100, 300, 1,000, 2,000 and of all proposals, the recall at IoU 0.5 and the mean best overlap of all
objects, and the processor's seconds per image, on one thread. Both sides take turns, image by image; ratios are per
image, and the median is reported.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import get_args

import cv2
import numpy as np

from bench.rounds import spread
from bench.steps import machine
from convolve.datasets.boxes import Boxes
from convolve.datasets.layouts import open_dataset
from convolve.datasets.proposals import sliding_windows
from convolve.datasets.selective_search import Mode, selective_search
from convolve.metrics.boxes import BoxArray
from convolve.metrics.proposals import best_overlaps_of_first
from convolve.values import Dataset, Indices, Matrices, Pixels

_FIRST = (100, 300, 1_000, 2_000, 10**9)
_IOU = 0.5
_RANDOM = 2013


@dataclass
class _Side:
    """A way to propose, and what it gave: the ``counts`` and ``seconds`` of each image, the ``overlaps`` of objects."""

    propose: Callable[[Pixels], BoxArray]
    counts: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    overlaps: list[Matrices] = field(default_factory=list)

    def measure(self, pixels: Pixels, objects: BoxArray) -> None:
        began = time.process_time()
        proposals = self.propose(pixels)
        self.seconds.append(time.process_time() - began)
        self.counts.append(len(proposals))
        self.overlaps.append(best_overlaps_of_first(objects, proposals, _FIRST))


def _opencv(mode: Mode) -> Callable[[Pixels], BoxArray]:
    """OpenCV's selective search as its documentation has it."""

    def propose(pixels: Pixels) -> BoxArray:
        cv2.setRNGSeed(_RANDOM)
        search = cv2.ximgproc.segmentation.createSelectiveSearchSegmentation()  # type: ignore[attr-defined]
        search.setBaseImage(np.ascontiguousarray(pixels[:, :, ::-1]))
        if mode == "fast":
            search.switchToSelectiveSearchFast()
        else:
            search.switchToSelectiveSearchQuality()
        boxes = np.asarray(search.process(), np.float64)
        return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)

    return propose


def _sides(modes: list[Mode]) -> dict[str, _Side]:
    sides = {"sliding windows": _Side(lambda pixels: sliding_windows(pixels.shape[:2]))}
    for mode in modes:
        sides[f"ours, {mode}"] = _Side(lambda pixels, mode=mode: selective_search(pixels, mode))  # type: ignore[misc]
        if hasattr(cv2, "ximgproc"):
            sides[f"OpenCV, {mode}"] = _Side(_opencv(mode))
    return sides


def _chosen_images(dataset: Dataset, split: str | None, skip: int, count: int) -> Indices:
    """Those of the split, by name."""
    indices = dataset.given_splits[split] if split else np.arange(len(dataset.images))
    ordered = sorted(indices.tolist(), key=dataset.images.name)
    return np.array(ordered[skip : skip + count], np.int64)


def _print(sides: dict[str, _Side]) -> None:
    print(f"{'':16} {'recall at IoU 0.5':30} {'mean best overlap':30} {'boxes':>6}  s/image")
    for name, side in sides.items():
        overlaps = np.concatenate(side.overlaps)
        columns = [(overlaps >= _IOU).mean(axis=0), overlaps.mean(axis=0)]
        texts = [" ".join(f"{value:.3f}" for value in column) for column in columns]
        print(f"{name:16} {texts[0]:30} {texts[1]:30} {np.mean(side.counts):6.0f}  {spread(side.seconds, 2)}")
    for name, side in sides.items():
        if name.startswith("OpenCV"):
            ours = sides[name.replace("OpenCV", "ours")]
            ratios = [theirs / own for theirs, own in zip(side.seconds, ours.seconds, strict=True)]
            print(f"{name} / ours: {median(ratios):.2f} x the time ({min(ratios):.2f}-{max(ratios):.2f})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--split")
    parser.add_argument("--images", type=int, default=30)
    parser.add_argument("--skip", type=int, default=0)
    parser.add_argument("--modes", nargs="+", choices=get_args(Mode), default=list(get_args(Mode)))
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    dataset = open_dataset(arguments.folder)
    truth = dataset.ground_truths["boxes"]
    assert isinstance(truth, Boxes)
    sides = _sides(arguments.modes)
    chosen = _chosen_images(dataset, arguments.split, arguments.skip, arguments.images)
    for index in chosen.tolist():
        rows, _ = truth.rows(np.array([index]))
        objects = truth.boxes[rows[~truth.crowd[rows]]]
        pixels = dataset.images.read(index)
        pixels = pixels if pixels.shape[2] == 3 else np.repeat(pixels, 3, axis=2)
        for side in sides.values():
            side.measure(pixels, objects)
    count = sum(map(len, sides["sliding windows"].overlaps))
    print(f"{machine()}, OpenCV {cv2.__version__}, {len(chosen)} images, {count} objects")
    _print(sides)


if __name__ == "__main__":
    main()
