"""YOLO's text files: for each image a `.txt` with a line `class x y width height` for each object, in fractions of it.

x and y are the center of the box. A line may also be a polygon, `class x y x y x y …`, or have keypoints after the box.
The file of `images/train/a.jpg` is `labels/train/a.txt`, or else `a.txt` next to the image; where it is missing, the
image has no objects. Redmon's Darknet, Ultralytics and Roboflow write these trees.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from unicodedata import normalize

from convolve.datasets.inventory import IMAGE_SUFFIXES, Inventory, take_inventory
from convolve.datasets.layouts.annotated_images import (
    BOX,
    AnnotatedImage,
    NamedObject,
    ObjectBox,
    count_of,
    find_split,
    list_names,
)
from convolve.datasets.layouts.mask_pairs import is_mask
from convolve.datasets.layouts.masks import without_masks
from convolve.datasets.layouts.object_boxes import boxed_dataset
from convolve.datasets.layouts.outlines import NoOutlinesError
from convolve.datasets.layouts.shapes import Edges
from convolve.datasets.layouts.table_cells import decode_text
from convolve.datasets.layouts.yolo_config import LISTS, YoloConfig, find_config, find_splits
from convolve.errors import DataError
from convolve.untrusted.fields import as_number, as_whole
from convolve.untrusted.files import read_file, read_start
from convolve.values import Dataset

NAME = "yolo"
EXPECTED = "YOLO's labels/*.txt next to images/, with data.yaml"
MARK = re.compile(r"^(?!(?:.*/)?(?:classes|labels|names|readme|license)\.txt$).*\.txt$", re.IGNORECASE)
_FOLDERS = ("images", "JPEGImages")
"""Folders next to which there is one called `labels`."""
_LARGEST = 2**24  # bytes of a file for one image
_HIGHEST = 2**16  # number of a class
_FARTHEST = 2  # of a fraction of an image; what is larger is in pixels
_BOX = 5  # numbers of a box with its class
_POLYGON = 7  # numbers of a polygon with its class, at least
_PROBED = 50  # files by which the form is judged
_START = 1000  # bytes of each of them
_NUMBERS = re.compile(r"\d+(\.0*)?([ \t]+-?[\d.]+(e-?\d+)?){4}", re.IGNORECASE)
"""How a line begins."""
_MOST = 0.5


@dataclass(frozen=True)
class _Pairs:
    """The label files of images, by the image; the images ``without`` one in folders where others have one; and the
    label files without an image.
    """

    files: Mapping[str, str]
    without: Sequence[str]
    orphans: Sequence[str]


_Objects = tuple[tuple[int, Edges], ...]
"""The numbers of classes, and boxes in fractions of the image."""


def recognize(inventory: Inventory) -> Dataset | None:
    """The dataset in a folder with such files, or None. The images may be in a folder next to it, where it has none. A
    file that cannot be read leaves its image out.

    Raises `DataError` for a damaged list of classes, for a number that it does not have, and where no file can be read
    or none has an object.
    """
    images = inventory.images or _images_outside(inventory)
    texts = [name for name in inventory.files if MARK.search(name)]
    pairs = _pair(images, texts)
    if pairs.files and any(map(is_mask, pairs.without)):
        images = without_masks(inventory).images
        pairs = _pair(images, texts)
    labels = list(pairs.files.values())
    if not labels or not _are_labels(inventory.root, labels):
        if labels and all(_is_empty(inventory.root / name) for name in labels):
            raise NoOutlinesError(
                f"{inventory.root} is a detection dataset without objects, as all of its label files, such as "
                f"{labels[0]}, are empty; annotate some."
            )
        return None
    config = find_config(inventory)
    width = config.keypoint_numbers if config else 0
    read = {image: _read(inventory.root / name, width) for image, name in pairs.files.items()}
    objects = {image: each for image, each in read.items() if not isinstance(each, str)}
    failed = {image: each for image, each in read.items() if isinstance(each, str)}
    if not objects:
        raise DataError(next(iter(failed.values())))
    used = sorted({number for each in objects.values() for number, _ in each})
    classes = _classes(inventory, config, used, pairs, objects)
    splits, notes = find_splits(inventory, config, images) if config and config.split_paths else ({}, [])
    entries, empty = [], set(pairs.without)
    for image in images:
        if image in read or image in empty:
            boxes = tuple(
                NamedObject(classes[key], None, BOX, box=ObjectBox(edges)) for key, edges in objects.get(image, ())
            )
            source = pairs.files.get(image, "")
            split = splits.get(image) if splits else find_split(image)
            entries.append(AnnotatedImage(image, source, boxes, None, split, fractions=True, failed=failed.get(image)))
    bare, orphans = pairs.without, [name for name in pairs.orphans if _are_labels(inventory.root, [name])]
    notes += [f"no label file, so no objects: {count_of(len(bare), 'image')}, such as {list_names(bare)}"] * bool(bare)
    if orphans:
        notes.append(
            f"left out: {count_of(len(orphans), 'label file')} without an image, such as {list_names(orphans)}"
        )
    shared = _common_files(pairs.files)
    notes += [f"several images have one label file: {list_names(shared)}"] * bool(shared)
    if config is None:
        notes.append("there is no data.yaml or classes.txt, so the classes are called by their numbers")
    first = next(iter(pairs.files.values()))
    listed = f"; classes of {config.source}" if config else ""
    reason = f"{count_of(len(pairs.files), 'file')} of YOLO, such as {first}{listed}"
    dataset = boxed_dataset(inventory, NAME, reason, entries, [classes[key] for key in sorted(classes)])
    return replace(dataset, notes=(*notes, *dataset.notes), sources=(config.source,) if config else ())


def _images_outside(inventory: Inventory) -> Sequence[str]:
    """The images in a folder next to this one, where there are labels and no images in it."""
    folder = inventory.root.parent / _FOLDERS[0]
    labeled = any("labels/" in name for name in inventory.files)
    if not labeled or not folder.is_dir():
        return ()
    return [f"../{folder.name}/{name}" for name in take_inventory(folder).images]


def _pair(images: Sequence[str], texts: Sequence[str]) -> _Pairs:
    """Which image has which label file."""
    called = {normalize("NFC", name)[: -len(".txt")]: name for name in texts}
    folders: set[str] = set()
    files: dict[str, str] = {}
    twins = {image: _label_names(image) for image in images}
    for image, names in twins.items():
        found = next((name for name in names if name in called), None)
        if found is not None:
            files[image] = called[found]
            folders.add(found.rpartition("/")[0])
    without = [
        image
        for image, names in twins.items()
        if image not in files and any(name.rpartition("/")[0] in folders for name in names)
    ]
    known = set(files.values())
    orphans = [
        name
        for stem, name in called.items()
        if name not in known and stem.rpartition("/")[0] in folders and not LISTS.search(name)
    ]
    return _Pairs(files, without, orphans)


def _common_files(files: Mapping[str, str]) -> list[str]:
    """The label files that belong to more than one image, each with these."""
    images: dict[str, list[str]] = defaultdict(list)
    for image, name in files.items():
        images[name].append(image)
    return [f"{name} ({' and '.join(each)})" for name, each in images.items() if len(each) > 1]


def _label_names(image: str) -> list[str]:
    """What the label file of an image may be called, without its suffix."""
    name = normalize("NFC", image)
    suffix = PurePosixPath(name).suffix
    stem = name.removesuffix(suffix) if suffix.casefold() in IMAGE_SUFFIXES else name
    parts = stem.removeprefix("../").split("/")
    twins = [
        "/".join([*parts[:index], "labels", *parts[index + 1 :]])
        for index in range(len(parts) - 2, -1, -1)
        if parts[index] in _FOLDERS
    ]
    return [*twins[:1], stem]


def _are_labels(root: Path, names: Sequence[str]) -> bool:
    """Whether some of the files hold lines of numbers, and most of those that are not empty."""
    texts = _beginnings(root, names) or _beginnings(root, [name for name in names if not _is_empty(root / name)])
    found = [_NUMBERS.match(text) is not None for text in texts]
    return any(found) and sum(found) >= _MOST * len(found)


def _beginnings(root: Path, names: Sequence[str]) -> list[str]:
    """How some of the files begin, without those that are empty."""
    found = []
    for name in names[:: max(1, len(names) // _PROBED)]:
        with suppress(OSError, UnicodeDecodeError):
            found.append(decode_text(read_start(root / name, _START))[0].strip())
    return list(filter(None, found))


def _is_empty(path: Path) -> bool:
    """Whether a file that can be read has no text but spaces."""
    try:
        return not read_start(path, _START).strip()
    except OSError:
        return False


def is_nameless(dataset: Dataset) -> bool:
    """Whether a dataset of such files has no list of classes, so that these cannot be compared with others."""
    return dataset.layout == NAME and not dataset.sources


def _read(path: Path, keypoint_numbers: int) -> _Objects | str:
    """The objects of a file, or why it cannot be read."""
    try:
        lines = [line.split() for line in decode_text(read_file(path, _LARGEST))[0].splitlines()]
        return tuple(_object(words, keypoint_numbers) for words in lines if words)
    except OSError as error:
        return f"{path} cannot be read ({error.strerror or error}); check its permissions."
    except ValueError as error:
        why = "it is no text" if isinstance(error, UnicodeDecodeError) else str(error)
        return f"{path} is not a label file of YOLO ({why}); correct it."


def _object(words: Sequence[str], keypoint_numbers: int) -> tuple[int, Edges]:
    """The number of a class and a box. Raises `ValueError`."""
    number = as_whole(words[0], 0, _HIGHEST)
    count = len(words)
    if count not in (_BOX, _BOX + keypoint_numbers) and (count < _POLYGON or count % 2 == 0):
        hint = ", as predictions with a score have" if count == _BOX + 1 else ""
        raise ValueError(f"a line has {count} numbers{hint}, neither {_BOX} nor those of a polygon")
    values = [as_number(word, farthest=_FARTHEST) for word in words[1:]]
    if count in (_BOX, _BOX + keypoint_numbers):
        x, y, width, height = values[:4]
        return number, (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    across, down = values[::2], values[1::2]
    return number, (min(across), min(down), max(across), max(down))


def _classes(
    inventory: Inventory,
    config: YoloConfig | None,
    used: Sequence[int],
    pairs: _Pairs,
    objects: Mapping[str, _Objects],
) -> Mapping[int, str]:
    """The names of the classes by their numbers. Raises `DataError` for a number without one."""
    if config is None:
        return {number: f"class {number}" for number in used}
    for image, each in objects.items():
        for number, _ in each:
            if number not in config.classes:
                known = f"{min(config.classes)} to {max(config.classes)}"
                raise DataError(
                    f"{inventory.root / pairs.files[image]} has an object of class {number}, but {config.source} has "
                    f"{count_of(len(config.classes), 'name')}, for {known}; complete the list, or correct the number."
                )
    return config.classes
