"""LabelMe's annotations: a JSON file for each image, with polygons, rectangles, circles and masks as `shapes`.

The format: https://github.com/wkentaro/labelme (`labelme/_label_file.py`); painted as its `utils/shape.py` does, later
shapes on top of earlier ones.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from convolve.datasets.inventory import Inventory, natural
from convolve.datasets.layouts.annotated_images import (
    BOX,
    OUTLINE,
    AnnotatedImage,
    NamedObject,
    class_name,
    count_of,
    find_split,
    list_names,
)
from convolve.datasets.layouts.documents import read_json
from convolve.datasets.layouts.image_finder import ImageFinder
from convolve.datasets.layouts.outlines import outlined_dataset
from convolve.datasets.layouts.shapes import Bitmap, Ellipse, Polygons, Shape, rectangle
from convolve.errors import DataError
from convolve.untrusted.fields import as_list, as_number, as_size, as_text
from convolve.values import Dataset

NAME = "labelme"
EXPECTED = "a LabelMe .json with `shapes` for each image"
MARK = re.compile(r"\.json$", re.IGNORECASE)
_KEYS = ("shapes", "imagePath")


def recognize(inventory: Inventory) -> Dataset | None:
    """The dataset in a folder with such files, or None. A file belongs to the image that its `imagePath` names, or else
    to the one that is called as the file. Raises `DataError` for a damaged file, and where there are both.
    """
    finder = ImageFinder(inventory.images)
    neighbors = {image.rpartition(".")[0]: image for image in inventory.images}
    entries, missing = [], []
    for name in filter(MARK.search, inventory.files):
        document = read_json(inventory.root / name, _KEYS)
        if isinstance(document, dict) and isinstance(document.get("shapes"), list):
            image = _find(finder, name, document.get("imagePath"))
            _check_neighbor(inventory, name, image, neighbors.get(name[: -len(".json")]))
            if image is None:
                missing.append(name)
            else:
                entries.append(_entry(inventory, name, image, document))
    if not entries and not missing:
        return None
    if not entries:
        raise DataError(f"{inventory.root} holds none of the images of {list_names(missing)}; put them there.")
    classes = sorted({one.name for entry in entries for one in entry.objects}, key=natural)
    reason = f"{count_of(len(entries), 'file')} of LabelMe, such as {entries[0].source}"
    dataset = outlined_dataset(inventory, NAME, reason, entries, classes)
    absent = [f"left out: {count_of(len(missing), 'file')} without an image, such as {list_names(missing)}"]
    return replace(dataset, notes=(*(absent if missing else ()), *dataset.notes))


def _find(finder: ImageFinder, file: str, path: object) -> str | None:
    for name in (path, PurePosixPath(file).stem):
        if isinstance(name, str) and (found := finder.find([name], file).paths):
            return found[name]
    return None


def _check_neighbor(inventory: Inventory, file: str, image: str | None, neighbor: str | None) -> None:
    """Raise `DataError` where a file names an image of another name than the one that is called as it is, beside it."""
    if image and neighbor and image.rpartition(".")[0] != neighbor.rpartition(".")[0]:
        raise DataError(
            f"{inventory.root / file} has the imagePath {image}, but lies beside {neighbor}; correct its imagePath, or "
            "rename the file after its image."
        )


def _entry(inventory: Inventory, file: str, image: str, document: Mapping[str, Any]) -> AnnotatedImage:
    objects = []
    for layer, shape in enumerate(document["shapes"]):
        try:
            objects.append(_object(shape, layer))
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise DataError(
                f"{inventory.root / file} has a shape without label or with odd points ({layer + 1}.); correct it."
            ) from error
    try:
        size = as_size(document.get("imageHeight"), document.get("imageWidth"))
    except ValueError:
        size = None
    return AnnotatedImage(image, file, tuple(objects), size, find_split(file) or find_split(image))


def _object(shape: Mapping[str, Any], layer: int) -> NamedObject:
    name, kind = class_name(shape["label"]), as_text(shape.get("shape_type") or "polygon")
    points = [(as_number(x), as_number(y)) for x, y in map(as_list, as_list(shape["points"]))]
    area: Shape
    if kind in ("polygon", "oriented_rectangle") and len(points) > 2:
        area = Polygons([[value for point in points for value in point]])
    elif kind == "rectangle":
        (left, top), (right, bottom) = points[0], points[len(points) // 2]
        area = rectangle((min(left, right), min(top, bottom), max(left, right), max(top, bottom)))
    elif kind == "circle":
        center, edge = points
        radius = math.dist(center, edge)
        area = Ellipse(center, (radius, radius))
    elif kind == "mask":
        area = Bitmap(_decode(shape["mask"]), (int(points[0][0]), int(points[0][1])))
    else:
        return NamedObject(name, None, f"a {kind}", layer)
    return NamedObject(name, area, BOX if kind == "rectangle" else OUTLINE, layer)


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError from error
