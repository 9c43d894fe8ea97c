"""Small trees of images with boxes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image

Box: TypeAlias = tuple[str, float, float, float, float]
"""A class, and left, top, right, bottom."""
WIDTH, HEIGHT = 40, 20


def make_pictures(root: Path, *names: str, orientation: int = 1, size: tuple[int, int] = (WIDTH, HEIGHT)) -> None:
    """Black images of a ``size`` (width, height) as they are stored, with an EXIF orientation unless it is 1."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.new("RGB", size).save(root / name, exif=exif if orientation > 1 else Image.Exif())


def put_text(path: Path, text: str) -> None:
    """A text file in UTF-8."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def write_voc(
    path: Path,
    boxes: Sequence[Box],
    size: tuple[int, int] = (WIDTH, HEIGHT),
    filename: str = "",
    difficult: Sequence[int] = (),
) -> None:
    """An annotation file of Pascal VOC, whose pixels count from 1."""
    objects = "".join(
        f"<object><name>{name}</name><pose>Left</pose><truncated>0</truncated><difficult>{int(index in difficult)}"
        f"</difficult><bndbox><xmin>{left + 1:g}</xmin><ymin>{top + 1:g}</ymin><xmax>{right:g}</xmax><ymax>{bottom:g}"
        "</ymax></bndbox></object>"
        for index, (name, left, top, right, bottom) in enumerate(boxes)
    )
    width, height = size
    name = filename or f"{path.stem}.jpg"
    put_text(
        path,
        f"<annotation><folder>x</folder><filename>{name}</filename><size><width>{width}</width><height>{height}</height>"
        f"<depth>3</depth></size><segmented>0</segmented>{objects}</annotation>",
    )


def yolo_lines(numbers: Sequence[int], boxes: Sequence[Box], size: tuple[int, int] = (WIDTH, HEIGHT)) -> str:
    """Lines of YOLO for the boxes, whose classes have those numbers."""
    width, height = size
    lines = []
    for number, (_, left, top, right, bottom) in zip(numbers, boxes, strict=True):
        center = np.array([(left + right) / width, (top + bottom) / height]) / 2
        lines.append(f"{number} {center[0]} {center[1]} {(right - left) / width} {(bottom - top) / height}\n")
    return "".join(lines)
