"""Images alone, of which nothing else is read: what a task learns from that makes its targets from the images."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from convolve.datasets.images import ImageFiles
from convolve.datasets.inventory import Inventory
from convolve.datasets.layouts.parts import build_dataset, split_word
from convolve.datasets.own_images import OwnImages
from convolve.values import Dataset

NAME = "images"
EXPECTED = "images of any name, with --layout images"
MARK = re.compile(r"(?!)")
"""Nothing tells it: it is asked only by its name."""


def recognize(inventory: Inventory) -> Dataset | None:
    """All images below a folder, or None where there is none; those in folders called train, val or test are in such
    splits.
    """
    if not inventory.images:
        return None
    splits = [next(filter(None, map(split_word, PurePosixPath(image).parts[:-1])), None) for image in inventory.images]
    images = ImageFiles(inventory.root, inventory.images)
    ground_truth = OwnImages(len(images), images)
    return build_dataset(inventory.root, NAME, f"{len(images):,} images", images, splits, {"images": ground_truth})
