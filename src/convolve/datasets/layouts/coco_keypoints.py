"""COCO's keypoints: JSON files whose objects have points, such as the joints of persons; each object is an example.

An image may show several persons. Each is cut out by its box, with a margin, and is an image of its own here, called
`photo.jpg#1`, `photo.jpg#2`. Crowds and persons without a labeled point are left out. As such files have boxes and
outlines too, which `coco` reads, these points are read where nothing else is known of the images, or by
`--layout coco-keypoints`. Lin et al. 2014, "Microsoft COCO: Common Objects in Context"; the format:
https://cocodataset.org/#format-data, "Keypoint Detection".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from convolve.datasets.inventory import Inventory, natural, take_inventory
from convolve.datasets.layouts.annotated_images import count_of, find_split, list_names
from convolve.datasets.layouts.annotated_points import AnnotatedPoints, one_object_each, points_dataset
from convolve.datasets.layouts.coco import is_predicted
from convolve.datasets.layouts.coco_objects import id_text
from convolve.datasets.layouts.documents import read_json, without_duplicates
from convolve.datasets.layouts.image_finder import ImageFinder, folders_of_images
from convolve.datasets.layouts.parts import split_word
from convolve.datasets.point_sets import Edge, describe_points
from convolve.datasets.points import UNLABELED, VISIBLE
from convolve.datasets.reading import ReadingOptions
from convolve.errors import DataError
from convolve.untrusted.fields import as_list, as_number, as_size, as_text, as_whole
from convolve.untrusted.images import MAX_PIXELS
from convolve.values import Dataset

NAME = "coco-keypoints"
EXPECTED = "annotations/person_keypoints_*.json in COCO's format; each object is an example"
MARK = re.compile(r"^([^/]+/)?[^/]*keypoints[^/]*\.json$", re.IGNORECASE)
_ANY = re.compile(r"^([^/]+/)?[^/]+\.json$", re.IGNORECASE)
_KEYS = ("images", "annotations", "categories", "keypoints")


@dataclass(frozen=True)
class _Category:
    """What has points: its id, the names of the points, and the lines between them."""

    key: str
    names: tuple[str, ...]
    edges: tuple[Edge, ...]


def recognize(inventory: Inventory) -> Dataset | None:
    """The dataset in a folder with such files, or None; the split is the word in a file's name. Raises `DataError` for
    a damaged file, and where files have other points. Files that convolve itself predicted do not count.
    """
    asked = inventory.options.layout == NAME
    names = sorted(inventory.annotation_files(_ANY if asked else MARK), key=natural)
    read = {name: document for name in names if (document := _document(inventory.root / name))}
    documents = {name: document for name, document in read.items() if not is_predicted(document)}
    if not documents:
        return None
    kept, notes = without_duplicates(inventory.root, list(documents))
    return _dataset(inventory, {name: documents[name] for name in kept}, notes)


def open_file(path: Path, options: ReadingOptions) -> Dataset | None:
    """The dataset of one such file, whose images are next to it or one folder above; None for another file. Raises
    `DataError` as `recognize` does.
    """
    document = _document(path)
    if document is None:
        return None
    for folder in folders_of_images(path):
        inventory = take_inventory(folder, options)
        name = path.relative_to(folder).as_posix()
        listed = [str(image.get("file_name")) for image in document["images"]]
        if ImageFinder(inventory.images).find(listed, name).paths:
            break
    return _dataset(inventory, {name: document}, [])


def _document(path: Path) -> Mapping[str, Any] | None:
    """A file's document, or None where it is none of this kind. Raises `DataError` for a damaged one."""
    document = read_json(path, _KEYS)
    if not isinstance(document, dict) or not document.keys() >= set(_KEYS[:3]):
        return None
    for key in _KEYS[:3]:
        if not isinstance(document[key], list) or not all(isinstance(one, dict) for one in document[key]):
            raise DataError(f"{path} has COCO's keys, but its {key} are no list of objects; export it again.")
    return document if any(one.get("keypoints") for one in document["categories"]) else None


