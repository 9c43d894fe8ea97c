"""Predicted regions as one file of COCO's annotations, for tools in which people correct masks."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from convolve import __version__
from convolve.datasets.layouts.coco import BACKGROUND, PREDICTIONS
from convolve.files import write_text
from convolve.tasks.segment.polygons import Ring


@dataclass(frozen=True)
class Outlined:
    """An image's name, its (height, width), and the outlines of its regions by class."""

    name: str
    size: tuple[int, int]
    rings: Mapping[str, Sequence[Ring]]


def write_annotations(folder: Path, images: Sequence[Outlined], classes: Sequence[str]) -> Path:
    """Write `predictions.json`, and say where it is. Raises `ConvolveError`."""
    place = folder / PREDICTIONS
    write_text(place, json.dumps(document(images, classes), ensure_ascii=False))
    return place


def document(images: Sequence[Outlined], classes: Sequence[str]) -> dict[str, Any]:
    """An annotation for each connected region, with one polygon, its pixels as `area`, and its box.

    Images are called by their paths below the folder that holds them all. Classes count from 1; one called
    `background` is what is left, as COCO has it, and is not annotated.
    """
    numbers = {name: number for number, name in enumerate((name for name in classes if name != BACKGROUND), 1)}
    places = [PurePath(os.path.abspath(image.name)) for image in images]  # noqa: PTH100 - links stay as they are
    above = os.path.commonpath([place.parent for place in places])
    found = [one for number, image in enumerate(images, 1) for one in _annotated(image, number, numbers)]
    return {
        "info": {"description": f"predicted by convolve {__version__}"},
        "licenses": [],
        "categories": [{"id": number, "name": name, "supercategory": ""} for name, number in numbers.items()],
        "images": [
            {
                "id": number,
                "file_name": place.relative_to(above).as_posix(),
                "height": image.size[0],
                "width": image.size[1],
            }
            for number, (image, place) in enumerate(zip(images, places, strict=True), 1)
        ],
        "annotations": [{"id": number, **one} for number, one in enumerate(found, 1)],
    }


def _annotated(image: Outlined, number: int, numbers: Mapping[str, int]) -> Iterator[dict[str, Any]]:
    for name, rings in image.rings.items():
        for ring in rings if name in numbers else ():
            yield {
                "image_id": number,
                "category_id": numbers[name],
                "segmentation": [ring.flat()],
                "area": ring.area,
                "bbox": ring.box(),
                "iscrowd": 0,
            }
