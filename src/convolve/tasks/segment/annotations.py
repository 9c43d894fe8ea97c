"""Predicted regions as COCO's annotations, for tools in which people correct masks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convolve.datasets.layouts.annotated_images import BACKGROUND
from convolve.tasks.coco_document import build_document, write_document
from convolve.tasks.segment.polygons import Polygon


@dataclass(frozen=True)
class AnnotatedImage:
    """An image's name, its (height, width), and the polygons of its regions by class."""

    name: str
    size: tuple[int, int]
    polygons: Mapping[str, Sequence[Polygon]]


def write_annotations(folder: Path, images: Sequence[AnnotatedImage], classes: Sequence[str]) -> Path:
    """Write `predictions.json`; its path. Raises `ConvolveError`."""
    return write_document(folder, document(images, classes))


def document(images: Sequence[AnnotatedImage], classes: Sequence[str]) -> dict[str, Any]:
    """An annotation for each connected region, with one polygon, its pixels as `area`, and its box. The class named
    `background` is not annotated, as in COCO.
    """
    names = [name for name in classes if name != BACKGROUND]
    numbers = {name: number for number, name in enumerate(names, 1)}
    found = [one for number, image in enumerate(images, 1) for one in _annotations(image, number, numbers)]
    return build_document([(image.name, image.size) for image in images], names, found)


def _annotations(image: AnnotatedImage, number: int, numbers: Mapping[str, int]) -> Iterator[dict[str, Any]]:
    for name, polygons in image.polygons.items():
        for polygon in polygons if name in numbers else ():
            yield {
                "image_id": number,
                "category_id": numbers[name],
                "segmentation": [polygon.flat()],
                "area": polygon.area,
                "bbox": polygon.box(),
                "iscrowd": 0,
            }
