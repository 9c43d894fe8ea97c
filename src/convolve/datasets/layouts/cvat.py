"""CVAT's annotations of images: an XML file with polygons, boxes, ellipses and masks.

The format, "CVAT for images 1.1": https://docs.cvat.ai/docs/other/xml_format. Objects of a higher `z_order` lie on top.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import final
from xml.etree.ElementTree import Element

import numpy as np

from convolve.datasets.inventory import Inventory
from convolve.datasets.layouts.annotated_images import (
    BOX,
    OUTLINE,
    AnnotatedImage,
    NamedObject,
    class_name,
    find_split,
    list_names,
)
from convolve.datasets.layouts.documents import read_xml, without_duplicates
from convolve.datasets.layouts.image_finder import ImageFinder
from convolve.datasets.layouts.outlines import outlined_dataset, tagged_dataset
from convolve.datasets.layouts.parts import split_word
from convolve.datasets.layouts.shapes import Edges, Ellipse, Polygons, flags_bounds, paste, rectangle
from convolve.errors import DataError
from convolve.untrusted.fields import as_number, as_size, as_whole
from convolve.untrusted.images import MAX_PIXELS
from convolve.values import Dataset, Flags, Pixels

NAME = "cvat"
EXPECTED = "CVAT's annotations.xml for images"
MARK = re.compile(r"\.xml$", re.IGNORECASE)
_KINDS = {"points": "points", "polyline": "a polyline", "cuboid": "a cuboid", "skeleton": "a skeleton"}


@final
@dataclass(frozen=True)
class RowRle:
    """Lengths of runs along the rows of a box (h, w) on pixel ``origin`` (x, y), first of pixels outside of the
    object, then of those inside, in turn.
    """

    counts: tuple[int, ...]
    origin: tuple[int, int]
    size: tuple[int, int]

    def area(self) -> float:
        """The pixels of the object."""
        return float(sum(self.counts[1::2]))

    def steps(self, size: tuple[int, int]) -> int:  # noqa: ARG002 - its own pixels are all decoded
        """The pixels of the box."""
        return self.size[0] * self.size[1]

    def bounds(self, size: tuple[int, int]) -> Edges | None:  # noqa: ARG002 - wherever the image ends
        """Around the pixels of the object."""
        return flags_bounds(self._flags(), self.origin)

    def paint(self, mask: Pixels, value: int) -> None:
        """The pixels of the object that lie in the image."""
        paste(mask, self._flags(), self.origin, value)

    def _flags(self) -> Flags:
        if sum(self.counts) != self.size[0] * self.size[1]:
            raise DataError(f"its runs of {sum(self.counts)} pixels do not fill {self.size[0]}x{self.size[1]}")
        return np.repeat(np.arange(len(self.counts)) % 2 == 1, self.counts).reshape(self.size)


def recognize(inventory: Inventory) -> Dataset | None:
    """The dataset in a folder with such files, or None. Where nothing is outlined, the images' tags are the labels.

    Raises `DataError` for a damaged file, for one of a video, and where files have different labels.
    """
    roots = {}
    for name in inventory.annotation_files(MARK):
        root = read_xml(inventory.root / name, ("<annotations", "<meta"))
        if root is not None and root.tag == "annotations":
            if root.find("track") is not None and root.find("image") is None:
                raise DataError(f"{inventory.root / name} annotates a video; export it as CVAT for images.")
            roots[name] = root
    if not roots:
        return None
    names, duplicates = without_duplicates(inventory.root, list(roots))
    finder = ImageFinder(inventory.images)
    entries: list[AnnotatedImage] = []
    missing: list[str] = []
    for name in names:
        root = roots[name]
        found = finder.find([image.get("name", "") for image in root.iter("image")], name)
        missing += found.missing
        images = [image for image in root.iter("image") if image.get("name", "") in found.paths]
        entries += [_entry(inventory, name, found.paths[image.get("name", "")], image) for image in images]
    if not entries:
        named = list_names([name or "none" for name in missing]) or "none"
        raise DataError(f"{inventory.root} holds none of the images that {next(iter(roots))} names, such as {named}.")
    dataset = _dataset(inventory, {name: roots[name] for name in names}, entries, missing)
    return replace(dataset, notes=(*duplicates, *dataset.notes))


def _dataset(
    inventory: Inventory, roots: dict[str, Element], entries: list[AnnotatedImage], missing: list[str]
) -> Dataset:
    listed = dict.fromkeys(name for root in roots.values() for name in _labels(root))
    reason = f"CVAT's {', '.join(roots)}"
    if any(entry.objects for entry in entries):
        tags = {tag for entry in entries for tag in entry.tags} - {one.name for each in entries for one in each.objects}
        names = [*listed, *(one.name for entry in entries for one in entry.objects)]
        dataset = outlined_dataset(inventory, NAME, reason, entries, [name for name in names if name not in tags])
    else:
        tags = {tag for entry in entries for tag in entry.tags}
        if not tags:
            raise DataError(f"{next(iter(roots))} in {inventory.root} has no object in any image; annotate some.")
        dataset = tagged_dataset(inventory, NAME, reason, entries, [*listed, *sorted(tags)])
    absent = [f"left out: {len(missing)} missing, such as {list_names(missing)}"] if missing else []
    return replace(dataset, notes=(*absent, *dataset.notes), sources=tuple(roots))


def _labels(root: Element) -> Iterator[str]:
    """The labels of a task or project, without the points of skeletons."""
    for label in root.iterfind("meta//labels/label"):
        if label.find("parent") is None and label.findtext("name"):
            yield class_name(label.findtext("name"))


def _entry(inventory: Inventory, file: str, path: str, image: Element) -> AnnotatedImage:
    try:
        objects = tuple(one for child in image if (one := _object(child)))
        size = as_size(image.attrib["height"], image.attrib["width"])
        tags = tuple(dict.fromkeys(class_name(tag.attrib["label"]) for tag in image.iter("tag")))
    except (KeyError, ValueError) as error:
        raise DataError(
            f"{inventory.root / file} has an object of {path} without label, or with odd numbers; export it again."
        ) from error
    split = split_word(image.get("subset", "")) or find_split(path) or split_word(PurePosixPath(file).stem)
    return AnnotatedImage(path, file, objects, size, split, tags)


def _object(one: Element) -> NamedObject | None:
    if one.tag in ("tag", "attribute"):
        return None
    name, layer = class_name(one.attrib["label"]), as_whole(one.get("z_order", 0))
    angle = as_number(one.get("rotation", 0))

    def numbers(*keys: str) -> list[float]:
        return [as_number(one.attrib[key]) for key in keys]

    if one.tag == "polygon":
        points = [
            (as_number(x), as_number(y)) for x, y in (point.split(",") for point in one.attrib["points"].split(";"))
        ]
        return NamedObject(name, Polygons([[value for point in points for value in point]]), OUTLINE, layer)
    if one.tag == "box":
        left, top, right, bottom = numbers("xtl", "ytl", "xbr", "ybr")
        center = ((left + right) / 2, (top + bottom) / 2)
        return NamedObject(name, rectangle((left, top, right, bottom), center, angle), BOX, layer)
    if one.tag == "ellipse":
        x, y, across, down = numbers("cx", "cy", "rx", "ry")
        return NamedObject(name, Ellipse((x, y), (across, down), angle), OUTLINE, layer)
    if one.tag == "mask":
        left, top = (int(number) for number in numbers("left", "top"))
        counts = tuple(as_whole(count, 0, MAX_PIXELS) for count in one.attrib["rle"].split(","))
        size = as_size(one.attrib["height"], one.attrib["width"])
        return NamedObject(name, RowRle(counts, (left, top), size), OUTLINE, layer)
    return NamedObject(name, None, _KINDS.get(one.tag, f"a {one.tag}"), layer)
