"""Objects of images as annotation programs write them: LabelMe, CVAT, VIA, Supervisely and Label Studio."""

from __future__ import annotations

import base64
import csv
import io
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

import numpy as np

from tests.datasets.mutations.coco_file import SPELLINGS
from tests.datasets.mutations.pixels import encode, rectangles, shape
from tests.datasets.mutations.sample import Sample

UPLOADS: Mapping[str, Callable[[str], str]] = {
    "upload": lambda name: f"/data/upload/1/{zlib.crc32(name.encode()):08x}-{quote(PurePosixPath(name).name)}",
    "local files": lambda name: f"/data/local-files/?d={quote(name)}",
    "bucket": lambda name: f"s3://bucket/set/{name}",
    "address": lambda name: f"http://localhost:8080/{quote(name)}",
}
"""How Label Studio writes the path of an image, by a word for it."""
SPELLED: Mapping[str, Callable[[str], str]] = {**SPELLINGS, **UPLOADS}


@dataclass(frozen=True)
class TextStyle:
    """How the text of a file is written."""

    bom: bool = False
    encoding: str = "utf-8"
    newline: str = "\n"
    indent: int | None = None

    def dump(self, document: object) -> bytes:
        """JSON."""
        return self.encode(json.dumps(document, indent=self.indent, ensure_ascii=False))

    def encode(self, text: str) -> bytes:
        """The bytes of a text with `\\n` at the ends of its lines."""
        content = text.replace("\n", self.newline).encode(self.encoding)
        return (b"\xef\xbb\xbf" if self.bom else b"") + content


PLAIN = TextStyle()


@dataclass(frozen=True)
class _Object:
    """A rectangle between its edges, with its class, drawn in a ``form``."""

    name: str
    left: int
    top: int
    right: int
    bottom: int
    form: str

    @property
    def corners(self) -> list[tuple[int, int]]:
        return [(self.left, self.top), (self.right, self.top), (self.right, self.bottom), (self.left, self.bottom)]


