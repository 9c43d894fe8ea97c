"""Boxes of images as programs write them: Pascal VOC, YOLO's texts, COCO without outlines, and tables."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, TypeAlias
from xml.sax.saxutils import escape

from tests.datasets.mutations.coco_file import SPELLINGS
from tests.datasets.mutations.outline_files import PLAIN, TextStyle
from tests.datasets.mutations.pixels import rectangles, shape
from tests.datasets.mutations.sample import Sample

Named: TypeAlias = tuple[str, float, float, float, float]
"""A class, and left, top, right, bottom."""
ODD: Mapping[str, tuple[float, float, float, float]] = {
    "no area": (2, 2, 2, 5),
    "outside": (20, 1, 26, 4),
    "inverted": (6, 2, 3, 5),
}
"""The edges of a box that is none, by a word for it."""


@dataclass
class BoxStyle:
    """What a ``program`` (voc, yolo, coco, table) writes to ``path``: a file, or the folder of VOC's files (nothing for
    those next to the images), or YOLO's list of classes.

    ``sizes`` are right, absent or zero; an ``odd`` box of that kind is in the first image besides. Images in
    ``unnamed`` have an object without a class. The file of the last image is ``cut``, where there are several; and
    ``form`` says in what way the program writes.
    """

    program: str
    path: str
    split: str | None = None
    form: str = ""
    spelling: str = "bare"
    sizes: str = "right"
    odd: str = ""
    names: tuple[str, ...] = ("disc", "wall")
    unnamed: set[int] = field(default_factory=set)
    cut: bool = False
    text: TextStyle = PLAIN

    def render(self, samples: Sequence[Sample]) -> dict[str, bytes]:
        """The files by their paths."""
        taken = [sample for sample in samples if sample.annotated and self.split in (None, sample.split)]
        render = {"voc": self._voc, "yolo": self._yolo, "coco": self._coco, "table": self._table}[self.program]
        found = render(taken)
        if self.cut:
            last = sorted(found)[-1]
            start = found[last].rstrip().rfind(b"\n") + 1
            rest = len(found[last][start:]) // 3 if self.program == "table" else len(found[last]) // 3
            found[last] = found[last][:-rest] if self.program != "table" else found[last][: start + rest]
        return found

    def objects(self, sample: Sample, first: bool) -> list[Named]:
        """Those of an image, with one that is none where it is the first."""
        found: list[Named] = [
            ("" if sample.number in self.unnamed else self.names[index - 1], left, top, right, bottom)
            for index, top, left, bottom, right in (rectangles(sample.number, 3) if sample.classes else ())
        ]
        return [*found, (self.names[0], *ODD[self.odd])] if self.odd and first else found

    def _pairs(self, samples: Sequence[Sample]) -> list[tuple[Sample, list[Named]]]:
        return [(sample, self.objects(sample, position == 0)) for position, sample in enumerate(samples)]

    def _size(self, sample: Sample) -> tuple[int, int] | None:
        return {"right": shape(sample.number), "zero": (0, 0)}.get(self.sizes)

    def _voc(self, samples: Sequence[Sample]) -> dict[str, bytes]:
        found = {}
        for sample, boxes in self._pairs(samples):
            objects = "".join(
                f"<object><name>{escape(name)}</name><pose>Left</pose><difficult>0</difficult><bndbox><xmin>{left + 1}"
                f"</xmin><ymin>{top + 1}</ymin><xmax>{right}</xmax><ymax>{bottom}</ymax></bndbox></object>\n"
                for name, left, top, right, bottom in boxes
            )
            size = self._size(sample)
            told = f"<size><width>{size[1]}</width><height>{size[0]}</height></size>" if size else ""
            path = PurePosixPath(sample.name)
            name = {"no filename": "", "stem": path.stem}.get(self.form, SPELLINGS[self.spelling](sample.name))
            head = '<annotation verified="yes">' if self.form == "labelImg" else "<annotation>"
            text = f"{head}\n<filename>{escape(name)}</filename>{told}\n{objects}</annotation>\n"
            file = f"{self.path}/{path.stem}.xml" if self.path else str(path.with_suffix(".xml"))
            found[file] = self.text.encode(text)
        return found

    def _yolo(self, samples: Sequence[Sample]) -> dict[str, bytes]:
        found = {}
        for sample, boxes in self._pairs(samples):
            height, width = shape(sample.number)
            lines = []
            for name, *edges in boxes:
                left, right, top, bottom = (edges[0] / width, edges[2] / width, edges[1] / height, edges[3] / height)
                center = f"{(left + right) / 2} {(top + bottom) / 2} {right - left} {bottom - top}"
                around = f"{left} {top} {right} {top} {right} {bottom} {left} {bottom}"
                lines.append(f"{self.names.index(name)} {around if self.form == 'polygons' else center}\n")
            if lines or self.form != "no empty files":
                parts = [*PurePosixPath(sample.name).with_suffix(".txt").parts]
                index = max((i for i, part in enumerate(parts) if part == "images"), default=-1)
                parts[index : index + 1] = ["labels"] if index >= 0 else []
                found["/".join(parts) if index >= 0 else sample.name.rpartition(".")[0] + ".txt"] = self.text.encode(
                    "".join(lines)
                )
        if self.path:
            found[self.path] = self._classes()
        return found

    def _classes(self) -> bytes:
        if self.path.endswith(".yaml"):
            listed = json.dumps([*self.names], ensure_ascii=False)
            if self.form == "mapping":
                listed = "".join(f"\n  {index}: {json.dumps(name)}" for index, name in enumerate(self.names))
            return self.text.encode(f"path: .\ntrain: images/train\nval: images/val\nnames: {listed}\n")
        return self.text.encode("".join(f"{name}\n" for name in self.names))

    def _coco(self, samples: Sequence[Sample]) -> dict[str, bytes]:
        images, annotations = [], list[dict[str, Any]]()
        first = {"from zero": 0, "gaps": 7}.get(self.form, 1)
        for key, (sample, boxes) in enumerate(self._pairs(samples)):
            size = self._size(sample)
            told = {"height": size[0], "width": size[1]} if size else {}
            image = str(key) if self.form == "text ids" else key
            images.append({"id": image, "file_name": SPELLINGS[self.spelling](sample.name), **told})
            for name, left, top, right, bottom in boxes:
                edges = {"bbox": [left, top, right - left, bottom - top], "iscrowd": 0, "segmentation": []}
                category = first + self.names.index(name) * (30 if self.form == "gaps" else 1)
                annotations.append({"id": len(annotations) + 1, "image_id": image, "category_id": category, **edges})
        step = 30 if self.form == "gaps" else 1
        categories: list[dict[str, Any]] = [
            {"id": first + index * step, "name": name, "supercategory": "things"}
            for index, name in enumerate(self.names)
        ]
        if self.form == "super-category":
            categories.insert(0, {"id": 0, "name": "things", "supercategory": "none"})
        document = {"images": images, "annotations": annotations, "categories": categories}
        return {self.path: self.text.dump(document)}

    def _table(self, samples: Sequence[Sample]) -> dict[str, bytes]:
        header = {
            "bare": [],
            "retinanet": ["path,x1,y1,x2,y2,label"],
            "open images": ["ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsGroupOf"],
        }.get(self.form, ["filename,width,height,class,xmin,ymin,xmax,ymax"])
        lines = list(header)
        for sample, boxes in self._pairs(samples):
            called, (height, width) = SPELLINGS[self.spelling](sample.name), shape(sample.number)
            told = self._size(sample) or ("", "")
            for name, left, top, right, bottom in boxes:
                if self.form == "open images":
                    sides = f"{left / width},{right / width},{top / height},{bottom / height}"
                    lines.append(f"{PurePosixPath(sample.name).stem},x,{name},1,{sides},0")
                elif header == lines[:1] and self.form not in ("bare", "retinanet"):
                    lines.append(f"{called},{told[1]},{told[0]},{name},{left},{top},{right},{bottom}")
                else:
                    lines.append(f"{called},{left},{top},{right},{bottom},{name}")
        return {self.path: self.text.encode("".join(f"{line}\n" for line in lines))}
