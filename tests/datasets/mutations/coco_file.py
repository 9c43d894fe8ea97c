"""COCO's file as programs write it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from tests.datasets.mutations.pixels import Rectangle, rectangles, shape
from tests.datasets.mutations.sample import Sample

SPELLINGS: Mapping[str, Callable[[str], str]] = {
    "bare": lambda name: PurePosixPath(name).name,
    "relative": lambda name: name,
    "dot": lambda name: f"./{name}",
    "backslash": lambda name: name.replace("/", "\\"),
    "absolute": lambda name: f"/home/kim/project/{name}",
    "windows": lambda name: "D:\\project\\" + name.replace("/", "\\"),
    "percent": quote,
    "percent bare": lambda name: quote(PurePosixPath(name).name),
}
"""How an image's path below the root is written, by a word for it."""


@dataclass
class CocoStyle:
    """``categories`` are id and name, in the order of class indices from 1; ``unused`` ones follow."""

    path: str
    split: str | None = None
    categories: list[tuple[int, str]] = field(default_factory=lambda: [(1, "disc"), (2, "wall")])
    unused: list[tuple[int, str]] = field(default_factory=list)
    spelling: str = "bare"
    text_ids: frozenset[str] = frozenset()
    first_id: int = 1
    same_id: bool = False
    bom: bool = False
    encoding: str = "utf-8"
    indent: int | None = None
    sizes: bool = True
    areas: bool = True
    shapes: str = "polygon"
    boxes_only: set[int] = field(default_factory=set)
    orphan: bool = False
    extra_keys: bool = False
    reverse: bool = False


def render_coco(style: CocoStyle, samples: Sequence[Sample]) -> bytes:
    """The file's bytes."""
    ids = {sample.number: style.first_id + 7 * position for position, sample in enumerate(samples)}
    if style.same_id and len(samples) > 1:
        ids[samples[1].number] = ids[samples[0].number]
    images = [_image(style, sample, ids[sample.number]) for sample in samples]
    annotations: list[dict[str, Any]] = []
    for sample in samples:
        for one in rectangles(sample.number, 3) if sample.classes else ():
            annotations.append(_annotation(style, sample, one, ids[sample.number]))
            annotations[-1]["id"] = len(annotations)
    if style.orphan:
        annotations.append({**annotations[0], "id": len(annotations) + 1, "image_id": 99_999})
    if style.reverse:
        annotations.reverse()
    listed = [*style.categories, *style.unused]
    categories = [{"id": _key(style, "category.id", key), "name": name, "supercategory": ""} for key, name in listed]
    document: dict[str, Any] = {"images": images, "annotations": annotations, "categories": categories}
    if style.extra_keys:
        document = {"info": {"year": 2024, "version": "1"}, "licenses": [{"id": 0, "name": "", "url": ""}]} | document
    text = json.dumps(document, indent=style.indent, ensure_ascii=style.extra_keys)
    return (b"\xef\xbb\xbf" if style.bom else b"") + text.encode(style.encoding)


def _image(style: CocoStyle, sample: Sample, key: int) -> dict[str, Any]:
    height, width = shape(sample.number)
    size = {"height": height, "width": width} if style.sizes else {}
    return {"id": _key(style, "image.id", key), "file_name": SPELLINGS[style.spelling](sample.name), **size}


def _annotation(style: CocoStyle, sample: Sample, rectangle: Rectangle, key: int) -> dict[str, Any]:
    index, top, left, bottom, right = rectangle
    found: dict[str, Any] = {
        "image_id": _key(style, "annotation.image_id", key),
        "category_id": _key(style, "annotation.category_id", style.categories[index - 1][0]),
        "bbox": [left, top, right - left, bottom - top],
        "iscrowd": int(style.shapes == "rle"),
    }
    if sample.number not in style.boxes_only:
        found["segmentation"] = _shape(style.shapes, sample, rectangle)
    elif style.shapes == "polygon":
        found["segmentation"] = []
    if style.areas:
        found["area"] = (right - left) * (bottom - top)
    return found


def _shape(kind: str, sample: Sample, rectangle: Rectangle) -> Any:
    _, top, left, bottom, right = rectangle
    if kind != "rle":
        outline = [left, top, right, top, right, bottom, left, bottom]
        return outline if kind == "flat" else [outline]
    height, width = shape(sample.number)
    column = [top, bottom - top, height - bottom]
    counts = [left * height + top]
    for position in range(left, right):
        counts.append(column[1])
        counts.append(column[2] + (top if position < right - 1 else (width - right) * height))
    return {"size": [height, width], "counts": counts}


def _key(style: CocoStyle, role: str, key: int) -> int | str:
    return str(key) if role in style.text_ids else key
