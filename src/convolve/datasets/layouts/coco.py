"""COCO's annotations: JSON files whose objects have boxes, and are perhaps outlined by polygons or run-length encoded.

They give boxes, masks where there are outlines, and labels: which categories occur in an image. Lin et al. 2014,
"Microsoft COCO: Common Objects in Context"; the format: https://cocodataset.org/#format-data.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from convolve.datasets.inventory import Inventory, natural, take_inventory
from convolve.datasets.layouts.annotated_images import (
    AnnotatedImage,
    class_name,
    count_of,
    find_split,
    list_names,
)
from convolve.datasets.layouts.coco_objects import id_text, read_objects
from convolve.datasets.layouts.documents import mentioned, without_duplicates
from convolve.datasets.layouts.image_finder import ImageFinder, folders_of_images
from convolve.datasets.layouts.outlines import NoOutlinesError, outlined_dataset
from convolve.datasets.layouts.parts import NoGroundTruthError, split_word
from convolve.datasets.layouts.shapes import is_outline
from convolve.datasets.reading import ReadingOptions
from convolve.errors import DataError
from convolve.untrusted.documents import parse_json
from convolve.untrusted.fields import as_size
from convolve.untrusted.files import read_file
from convolve.values import Dataset

NAME = "coco"
EXPECTED = "annotations/*.json in COCO's format, with polygons, RLE or boxes"
MARK = re.compile(r"^([^/]+/)?[^/]+\.json$", re.IGNORECASE)
PREDICTED = "predicted by convolve"
"""How the description in a file begins that `convolve predict` wrote: ground truth only where a person gives it."""
_KEYS = ("images", "annotations", "categories")


@dataclass(frozen=True)
class _Document:
    """A file below the root that has COCO's three lists."""

    name: str
    images: Sequence[Mapping[str, Any]]
    annotations: Sequence[Mapping[str, Any]]
    categories: Sequence[Mapping[str, Any]]
    predicted: bool

    @cached_property
    def outlined(self) -> bool:
        return any(is_outline(one.get("segmentation")) for one in self.annotations)

    @cached_property
    def boxed(self) -> bool:
        return any(one.get("bbox") for one in self.annotations)

    @property
    def is_ground_truth(self) -> bool:
        return (self.outlined or self.boxed) and not self.predicted


@dataclass(frozen=True)
class _Images:
    """Those of a document: entries whose images are here, a name of each that is ``missing``, images that are ``left``
    out although they are here, and what to say.
    """

    entries: list[AnnotatedImage]
    missing: list[str]
    left: list[str]
    notes: list[str]


def recognize(inventory: Inventory) -> Dataset | None:
    """The dataset in a folder with such files, or None. Files called `instances…` go before others; the split is the
    word in the file's name or its folder's. Files that convolve itself predicted do not count.

    Raises `DataError` for a damaged file, files that disagree on classes, or whatever else hinders reading them.
    """
    names = sorted(inventory.annotation_files(MARK), key=_rank)
    instances = [name for name in names if Path(name).name.startswith("instances")]
    others = [name for name in names if name not in instances]
    documents: list[_Document] = []
    unreadable: list[DataError] = []
    for group in (instances, others):
        if not any(document.is_ground_truth for document in documents):
            documents += _read_all(inventory, group, unreadable)
    taken = [document for document in documents if document.is_ground_truth]
    taken = [document for document in taken if document.outlined] or taken
    if taken:
        names = [document.name for document in taken]
        left = [f"{one.name} is not read: {_obstacle(one)}" for one in documents if one.name not in names]
        names, duplicates = without_duplicates(inventory.root, names)
        taken = [document for document in taken if document.name in names]
        return _dataset(inventory, taken, [*duplicates, *left])
    if documents:
        kind = NoGroundTruthError if all(document.predicted for document in documents) else NoOutlinesError
        raise kind(f"{inventory.root / documents[0].name} is not read: {_obstacle(documents[0])}.")
    if unreadable:
        raise unreadable[0]
    return None


def open_file(path: Path, options: ReadingOptions) -> Dataset | None:
    """The dataset of one such file, whoever wrote it; None for other JSON. The images are next to it or one folder
    above. Raises `DataError` as `recognize` does.
    """
    document = _read(path.parent, path.name)
    if document is None:
        return None
    if not (document.outlined or document.boxed):
        raise DataError(f"{path} is not read: {_obstacle(replace(document, predicted=False))}.")
    for folder in folders_of_images(path):
        inventory = take_inventory(folder, options)
        named = replace(document, name=path.relative_to(folder).as_posix())
        if ImageFinder(inventory.images).find(_names(named), named.name).paths:
            break
    return _dataset(inventory, [named], [])


