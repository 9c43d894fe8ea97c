"""Supervisely's annotations: `ann/IMAGE.json` next to `img/IMAGE`, with the classes in `meta.json`.

The format: https://docs.supervisely.com/customization-and-integration/00_ann_format_navi. As in its own package
(`supervisely/geometry`), points are pixels, and what lies on the edges is covered too; later objects lie on top.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, final

import cv2
import numpy as np

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
from convolve.datasets.layouts.painting import box_of, cover, pixels_of, polygon_steps
from convolve.datasets.layouts.shapes import (
    Edges,
    bitmap_steps,
    flags_bounds,
    paste,
    points_bounds,
    polygon_area,
    read_bitmap,
    rectangle,
)
from convolve.errors import DataError
from convolve.untrusted.compression import unpack_zlib
from convolve.untrusted.fields import as_dict, as_list, as_number, as_size, as_text, as_whole
from convolve.values import Dataset, Flags, Pixels

NAME = "supervisely"
EXPECTED = "Supervisely's ann/*.json next to img/"
MARK = re.compile(r"(^|/)ann/[^/]+\.json$", re.IGNORECASE)
_MOST_BYTES = 2**26  # of a bitmap's PNG
_FREE_BYTES, _VOUCHED = 2**20, 64
"""Bytes of a PNG that any packed one may have, and further ones for each packed byte. A PNG is packed already, and only
one that is all the same becomes much smaller.
"""
_PNG = b"\x89PNG"


@final
@dataclass(frozen=True)
class PixelPolygon:
    """A polygon through the pixels ``exterior`` (x, y), which it covers, without those of the ``interior`` polygons."""

    exterior: tuple[tuple[int, int], ...]
    interior: tuple[tuple[tuple[int, int], ...], ...]

    def area(self) -> float:
        """Of the polygon through the pixels' centers, without the holes."""
        return polygon_area(np.array(self.exterior)) - sum(polygon_area(np.array(hole)) for hole in self.interior)

    def steps(self, size: tuple[int, int]) -> int:
        """The pixels of the boxes around each polygon and around all, and more for edges that cross many rows."""
        polygons = [np.array(polygon, np.float64) for polygon in (self.exterior, *self.interior)]
        edges = sum(polygon_steps(polygon[:, ::-1], size[::-1]) for polygon in polygons)
        return edges + pixels_of(box_of(np.concatenate(polygons), size))

    def bounds(self, size: tuple[int, int]) -> Edges:  # noqa: ARG002 - wherever the image ends
        """Around the pixels of the exterior."""
        left, top, right, bottom = points_bounds(self.exterior)
        return left, top, right + 1, bottom + 1

    def paint(self, mask: Pixels, value: int) -> None:
        """The pixels of the exterior, without those of the holes."""
        polygons = [np.array(polygon, np.int32) for polygon in (self.exterior, *self.interior)]
        rows, columns = box_of(np.concatenate(polygons), (mask.shape[0], mask.shape[1]))
        filled: Pixels = np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.uint8)
        for index, polygon in enumerate(polygons if filled.size else []):
            cv2.fillPoly(filled, [polygon], [int(not index)], offset=(-columns.start, -rows.start))
        cover(mask[rows, columns], filled, value)


@final
@dataclass(frozen=True)
class PackedBitmap:
    """A bitmap (see `Bitmap` of the shapes) as it is in the file: a PNG, or one that is packed by zlib as well."""

    content: bytes
    origin: tuple[int, int]

    def area(self) -> float:
        """The pixels of the object."""
        return float(np.count_nonzero(self._flags()))

    def steps(self, size: tuple[int, int]) -> int:  # noqa: ARG002 - its own pixels are all decoded
        """Those of its own pixels, wherever they lie."""
        return bitmap_steps(self.unpack())

    def bounds(self, size: tuple[int, int]) -> Edges | None:  # noqa: ARG002 - wherever the image ends
        """Around the pixels of the object."""
        return flags_bounds(self._flags(), self.origin)

    def paint(self, mask: Pixels, value: int) -> None:
        """The pixels of the object that lie in the image."""
        paste(mask, self._flags(), self.origin, value)

    def unpack(self) -> bytes:
        """The PNG itself. Raises `ValueError` where it is damaged, or too large for as many packed bytes."""
        if self.content.startswith(_PNG):
            return self.content
        return unpack_zlib(self.content, min(_MOST_BYTES, _FREE_BYTES + _VOUCHED * len(self.content)))

    def _flags(self) -> Flags:
        return read_bitmap(self.unpack(), len(self.content))


