"""COCO's documents to test with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as coco

from convolve.values import Dataset, Pixels
from tests.datasets.ground_truths import labels_of, masks_of

SQUARE = [[2.0, 1.0, 8.0, 1.0, 8.0, 5.0, 2.0, 5.0]]
STRIPE = np.zeros((6, 10), np.uint8)
STRIPE[2:4] = 1


def counts(mask: Pixels) -> Any:
    """Run lengths by COCO's own program."""
    return coco.encode(np.asfortranarray(mask))


def document(**more: Any) -> dict[str, Any]:
    """Three images: two objects in the first, one in the second, as polygons and both kinds of run lengths."""
    crowd = {"size": [6, 10], "counts": [0, 6, 54]}
    compressed = counts(STRIPE)
    text = {"size": [6, 10], "counts": compressed["counts"].decode()}
    return {
        "images": [{"id": number, "file_name": f"{number}.png", "height": 6, "width": 10} for number in (7, 8, 9)],
        "categories": [{"id": 44, "name": "bottle"}, {"id": 3, "name": "car"}],
        "annotations": [
            {"image_id": 7, "category_id": 44, "segmentation": SQUARE, "area": 24},
            {"image_id": 7, "category_id": 3, "segmentation": text, "area": 20, "iscrowd": 1},
            {"image_id": 8, "category_id": 3, "segmentation": crowd, "area": 6, "iscrowd": 1},
        ],
    } | more


def write(place: Path, content: object, images: str = "", numbers: tuple[int, ...] = (7, 8, 9)) -> Path:
    """Write a document, and images of 10x6 next to it or in a folder there; the dataset's folder."""
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(content))
    root = place.parent.parent if place.parent.name == "annotations" else place.parent
    for number in numbers:
        (root / images).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (10, 6)).save(root / images / f"{number}.png")
    return root


def simple(**more: Any) -> dict[str, Any]:
    """Three images, the first two with the same square of the only category."""
    squares = [{"image_id": number, "category_id": 3, "segmentation": SQUARE, "area": 24} for number in (7, 8)]
    return document(categories=[{"id": 3, "name": "car"}], annotations=squares) | more


def check_simple(data: Dataset) -> None:
    """Whether a dataset is what `simple` says."""
    assert masks_of(data).classes == ("background", "car")
    assert masks_of(data).pixel_counts().tolist() == [[36, 24], [36, 24], [60, 0]]
    assert labels_of(data).values.tolist() == [[1], [1], [0]]