def _rank(file: str) -> tuple[object, ...]:
    """Files at the top first, then those in `annotations`, then the others; by name."""
    folder, _, name = file.rpartition("/")
    return bool(folder), folder != "annotations", natural(name), folder


def _read_all(inventory: Inventory, names: Sequence[str], unreadable: list[DataError]) -> list[_Document]:
    """The documents among the files. What is no JSON and mentions none of COCO's keys goes to the ``unreadable``,
    unless it is called as the image next to it.
    """
    stems = {image.rpartition(".")[0] for image in inventory.images}
    found = []
    for name in names:
        try:
            document = _read(inventory.root, name)
        except _NoJSONError as error:
            if error.has_keys:
                raise DataError(str(error)) from error
            unreadable += [] if name.rpartition(".")[0] in stems else [error]
        else:
            found += [document] if document else []
    return found


class _NoJSONError(NoGroundTruthError):
    """A file is not JSON; whether it mentions one of COCO's keys."""

    def __init__(self, message: str, *, has_keys: bool = False) -> None:
        super().__init__(message)
        self.has_keys = has_keys


def _read(root: Path, name: str) -> _Document | None:
    """A file's document, or None where it is none of this kind; one without the keys is not parsed."""
    path = root / name
    try:
        content = read_file(path)
    except OSError as error:
        raise _NoJSONError(f"{path} cannot be read ({error.strerror}); check its permissions.") from error
    keys = mentioned(content, _KEYS)
    parsed = len(keys) == len(_KEYS) or not content.rstrip().endswith((b"}", b"]"))
    try:
        document = parse_json(content) if parsed else None
    except UnicodeDecodeError as error:
        raise _NoJSONError(f"{path} is not in UTF-8, as JSON is; save it so.", has_keys=bool(keys)) from error
    except ValueError as error:
        raise _NoJSONError(
            f"{path} cannot be read as JSON ({error}); copy or save it again.", has_keys=bool(keys)
        ) from error
    if not isinstance(document, dict) or not document.keys() >= set(_KEYS):
        return None
    for key in _KEYS:
        if not isinstance(document[key], list) or not all(isinstance(one, dict) for one in document[key]):
            raise DataError(f"{path} has COCO's keys, but its {key} are no list of objects; export it again.")
    predicted = is_predicted(document)
    return _Document(name, document["images"], document["annotations"], document["categories"], predicted)


def is_predicted(document: Mapping[str, Any]) -> bool:
    """Whether convolve itself predicted what a document says."""
    info = document.get("info")
    return isinstance(info, dict) and str(info.get("description")).startswith(PREDICTED)


def _obstacle(document: _Document) -> str:
    """Why a document is not taken, the end of a sentence."""
    if document.predicted:
        return "convolve predicted it; give the file itself where it is meant as ground truth"
    if not document.annotations:
        return "it has no annotations; annotate its images, or list those without objects in a file that has some"
    images = {id_text(image.get("id")): _name(image) for image in document.images}
    named = dict.fromkeys(images.get(id_text(one.get("image_id")), "no image") for one in document.annotations)
    number, has = count_of(len(document.annotations), "object"), "only boxes, no" if document.boxed else "no boxes or"
    return f"of its {number} it has {has} outlines, such as in {list_names(list(named))}; export polygons or RLE"


def _dataset(inventory: Inventory, documents: Sequence[_Document], notes: Sequence[str]) -> Dataset:
    root = inventory.root
    tables = [_categories(root, document) for document in documents]
    names, more = _classes(documents, tables)
    finder = ImageFinder(inventory.images)
    read = [_read_images(root, document, finder, table) for document, table in zip(documents, tables, strict=True)]
    entries = [entry for one in read for entry in one.entries]
    missing = [name for one in read for name in one.missing]
    if not entries:
        raise DataError(
            f"{root} holds none of the images that {documents[0].name} names, such as {list_names(missing) or 'none'}."
        )
    reason = f"COCO's {', '.join(Path(document.name).name for document in documents)}"
    dataset = outlined_dataset(inventory, NAME, reason, entries, names)
    absent = [f"left out: {len(missing)} missing, such as {list_names(missing)}"] if missing else []
    said = [*notes, *more, *(note for one in read for note in one.notes), *absent]
    sources = tuple(document.name for document in documents)
    left = (*dataset.left_out, *(path for one in read for path in one.left))
    return replace(dataset, notes=(*said, *dataset.notes), sources=sources, left_out=left)