@dataclass
class OutlineStyle:
    """``path`` is that of the file, or of the folder around files for each image. ``forms`` are those of the objects of
    some images, by number; all others are polygons. ``spelled`` are other spellings of names in some images,
    ``unnamed`` images whose last object has no class, ``shrunk`` those that were twice as large when they were
    annotated, ``marked`` those that have a point or a line besides, and ``fewer`` those that lack their last object.
    ``repeated`` images are listed twice, ``omitted`` ones not at all, and ``waiting`` ones without any annotation. A
    file may be ``cut`` short.
    """

    program: str
    path: str
    split: str | None = None
    names: tuple[str, ...] = ("disc", "wall")
    spelling: str = "bare"
    text: TextStyle = PLAIN
    variant: str = ""
    forms: dict[int, str] = field(default_factory=dict)
    spelled: dict[int, dict[str, str]] = field(default_factory=dict)
    unnamed: set[int] = field(default_factory=set)
    shrunk: set[int] = field(default_factory=set)
    marked: set[int] = field(default_factory=set)
    fewer: set[int] = field(default_factory=set)
    repeated: set[int] = field(default_factory=set)
    omitted: set[int] = field(default_factory=set)
    waiting: set[int] = field(default_factory=set)
    cut: bool = False

    def render(self, samples: Sequence[Sample]) -> dict[str, bytes]:
        """The files by their paths."""
        known = [one for one in samples if one.annotated or one.number in self.waiting]
        own = [one for one in known if self.split in (None, one.split) and one.number not in self.omitted]
        found = WRITERS[self.program](self, [one for one in own for _ in range(1 + (one.number in self.repeated))])
        if self.cut:
            last = list(found)[-1]
            found[last] = found[last][: len(found[last]) * 2 // 3]
        return found

    def objects(self, sample: Sample) -> list[_Object]:
        """Those of an image."""
        shown = sample.classes or sample.number in self.unnamed
        spelled = self.spelled.get(sample.number, {})
        form = self.forms.get(sample.number, "polygon")
        found = []
        for index, *edges in rectangles(sample.number, 1 + len(self.names)) if shown else ():
            name = self.names[index - 1]
            top, left, bottom, right = (edge * (2 if sample.number in self.shrunk else 1) for edge in edges)
            found.append(_Object(spelled.get(name, name), left, top, right, bottom, form))
        if sample.number in self.unnamed:
            found[-1] = replace(found[-1], name="")
        return found[:-1] if sample.number in self.fewer else found

    def first_name(self, sample: Sample) -> str:
        """What the first class is called in an image."""
        return self.spelled.get(sample.number, {}).get(self.names[0], self.names[0])

    def size(self, sample: Sample) -> tuple[int, int]:
        """Height and width."""
        factor = 2 if sample.number in self.shrunk else 1
        height, width = shape(sample.number)
        return height * factor, width * factor

    def spell(self, sample: Sample) -> str:
        """What the file calls an image."""
        return SPELLED[self.spelling](sample.name)


def _turned(one: _Object) -> tuple[float, float, float, float]:
    """The edges of the box that becomes the object when it is turned by a right angle about its center."""
    x, y = (one.left + one.right) / 2, (one.top + one.bottom) / 2
    across, down = (one.bottom - one.top) / 2, (one.right - one.left) / 2
    return x - across, y - down, x + across, y + down


def _labelme(style: OutlineStyle, samples: Sequence[Sample]) -> dict[str, bytes]:
    found = {}
    for sample in samples:
        height, width = style.size(sample)
        shapes = [_labelme_shape(one) for one in style.objects(sample)]
        if sample.number in style.marked:
            shapes.append({"label": style.first_name(sample), "points": [[1, 1]], "shape_type": "point", "flags": {}})
        document: dict[str, Any] = {"version": "5.4.1", "flags": {}, "shapes": shapes, "imagePath": style.spell(sample)}
        document |= {"imageData": None, "imageHeight": height, "imageWidth": width}
        if style.variant == "version 3":
            document = {**document, "version": "3.16.7", "lineColor": [0, 255, 0, 128], "fillColor": [255, 0, 0, 128]}
            del document["imageHeight"], document["imageWidth"]
        if style.variant == "with pixels":
            document["imageData"] = base64.b64encode(sample.render()).decode()
        if style.variant == "stale path":
            document["imagePath"] = f"IMG_{9000 + sample.number}.jpg"
        name = PurePosixPath(sample.name).with_suffix(".json")
        found[f"{style.path}/{name.name}" if style.path else str(name)] = style.text.dump(document)
    return found


def _labelme_shape(one: _Object) -> dict[str, Any]:
    kinds = {"box": "rectangle", "turned box": "oriented_rectangle", "bitmap": "mask"}
    found: dict[str, Any] = {"label": one.name, "points": [list(corner) for corner in one.corners], "group_id": None}
    found |= {"description": "", "shape_type": kinds.get(one.form, "polygon"), "flags": {}, "mask": None}
    if one.form == "box":
        found["points"] = [[one.right, one.bottom], [one.left, one.top]]
    if one.form == "bitmap":
        found["points"] = [[one.left, one.top], [one.right - 1, one.bottom - 1]]
        flags = np.full((one.bottom - one.top, one.right - one.left), 255, np.uint8)
        found["mask"] = base64.b64encode(encode(flags, ".png")).decode()
    return found


def _cvat(style: OutlineStyle, samples: Sequence[Sample]) -> dict[str, bytes]:
    labels = "".join(f"<label><name>{name}</name><type>any</type></label>\n" for name in style.names)
    around = "project" if style.variant == "project" else "job" if style.variant == "job" else "task"
    lines = ['<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n']
    lines.append(f"<meta>\n<{around}><id>4</id>\n<labels>\n{labels}</labels>\n</{around}>\n</meta>\n")
    for key, sample in enumerate(samples):
        height, width = style.size(sample)
        subset = f' subset="{sample.split}"' if sample.split else ""
        lines.append(f"<image id={quoteattr(str(key))} name={quoteattr(style.spell(sample))}{subset}")
        lines.append(f' width="{width}" height="{height}">\n')
        lines += [_cvat_shape(one) for one in style.objects(sample)]
        if sample.number in style.marked:
            lines.append(f'<polyline label="{style.first_name(sample)}" points="1.0,1.0;2.0,3.0" z_order="0"/>\n')
        lines.append("</image>\n")
    lines.append("</annotations>\n")
    return {style.path: style.text.encode("".join(lines))}


def _cvat_shape(one: _Object) -> str:
    start = f'label={quoteattr(one.name)} source="manual" occluded="0"'
    left, top, right, bottom = _turned(one) if one.form == "turned box" else (one.left, one.top, one.right, one.bottom)
    if one.form in ("box", "turned box"):
        angle = ' rotation="90.00"' if one.form == "turned box" else ""
        return (
            f'<box {start} xtl="{left:.2f}" ytl="{top:.2f}" xbr="{right:.2f}" ybr="{bottom:.2f}"{angle} z_order="0"/>\n'
        )
    if one.form == "bitmap":
        width, height = one.right - one.left, one.bottom - one.top
        counts = f'rle="0, {width * height}" left="{one.left}" top="{one.top}" width="{width}" height="{height}"'
        return f'<mask {start} {counts} z_order="0">\n</mask>\n'
    points = ";".join(f"{x:.2f},{y:.2f}" for x, y in one.corners)
    return f'<polygon {start} points="{points}" z_order="0"><attribute name="age">3</attribute></polygon>\n'


def _via_regions(style: OutlineStyle, sample: Sample) -> list[dict[str, Any]]:
    regions: list[dict[str, Any]] = []
    for one in style.objects(sample):
        outline: dict[str, Any] = {"name": "polygon", "all_points_x": [x for x, _ in one.corners]}
        outline["all_points_y"] = [y for _, y in one.corners]
        if one.form == "box":
            outline = {"name": "rect", "x": one.left, "y": one.top}
            outline |= {"width": one.right - one.left, "height": one.bottom - one.top}
        attributes: dict[str, Any] = {"type": one.name} if one.name else {}
        if style.variant == "boxes to tick":
            attributes = {"type": {one.name: True} if one.name else {}}
        if style.variant == "unused attribute":
            attributes["note"] = ""
        if style.variant == "two attributes":
            attributes["color"] = "red"
        regions.append({"shape_attributes": outline, "region_attributes": attributes})
    if sample.number in style.marked:
        mark = {"name": "point", "cx": 1, "cy": 1}
        name = style.first_name(sample)
        named = {name: True} if style.variant == "boxes to tick" else name
        regions.append({"shape_attributes": mark, "region_attributes": {"type": named}})
    return regions


def _via(style: OutlineStyle, samples: Sequence[Sample]) -> dict[str, bytes]:
    entries: dict[str, Any] = {}
    for position, sample in enumerate(samples):
        name, size = style.spell(sample), 1000 + position  # the key has the size of the file, which may change
        regions: Any = _via_regions(style, sample)
        if style.variant == "version 1":
            regions = {str(number): region for number, region in enumerate(regions)}
        entries[f"{name}{size}"] = {"filename": name, "size": size, "regions": regions, "file_attributes": {}}
    document = entries
    if style.variant == "project":
        settings = {"project": {"name": "animals"}, "core": {"filepath": {}}}
        attributes = {"region": {"type": {"type": "text"}}, "file": {}}
        document = {"_via_settings": settings, "_via_img_metadata": entries, "_via_attributes": attributes}
    return {style.path: style.text.dump(document)}


def _via_table(style: OutlineStyle, samples: Sequence[Sample]) -> dict[str, bytes]:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    header = "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes"
    first, *titles = header.split(",")
    writer.writerow([f"#{first}" if style.variant == "version 1" else first, *titles])
    for sample in samples:
        regions = _via_regions(style, sample)
        for number, region in enumerate(regions or [{"shape_attributes": {}, "region_attributes": {}}]):
            cells = [json.dumps(region[key]) for key in ("shape_attributes", "region_attributes")]
            writer.writerow([style.spell(sample), 1000 + sample.number, "{}", len(regions), number, *cells])
    return {style.path: style.text.encode(text.getvalue())}


def _supervisely(style: OutlineStyle, samples: Sequence[Sample]) -> dict[str, bytes]:
    classes = [{"title": name, "shape": "any", "color": "#FF0000", "geometry_config": {}} for name in style.names]
    found = {} if style.variant == "no meta.json" else {style.path: style.text.dump({"classes": classes, "tags": []})}
    for sample in samples:
        path = PurePosixPath(sample.name)
        height, width = style.size(sample)
        objects = [_supervisely_object(one) for one in style.objects(sample)]
        if sample.number in style.marked:
            point = {"exterior": [[1, 1]], "interior": []}
            objects.append(
                {"classTitle": style.first_name(sample), "geometryType": "point", "points": point, "tags": []}
            )
        document = {"description": "", "tags": [], "size": {"height": height, "width": width}, "objects": objects}
        name = path.stem if style.variant == "without the suffix" else path.name
        found[f"{path.parent.parent}/ann/{name}.json".removeprefix("./")] = style.text.dump(document)
    return found


def _supervisely_object(one: _Object) -> dict[str, Any]:
    """Whose points are pixels inside."""
    kinds = {"box": "rectangle", "bitmap": "bitmap"}
    found: dict[str, Any] = {"id": 7, "classId": 1, "classTitle": one.name, "tags": [], "labelerLogin": "kim"}
    found["geometryType"] = kinds.get(one.form, "polygon")
    corners = [
        [one.left, one.top],
        [one.right - 1, one.top],
        [one.right - 1, one.bottom - 1],
        [one.left, one.bottom - 1],
    ]
    found["points"] = {"exterior": corners[::2] if one.form == "box" else corners, "interior": []}
    if one.form == "bitmap":
        flags = np.full((one.bottom - one.top, one.right - one.left), 255, np.uint8)
        packed = base64.b64encode(zlib.compress(encode(flags, ".png"))).decode()
        del found["points"]
        found["bitmap"] = {"data": packed, "origin": [one.left, one.top]}
    return found


def _label_studio(style: OutlineStyle, samples: Sequence[Sample]) -> dict[str, bytes]:
    tasks = []
    for sample in samples:
        results = [_label_studio_result(style, sample, one) for one in style.objects(sample)]
        if sample.number in style.marked:
            mark = {"x": 10.0, "y": 10.0, "width": 0.5, "keypointlabels": [style.first_name(sample)]}
            results.append(_result(style, sample, "keypointlabels", mark))
        annotation = {"id": 1, "completed_by": 1, "result": results, "was_cancelled": False, "ground_truth": False}
        annotations = [] if sample.number in style.waiting else [annotation]
        if style.variant == "two people" and annotations:
            annotations.append({**annotation, "id": 2, "completed_by": 2})
        if style.variant == "one canceled" and annotations:
            annotations.insert(0, {**annotation, "id": 2, "result": results[:1], "was_cancelled": True})
        if style.variant == "reviewed" and annotations:
            annotations.insert(0, {**annotation, "id": 2, "result": results[:1]})
            annotations[1] = {**annotation, "ground_truth": True}
        task = {"id": 1 + sample.number, "annotations": annotations, "drafts": [], "predictions": [], "meta": {}}
        if style.variant == "predictions":
            task["predictions"] = [{"id": 3, "result": results[:1], "score": 0.5}]
        tasks.append({**task, "data": {"image": style.spell(sample)}, "total_annotations": len(annotations)})
    return {style.path: style.text.dump(tasks)}


def _result(style: OutlineStyle, sample: Sample, kind: str, value: dict[str, Any]) -> dict[str, Any]:
    height, width = style.size(sample)
    found: dict[str, Any] = {"original_width": width, "original_height": height, "image_rotation": 0, "value": value}
    return {**found, "id": "aB3", "from_name": "label", "to_name": "image", "type": kind, "origin": "manual"}


def _label_studio_result(style: OutlineStyle, sample: Sample, one: _Object) -> dict[str, Any]:
    height, width = style.size(sample)
    right, down = 100 / width, 100 / height
    kinds = {"box": "rectanglelabels", "turned box": "rectanglelabels", "bitmap": "brushlabels"}
    kind = kinds.get(one.form, "polygonlabels")
    value: dict[str, Any] = {"points": [[x * right, y * down] for x, y in one.corners], "closed": True}
    across, along = one.right - one.left, one.bottom - one.top
    if one.form == "box":
        value = {"x": one.left * right, "y": one.top * down, "width": across * right, "height": along * down}
        value["rotation"] = 0
    if one.form == "turned box":  # about its upper left corner, which becomes the upper right one
        value = {"x": one.right * right, "y": one.top * down, "width": along * right, "height": across * down}
        value["rotation"] = 90
    if one.form == "bitmap":
        size = style.size(sample)
        alpha = np.zeros((*size, 4), np.uint8)
        alpha[one.top : one.bottom, one.left : one.right, 3] = 255
        value = {"format": "rle", "rle": pack(alpha.ravel().tolist())}
    return _result(style, sample, kind, value | ({kind: [one.name]} if one.name else {}))


def pack(values: Sequence[int]) -> list[int]:
    """Bytes packed as Label Studio does, in lists of at most 16."""
    bits = f"{len(values):032b}{7:05b}" + "".join(f"{length:04b}" for length in (2, 3, 7, 15))
    for start in range(0, len(values), 16):
        part = values[start : start + 16]
        bits += f"0{3:02b}{len(part) - 1:016b}" + "".join(f"{value:08b}" for value in part)
    bits += "0" * (-len(bits) % 8)
    return [int(bits[start : start + 8], 2) for start in range(0, len(bits), 8)]


WRITERS: Mapping[str, Callable[[OutlineStyle, Sequence[Sample]], dict[str, bytes]]] = {
    "labelme": _labelme,
    "cvat": _cvat,
    "via": _via,
    "via table": _via_table,
    "supervisely": _supervisely,
    "label studio": _label_studio,
}
"""By the name of a program: from samples to files."""