def recognize(inventory: Inventory) -> Dataset | None:
    """The dataset in a folder with such files, or None. Raises `DataError` for a damaged file."""
    finder = ImageFinder(inventory.images)
    entries, missing = [], []
    for name in filter(MARK.search, inventory.files):
        document = read_json(inventory.root / name, ("objects", "size"))
        if isinstance(document, dict) and isinstance(document.get("objects"), list):
            folder, _, file = name.rpartition("/")
            target = f"{folder.rpartition('/')[0]}/img/{file[: -len('.json')]}".lstrip("/")
            found = finder.find([target], name).paths
            if found:
                entries.append(_entry(inventory, name, found[target], document))
            else:
                missing.append(name)
    if not entries and not missing:
        return None
    if not entries:
        raise DataError(f"{inventory.root} holds none of the images of {list_names(missing)}; put them there.")
    used = sorted({one.name for entry in entries for one in entry.objects}, key=natural)
    reason = f"{count_of(len(entries), 'file')} of Supervisely, such as {entries[0].source}"
    dataset = outlined_dataset(inventory, NAME, reason, entries, [*_listed(inventory), *used])
    absent = [f"left out: {count_of(len(missing), 'file')} without an image, such as {list_names(missing)}"]
    return replace(dataset, notes=(*(absent if missing else ()), *dataset.notes))


def _listed(inventory: Inventory) -> list[str]:
    """The classes of the project's `meta.json`, where there is one."""
    found: list[str] = []
    for name in inventory.files:
        document = read_json(inventory.root / name, ("classes",)) if name.rpartition("/")[2] == "meta.json" else None
        if isinstance(document, dict) and isinstance(document.get("classes"), list):
            try:
                found += [class_name(one["title"]) for one in map(as_dict, document["classes"]) if "title" in one]
            except ValueError as error:
                raise DataError(f"{inventory.root / name} has a class without a title; export it again.") from error
    return found


def _entry(inventory: Inventory, file: str, image: str, document: Mapping[str, Any]) -> AnnotatedImage:
    try:
        objects = tuple(_object(one, layer) for layer, one in enumerate(document["objects"]))
        size = as_size(document["size"]["height"], document["size"]["width"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{inventory.root / file} has an object without class or outline; export it again.") from error
    return AnnotatedImage(image, file, objects, size, find_split(file))


def _object(one: Mapping[str, Any], layer: int) -> NamedObject:
    name, kind = class_name(one["classTitle"]), as_text(one["geometryType"])
    if kind == "bitmap":
        left, top = map(as_whole, one["bitmap"]["origin"])
        bitmap = PackedBitmap(_decode(one["bitmap"]["data"]), (left, top))
        bitmap.unpack()
        return NamedObject(name, bitmap, OUTLINE, layer)
    if kind not in ("polygon", "rectangle"):
        return NamedObject(name, None, f"a {kind}", layer)
    outer = _pixels(one["points"]["exterior"])
    if kind == "rectangle":
        (left, right), (top, bottom) = (sorted(side) for side in zip(*outer, strict=True))
        return NamedObject(name, rectangle((left, top, right + 1, bottom + 1)), BOX, layer)
    inner = tuple(_pixels(hole) for hole in as_list(one["points"].get("interior", [])) if hole)
    return NamedObject(name, PixelPolygon(outer, inner), OUTLINE, layer)


def _pixels(points: object) -> tuple[tuple[int, int], ...]:
    """The pixels of a polygon, at least one."""
    pixels = tuple((round(as_number(x)), round(as_number(y))) for x, y in map(as_list, as_list(points)))
    if not pixels:
        raise ValueError
    return pixels


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError from error
