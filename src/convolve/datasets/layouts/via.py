"""The VGG Image Annotator's regions (VIA 1 and 2): a JSON or CSV file with polygons, rectangles, circles and ellipses.

Dutta and Zisserman 2019, "The VIA Annotation Software for Images, Audio and Video"; the format is what `via.js` writes
in `pack_via_metadata` (https://www.robots.ox.ac.uk/~vgg/software/via). Angles are radians, as the canvas takes them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
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
from convolve.datasets.layouts.documents import read_json, without_duplicates
from convolve.datasets.layouts.image_finder import ImageFinder
from convolve.datasets.layouts.outlines import outlined_dataset
from convolve.datasets.layouts.parts import split_word
from convolve.datasets.layouts.shapes import Ellipse, Polygons, Shape, rectangle
from convolve.errors import DataError
from convolve.untrusted.documents import cut_rows, parse_json
from convolve.untrusted.fields import as_list, as_number, as_text
from convolve.untrusted.files import read_text
from convolve.values import Dataset

NAME = "via"
EXPECTED = "the VGG Image Annotator's JSON or CSV"
MARK = re.compile(r"\.(json|csv)$", re.IGNORECASE)
_HEADER = ("filename", "region_shape_attributes", "region_attributes")
_ONLY = "object"
"""The class of all regions where nobody gave them one."""


@dataclass(frozen=True)
class _Region:
    """A region of an image: its shape's and its own attributes."""

    shape: Mapping[str, Any]
    attributes: Mapping[str, Any]


def recognize(inventory: Inventory) -> Dataset | None:
    """The dataset in a folder with such files, or None. The class is the regions' only attribute, or the one that
    `--label-column` names; without any, all regions are of the class `object`.

    Raises `DataError` for a damaged file and for regions without that attribute.
    """
    files = {name: images for name in inventory.annotation_files(MARK) if (images := _read(inventory, name))}
    if not files:
        return None
    names, duplicates = without_duplicates(inventory.root, list(files))
    files = {name: files[name] for name in names}
    finder = ImageFinder(inventory.images)
    attribute = _attribute(inventory, files)
    entries: list[AnnotatedImage] = []
    missing: list[str] = []
    for file, images in files.items():
        found = finder.find(images, file)
        missing += found.missing
        split = split_word(Path(file).stem) or find_split(file)
        for name, path in found.paths.items():
            objects = tuple(_object(inventory, file, name, region, attribute) for region in images[name])
            entries.append(AnnotatedImage(path, file, objects, None, split or find_split(path)))
    if not entries:
        raise DataError(
            f"{inventory.root} holds none of the images that {next(iter(files))} names, such as {missing[0]}."
        )
    classes = sorted({one.name for entry in entries for one in entry.objects}, key=natural)
    told = (
        f"the class is '{attribute}'" if attribute else f"its regions have no attribute and are of one class, {_ONLY}"
    )
    dataset = outlined_dataset(inventory, NAME, f"VIA's {', '.join(files)}; {told}", entries, classes)
    absent = [f"left out: {len(missing)} missing, such as {list_names(missing)}"] if missing else []
    bare = [entry.image for entry in entries if not entry.objects]
    absent += [f"no region, so all background: {count_of(len(bare), 'image')}, {list_names(bare)}"] if bare else []
    return replace(dataset, notes=(*duplicates, *absent, *dataset.notes), sources=tuple(files))


def _read(inventory: Inventory, name: str) -> dict[str, list[_Region]]:
    """The regions by image; nothing where the file is another."""
    path = inventory.root / name
    if name.casefold().endswith(".csv"):
        return _read_table(path)
    document = read_json(path, ("filename", "regions"))
    if isinstance(document, dict):
        document = document.get("_via_img_metadata", document)
    if not isinstance(document, dict):
        return {}
    found: dict[str, list[_Region]] = {}
    for one in document.values():
        if isinstance(one, dict) and "filename" in one and isinstance(one.get("regions"), list | dict):
            if not isinstance(one["filename"], str):
                raise DataError(f"{path} has an image whose filename is no text; export it again.")
            regions = one["regions"].values() if isinstance(one["regions"], dict) else one["regions"]
            found.setdefault(one["filename"], []).extend(_regions(path, regions))
    return found


