"""Predicted regions as one file of COCO's annotations, for tools in which people correct masks."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from convolve import __version__
from convolve.datasets.layouts.annotated_images import BACKGROUND
from convolve.datasets.layouts.coco import PREDICTED
from convolve.files import check_replaceable, write_text
from convolve.tasks.segment.polygons import Polygon
from convolve.untrusted.files import read_start

_FILE = "predictions.json"


@dataclass(frozen=True)
class AnnotatedImage:
    """An image's name, its (height, width), and the polygons of its regions by class."""

    name: str
    size: tuple[int, int]
    polygons: Mapping[str, Sequence[Polygon]]


def check_annotations(folder: Path) -> None:
    """Raise `DataError` where a folder's `predictions.json` is another one."""
    check_replaceable(folder / _FILE, _is_predicted, "file of predictions that convolve wrote")


def write_annotations(folder: Path, images: Sequence[AnnotatedImage], classes: Sequence[str]) -> Path:
    """Write `predictions.json`; its path. Raises `ConvolveError`."""
    path = folder / _FILE
    write_text(path, json.dumps(document(images, classes), ensure_ascii=False))
    return path


def document(images: Sequence[AnnotatedImage], classes: Sequence[str]) -> dict[str, Any]:
    """An annotation for each connected region, with one polygon, its pixels as `area`, and its box.

    Images are named by their paths below their common folder. Classes count from 1; one named `background` is not
    annotated, as in COCO.
    """
    numbers = {name: number for number, name in enumerate((name for name in classes if name != BACKGROUND), 1)}
    paths = [PurePath(os.path.abspath(image.name)) for image in images]  # noqa: PTH100 - links stay as they are
    above = os.path.commonpath([path.parent for path in paths])
    found = [one for number, image in enumerate(images, 1) for one in _annotations(image, number, numbers)]
    return {
        "info": {"description": f"{PREDICTED} {__version__}"},
        "licenses": [],
        "categories": [{"id": number, "name": name, "supercategory": ""} for name, number in numbers.items()],
        "images": [
            {
                "id": number,
                "file_name": path.relative_to(above).as_posix(),
                "height": image.size[0],
                "width": image.size[1],
            }
            for number, (image, path) in enumerate(zip(images, paths, strict=True), 1)
        ],
        "annotations": [{"id": number, **one} for number, one in enumerate(found, 1)],
    }


def _is_predicted(path: Path) -> bool:
    beginning = f'{{"info": {{"description": "{PREDICTED}'.encode()
    return read_start(path, len(beginning)) == beginning


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