def _classes(documents: Sequence[_Document], tables: Sequence[Mapping[str, str]]) -> tuple[list[str], list[str]]:
    """The categories in the order of their ids, without those that only head others; and what to say of them."""
    if any(set(table.values()) != set(tables[0].values()) for table in tables):
        files = " and ".join(Path(document.name).name for document in documents)
        raise DataError(f"{files} have different categories; use one list, or choose one file with --annotations.")
    used = {
        table[id_text(one["category_id"])]
        for table, document in zip(tables, documents, strict=True)
        for one in document.annotations
    }
    heads = {
        head
        for document in documents
        for one in document.categories
        if (head := _text(one.get("supercategory"))) and head != _text(one["name"])
    }
    names = [tables[0][key] for key in sorted(tables[0], key=natural)]
    unused = [name for name in names if name in heads and name not in used]
    notes = [f"no object has the category {name}, to which others belong; it is no class" for name in unused]
    notes += [
        f"{count} categories are called {name}; they are one class"
        for name, count in Counter(names).items()
        if count > 1
    ]
    return [name for name in names if name not in unused], notes


def _categories(root: Path, document: _Document) -> dict[str, str]:
    """The names of the categories by id. Raises `DataError` for one without, for ids that several have, and for objects
    that name none of them.
    """
    path = root / document.name
    names: dict[str, str] = {}
    for one in document.categories:
        key = id_text(one.get("id"))
        if not key or not _text(one.get("name")):
            raise DataError(f"{path} has a category without id or name; complete it.")
        if names.setdefault(key, _text(one["name"])) != _text(one["name"]):
            raise DataError(f"{path} has two categories of the same id {key}; give each its own.")
    unknown = [key for one in document.annotations if (key := id_text(one.get("category_id"))) not in names]
    if unknown:
        raise DataError(
            f"{path} has {count_of(len(unknown), 'object')} whose category_id is none of its categories' ids, such as "
            f"{unknown[0] or 'none'}; correct it."
        )
    return names


def _read_images(root: Path, document: _Document, finder: ImageFinder, categories: Mapping[str, str]) -> _Images:
    """The images of a document with their objects. Raises `DataError` where the two do not belong together."""
    path = root / document.name
    words = (*Path(document.name).stem.split("_"), Path(document.name).parent.name)
    split = next(filter(None, map(split_word, words)), None)
    objects = read_objects(path, document.annotations, categories)
    ids: dict[str, set[str]] = defaultdict(set)
    for image in document.images:
        if not _name(image) or not id_text(image.get("id")):
            raise DataError(f"{path} has an image without id or file_name ({_name(image) or 'no name'}); complete it.")
        ids[id_text(image["id"])].add(_name(image))
    found = finder.find(_names(document), document.name)
    doubled = {key: sorted(names) for key, names in ids.items() if len(names) > 1}
    entries = [
        AnnotatedImage(
            found.paths[name],
            document.name,
            tuple(objects.get(key, ())),
            _size(image),
            split or find_split(found.paths[name]) or split_word(path.parent.name),
        )
        for image in document.images
        if (name := _name(image)) in found.paths and (key := id_text(image["id"])) not in doubled
    ]
    notes = []
    for key, names in list(doubled.items())[:1]:
        if not entries and found.paths:
            raise DataError(f"{path} gives the same id {key} to {list_names(names)}; number the images anew.")
        count = sum(map(len, doubled.values()))
        notes.append(f"left out: {count} images of the same id, such as {list_names(names)} ({key})")
    orphans = {key or "none": len(each) for key, each in objects.items() if key not in ids}
    for key in list(orphans)[:1]:
        if not objects.keys() & ids.keys():
            raise DataError(f"In {path} no image has an id that an object names, such as {key}; correct image_id.")
        notes.append(
            f"left out: {count_of(sum(orphans.values()), 'object')} with an image_id that no image has, such as {key}"
        )
    notes += [
        f"in another folder than {path.name} says: {count_of(len(found.moved), 'image')}, such as {name}, which is "
        f"{found.paths[name]}"
        for name in found.moved[:1]
    ]
    left = [found.paths[name] for names in doubled.values() for name in names if name in found.paths]
    return _Images(entries, list(found.missing), left, notes)


def _names(document: _Document) -> list[str]:
    return [_name(image) for image in document.images]


def _name(image: Mapping[str, Any]) -> str:
    """What an image is called; LVIS has only its address."""
    return next((name for key in ("file_name", "coco_url") if isinstance(name := image.get(key), str) and name), "")


def _size(image: Mapping[str, Any]) -> tuple[int, int] | None:
    """Height and width, where the file has both."""
    try:
        return as_size(image.get("height"), image.get("width"))
    except ValueError:
        return None


def _text(value: object) -> str:
    """A class's name; nothing where it is neither a text nor a number."""
    try:
        return class_name(value)
    except ValueError:
        return ""