def _read_table(path: Path) -> dict[str, list[_Region]]:
    """The regions by image in a table with VIA's header, whose cells hold JSON; nothing where it is another."""
    try:
        rows = cut_rows(read_text(path).splitlines()) or [[]]
    except (OSError, ValueError):
        return {}
    header = [cell.strip().lstrip("#") for cell in rows[0]]
    if not set(_HEADER) <= set(header):
        return {}
    found: dict[str, list[_Region]] = {}
    for row in filter(None, rows[1:]):
        cells = dict(zip(header, row, strict=False))
        try:
            shape, attributes = (parse_json(cells[key] or "{}") for key in _HEADER[1:])
        except (KeyError, ValueError) as error:
            raise DataError(f"{path} has a line that cannot be read: {','.join(row)[:80]}; export it again.") from error
        regions = [{"shape_attributes": shape, "region_attributes": attributes}] if shape else []
        found.setdefault(cells["filename"], []).extend(_regions(path, regions))
    return found


def _regions(path: Path, regions: Any) -> Iterator[_Region]:
    for region in regions:
        if not isinstance(region, dict) or not isinstance(region.get("shape_attributes"), dict):
            raise DataError(f"{path} has a region without shape_attributes; export it again.")
        attributes = region.get("region_attributes")
        yield _Region(region["shape_attributes"], attributes if isinstance(attributes, dict) else {})


def _attribute(inventory: Inventory, files: Mapping[str, Mapping[str, list[_Region]]]) -> str | None:
    """The attribute that is the class."""
    regions = [region for images in files.values() for each in images.values() for region in each]
    names = list(dict.fromkeys(name for region in regions for name in region.attributes))
    chosen = inventory.options.label_column
    if chosen is not None and chosen not in names:
        raise DataError(f"{inventory.root} has regions without an attribute '{chosen}'; they have {list_names(names)}.")
    used = [name for name in names if any(_value(region.attributes.get(name)) for region in regions)]
    if chosen is None and len(used) > 1:
        raise DataError(
            f"{', '.join(files)} in {inventory.root} gives regions several attributes, {list_names(used)}; say which "
            f"is the class, such as --label-column {used[0]}."
        )
    return chosen or next(iter(used), None)


def _value(value: Any) -> str:
    """An attribute's value as text: of a list of boxes to tick, the one that is ticked."""
    if isinstance(value, dict):
        ticked = [name for name, flag in value.items() if flag]
        return ticked[0] if len(ticked) == 1 else ""
    try:
        return as_text(value).strip()
    except ValueError:
        return ""


def _object(inventory: Inventory, file: str, image: str, region: _Region, attribute: str | None) -> NamedObject:
    name = class_name(_value(region.attributes.get(attribute))) if attribute else _ONLY
    if not name:
        raise DataError(f"{inventory.root / file} has a region of {image} without one '{attribute}'; complete it.")
    shape = region.shape
    kind = shape["name"] if isinstance(shape.get("name"), str) else "shape without a name"

    def numbers(*keys: str) -> list[float]:
        return [as_number(shape[key]) for key in keys]

    area: Shape
    try:
        if kind == "polygon":
            points = zip(as_list(shape["all_points_x"]), as_list(shape["all_points_y"]), strict=True)
            area = Polygons([[as_number(value) for point in points for value in point]])
        elif kind == "rect":
            left, top, width, height = numbers("x", "y", "width", "height")
            return NamedObject(name, rectangle((left, top, left + width, top + height)), BOX)
        elif kind == "circle":
            x, y, radius = numbers("cx", "cy", "r")
            area = Ellipse((x, y), (radius, radius))
        elif kind == "ellipse":
            x, y, across, down = numbers("cx", "cy", "rx", "ry")
            area = Ellipse((x, y), (across, down), math.degrees(as_number(shape.get("theta", 0))))
        else:
            return NamedObject(name, None, f"a {kind}")
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{inventory.root / file} has a {kind} of {image} with odd numbers; export it again."
        ) from error
    return NamedObject(name, area, OUTLINE)
