"""A dataset in words for reports, and in a picture: what the network will see."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from convolve.datasets.batches import Batches
from convolve.datasets.findings import Findings
from convolve.datasets.sheet import contact_sheet
from convolve.files import beside
from convolve.tasks.task import Kind
from convolve.training.step import batches
from convolve.values import Batch, Dataset, Floats, Pixels, Preprocessing, Splits

SHOWN = 40


def draw_sheet(
    place: Path, kind: Kind[Any, Any], dataset: Dataset, learning: Batches, preprocessing: Preprocessing
) -> None:
    """Write a contact sheet (PNG) of the first images that training would see, their truth drawn where it has a place.

    Raises `ConvolveError`.
    """
    pixels: list[Pixels] = []
    captions: list[str] = []
    with batches(learning, 0) as first:
        for batch in first:
            pixels += list(kind.marked(as_seen(batch, preprocessing), batch, dataset))
            captions += kind.named(batch, dataset)
            if len(pixels) >= SHOWN:
                break
    with beside(place) as draft:
        contact_sheet(pixels[:SHOWN], captions[:SHOWN]).save(draft, "PNG")


def as_seen(batch: Batch, preprocessing: Preprocessing) -> Pixels:
    """(N, H, W, C) uint8: normalized images made visible again."""
    return visible(batch.images, preprocessing)


def visible(images: Floats, preprocessing: Preprocessing) -> Pixels:
    """(..., C) uint8 of normalized values (..., C)."""
    values = images * np.array(preprocessing.std) + np.array(preprocessing.mean)
    return np.asarray((values * 255).round().clip(0, 255), dtype=np.uint8)


def summary_of(dataset: Dataset, splits: Splits, findings: Findings) -> dict[str, Any]:
    """What a report says of the data, ready to print."""
    height, width = findings.sizes.height, findings.sizes.width
    return {
        "place": dataset.root,
        "layout": f"{dataset.layout} ({dataset.reason})",
        "images": len(findings.usable),
        "classes": len(findings.classes),
        "train": len(splits.train),
        "validation": len(splits.validation),
        "test": len(splits.test),
        "division": splits.origin,
        "imbalance": findings.imbalance,
        "width": f"{width[0]} to {width[2]} pixels, median {width[1]}",
        "height": f"{height[0]} to {height[2]} pixels, median {height[1]}",
        "color": "gray" if findings.channels == 1 else "color",
        "mean": list(findings.mean),
        "deviation": list(findings.std),
        "unreadable": len(findings.unreadable),
        "exact copies": findings.exact.spare,
        "near copies": findings.near.spare,
    }
