"""The objects in COCO's files: their boxes, and their outlines where they have any."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from convolve.datasets.layouts.annotated_images import BOX, EMPTY, OUTLINE, NamedObject, ObjectBox
from convolve.datasets.layouts.shapes import Polygons, Rle, corner_lists, is_outline
from convolve.errors import DataError
from convolve.untrusted.fields import as_list, as_number, as_text
from convolve.untrusted.images import MAX_PIXELS


def read_objects(
    path: Path, annotations: Sequence[Mapping[str, Any]], categories: Mapping[str, str]
) -> dict[str, list[NamedObject]]:
    """The objects of the images by the ids of these. Raises `DataError` where all corners are fractions of the image,
    and for an object without an outline whose box is none.
    """
    found: dict[str, list[NamedObject]] = defaultdict(list)
    polygons, boxes, outlined = [], [], False
    for one in annotations:
        outline, name = one.get("segmentation"), categories[id_text(one["category_id"])]
        shape = _shape(outline) if is_outline(outline) else None
        outlined |= shape is not None
        polygons += [shape] if isinstance(shape, Polygons) else []
        try:
            box = _box(one)
        except ValueError as error:
            if shape is None:
                image = id_text(one.get("image_id")) or "none"
                raise DataError(
                    f"{path} has an object of the image {image} whose bbox is not four numbers; correct it."
                ) from error
            box = None
        boxes += [box] if box else []
        kind = OUTLINE if shape else EMPTY if outline else BOX
        found[id_text(one.get("image_id"))].append(NamedObject(name, shape, kind, box=box))
    edges = [] if outlined else [edge for box in boxes for edge in box.edges]
    small = bool(edges) and max(edges) <= 1 and not all(edge.is_integer() for edge in edges)
    if small or (polygons and all(map(_are_fractions, polygons))):
        raise DataError(f"{path} has corners that are fractions of the image; export them in pixels.")
    return found


def _box(one: Mapping[str, Any]) -> ObjectBox | None:
    """The box of an object with its area, or None where it has none. Raises `ValueError`."""
    if not one.get("bbox"):
        return None
    left, top, width, height = map(as_number, as_list(one["bbox"]))
    try:
        area = as_number(one.get("area"), MAX_PIXELS) or None
    except ValueError:
        area = None
    return ObjectBox(
        (left, top, left + width, top + height),
        area if area and area > 0 else None,
        one.get("iscrowd") in (1, True, "1"),
    )


def _are_fractions(shape: Polygons) -> bool:
    """Whether all corners lie between 0 and 1."""
    try:
        return all(0 <= corners.min() <= corners.max() <= 1 for corners in corner_lists(shape.outlines))
    except DataError:
        return False


def _shape(segmentation: Any) -> Polygons | Rle:
    if isinstance(segmentation, Mapping):
        return Rle(segmentation.get("counts"), segmentation.get("size"))
    return Polygons(segmentation)


def id_text(value: object) -> str:
    """An id as text: `7`, `7.0` and `"7"` are one; none where there is none."""
    try:
        return as_text(int(value) if isinstance(value, float) and value.is_integer() else value).strip()
    except ValueError:
        return ""
