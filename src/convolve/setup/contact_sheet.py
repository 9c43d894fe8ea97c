"""What a network sees in training, after augmentation, as one image."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from convolve.datasets.batches import Batches
from convolve.datasets.sheet import contact_sheet
from convolve.files import atomic_write
from convolve.training.step import open_epoch
from convolve.values import Floats, GroundTruth, Pixels, Preprocessing

IMAGES = 40


def write_contact_sheet(path: Path, ground_truth: GroundTruth, batches: Batches, preprocessing: Preprocessing) -> None:
    """Write a PNG of the first images of a training, with their ground truth. Raises `ConvolveError`."""
    images: list[Pixels] = []
    captions: list[str] = []
    with open_epoch(batches, 0) as first:
        for batch in first:
            images += list(ground_truth.draw(denormalize(batch.images, preprocessing), batch.targets))
            captions += ground_truth.describe(batch.targets)
            if len(images) >= IMAGES:
                break
    with atomic_write(path) as draft:
        contact_sheet(images[:IMAGES], captions[:IMAGES]).save(draft, "PNG")


def denormalize(images: Floats, preprocessing: Preprocessing) -> Pixels:
    """(..., C) normalized values to (..., C) uint8 pixels."""
    values = images * np.array(preprocessing.std) + np.array(preprocessing.mean)
    return np.asarray((values * 255).round().clip(0, 255), dtype=np.uint8)