def _dataset(inventory: Inventory, documents: Mapping[str, Mapping[str, Any]], notes: Sequence[str]) -> Dataset:
    root = inventory.root
    finder = ImageFinder(inventory.images)
    found: list[AnnotatedPoints] = []
    missing: list[str] = []
    crowds = 0
    first: _Category | None = None
    for name, document in documents.items():
        category = _category(root / name, document)
        first = first or category
        if category.names != first.names:
            raise DataError(f"{next(iter(documents))} and {name} in {root} have other points; leave one of them.")
        entries, absent, left = _objects(root / name, name, document, category, finder)
        found, missing, crowds = [*found, *entries], [*missing, *absent], crowds + left
    if first is None or not found:
        raise DataError(
            f"{root} holds none of the images that {next(iter(documents))} names, such as {list_names(missing)}."
        )
    said = [f"left out: {len(missing)} missing, such as {list_names(missing)}"] if missing else []
    said += [f"left out: {count_of(crowds, 'crowd')}"] if crowds else []
    reason = f"COCO's {', '.join(Path(name).name for name in documents)}"
    entries = one_object_each(inventory, found)
    dataset = points_dataset(inventory, NAME, reason, entries, describe_points(first.names, first.edges))
    return replace(dataset, notes=(*notes, *said, *dataset.notes), sources=tuple(documents))


def _category(path: Path, document: Mapping[str, Any]) -> _Category:
    """The one category with points. Raises `DataError` where there are several, or it is damaged."""
    pointed = [one for one in document["categories"] if one.get("keypoints")]
    if len(pointed) > 1:
        raise DataError(f"{path} has {len(pointed)} categories with keypoints; keep one of them.")
    try:
        names = tuple(as_text(name).strip() for name in as_list(pointed[0]["keypoints"]))
        lines = [as_list(line) for line in as_list(pointed[0].get("skeleton") or [])]
        edges = tuple((as_whole(one, 1, len(names)) - 1, as_whole(other, 1, len(names)) - 1) for one, other in lines)
        return _Category(id_text(pointed[0].get("id")), names, edges)
    except ValueError as error:
        raise DataError(f"{path} has damaged keypoints in its categories ({error}); export it again.") from error


def _objects(
    path: Path, name: str, document: Mapping[str, Any], category: _Category, finder: ImageFinder
) -> tuple[list[AnnotatedPoints], tuple[str, ...], int]:
    """The objects of a document whose images are here, the images that are missing, and how many crowds are left out.
    Raises `DataError`.
    """
    words = (*Path(name).stem.split("_"), Path(name).parent.name)
    split = next(filter(None, map(split_word, words)), None)
    images = {id_text(image.get("id")): image for image in document["images"]}
    found = finder.find([str(image.get("file_name")) for image in images.values()], name)
    entries: list[AnnotatedPoints] = []
    crowds = 0
    for one in document["annotations"]:
        image = images.get(id_text(one.get("image_id")))
        if id_text(one.get("category_id")) != category.key or image is None:
            continue
        file = found.paths.get(str(image.get("file_name")))
        if one.get("iscrowd") in (1, True, "1"):
            crowds += 1
        elif file:
            bare = AnnotatedPoints(file, name, (), (), _size(image), split or find_split(file))
            try:
                entries.append(_object(one, bare, len(category.names)))
            except ValueError as error:
                raise DataError(f"{path} has an object of {file} with damaged points ({error}); correct it.") from error
    return entries, found.missing, crowds


def _object(one: Mapping[str, Any], bare: AnnotatedPoints, count: int) -> AnnotatedPoints:
    """An object with its points. Raises `ValueError`."""
    values = as_list(one.get("keypoints") or [0] * (3 * count))
    if len(values) != 3 * count:
        raise ValueError(f"{len(values)} numbers for {count} points")
    points = tuple((as_number(x), as_number(y)) for x, y in zip(values[::3], values[1::3], strict=True))
    visibility = tuple(as_whole(value, UNLABELED, VISIBLE) for value in values[2::3])
    left, top, width, height = map(as_number, as_list(one.get("bbox")))
    area = as_number(one["area"], MAX_PIXELS) if one.get("area") else None
    return replace(bare, points=points, visibility=visibility, box=(left, top, left + width, top + height), area=area)


def _size(image: Mapping[str, Any]) -> tuple[int, int] | None:
    try:
        return as_size(image.get("height"), image.get("width"))
    except ValueError:
        return None
