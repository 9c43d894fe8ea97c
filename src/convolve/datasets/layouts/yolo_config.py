"""What stands next to YOLO's label files: `data.yaml` with classes and splits, or a text with a class on each line."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unicodedata import normalize

from convolve.datasets.inventory import Inventory
from convolve.datasets.layouts.annotated_images import class_name, count_of, list_names
from convolve.datasets.layouts.class_lists import read_classes
from convolve.datasets.layouts.image_finder import ImageFinder, path_parts
from convolve.datasets.layouts.parts import read_lines, split_word
from convolve.errors import DataError
from convolve.untrusted.documents import parse_yaml
from convolve.untrusted.fields import as_whole
from convolve.untrusted.files import read_text

LISTS = re.compile(
    r"(?:^|/)(?:(?:classes|labels|predefined_classes|names)\.txt|[^/]+\.names|_darknet\.labels)$", re.IGNORECASE
)
"""Texts with a class on each line, in the order of their numbers."""
_CONFIGS = re.compile(r"\.ya?ml$", re.IGNORECASE)
_DEPTH = 2  # folders above such a file, at most
_LARGEST = 2**20  # bytes of a file with splits and classes
_HIGHEST = 2**16  # number of a class
_KEYS = ("train", "val", "valid", "validation", "test")
Splits = dict[str, str | None]
"""The split of each image by its path."""


@dataclass(frozen=True)
class YoloConfig:
    """The ``classes`` by their numbers, as the file ``source`` lists them; the numbers for each keypoint, where a line
    has keypoints after the box; and where the images of each split are, as folders or lists.
    """

    source: str
    classes: Mapping[int, str]
    keypoint_numbers: int = 0
    split_paths: Mapping[str, tuple[str, ...]] | None = None


def find_config(inventory: Inventory) -> YoloConfig | None:
    """The file nearest to the root; one with splits goes before a list. None where there is none.

    Raises `DataError` for a damaged file, and where two of them have different classes, or the same in another order.
    """
    lists = [file for file in inventory.files if LISTS.search(file) and file.count("/") <= _DEPTH]
    for pattern, read in ((_CONFIGS, _read_yaml), (LISTS, _read_list)):
        files = [file for file in inventory.files if pattern.search(file) and file.count("/") <= _DEPTH]
        for depth in range(_DEPTH + 1):
            near = [file for file in files if file.count("/") == depth]
            found = [config for file in near if (config := read(inventory.root, file))]
            for config in found[1:]:
                if config.classes != found[0].classes:
                    first, second = inventory.root / found[0].source, inventory.root / config.source
                    raise DataError(f"{first} and {second} list different classes; remove one of them.")
            if found:
                _check_order(inventory, found[0], lists)
                return found[0]
    return None


def _check_order(inventory: Inventory, config: YoloConfig, lists: Sequence[str]) -> None:
    """Raise `DataError` where another list has the same classes under other numbers."""
    for file in lists:
        with suppress(DataError):  # what no file but this one needs may be damaged
            other = _read_list(inventory.root, file)
            if other and other.classes != config.classes and {*other.classes.values()} == {*config.classes.values()}:
                break
    else:
        return
    first, second = inventory.root / config.source, inventory.root / file
    raise DataError(f"{first} and {second} list the same classes in another order; remove the wrong one.")


def _read_yaml(root: Path, name: str) -> YoloConfig | None:
    """A file with classes; None for another one."""
    path = root / name
    try:
        text = read_text(path, _LARGEST)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as UTF-8 text ({error}); copy or save it again.") from error
    if not re.search(r"^names\s*:", text, re.MULTILINE):
        return None
    try:
        document = parse_yaml(text)
        return _as_config(name, document) if isinstance(document, dict) else None
    except ValueError as error:
        raise DataError(f"{path} does not list classes as YOLO's data.yaml does ({error}); correct it.") from error


def _as_config(name: str, document: Mapping[str, Any]) -> YoloConfig:
    """What a parsed file says. Raises `ValueError`."""
    names = document.get("names")
    pairs = names.items() if isinstance(names, dict) else enumerate(names if isinstance(names, list) else [])
    classes = {as_whole(key, 0, _HIGHEST): class_name(value) for key, value in pairs}
    if not classes or not all(classes.values()):
        raise ValueError("names are neither a list nor a mapping of numbers to names")
    if len(set(classes.values())) < len(classes):
        twice = next(one for one in classes.values() if list(classes.values()).count(one) > 1)
        raise ValueError(f"the name {twice!r} is there twice")
    if "nc" in document and as_whole(document["nc"]) != len(classes):
        raise ValueError(f"nc is {document['nc']}, but there are {len(classes)} names")
    shape = document.get("kpt_shape")
    pair = shape if isinstance(shape, list) and len(shape) == 2 else [0, 0]
    keypoints = as_whole(pair[0], 0, _HIGHEST) * as_whole(pair[1], 0, 3)
    base = document.get("path", "")
    split_paths = {}
    for key in _KEYS:
        value = document.get(key)
        listed = value if isinstance(value, list) else [value]
        found = tuple(f"{base}/{each}" for each in listed if isinstance(each, str) and each.strip() and each != "~")
        if found and isinstance(base, str):
            split_paths[split_word(key) or key] = found
    return YoloConfig(name, classes, keypoints, split_paths)


def _read_list(root: Path, name: str) -> YoloConfig | None:
    """A text with a class on each line; None for one with nothing in it, or with the colors that masks have."""
    with suppress(DataError):
        listed = read_classes(root / name)
        if listed and all(each.color for each in listed):
            return None
    lines = [normalize("NFC", line) for line in read_lines(root / name)]
    if not all(map(str.strip, read_text(root / name).rstrip().splitlines())):
        raise DataError(
            f"{root / name} has an empty line before a name, which may count as a class or not; remove the line, or "
            "write a name there."
        )
    if len(set(lines)) < len(lines):
        twice = next(line for line in lines if lines.count(line) > 1)
        raise DataError(f"{root / name} lists the name {twice!r} twice; give each class its own.")
    return YoloConfig(name, dict(enumerate(map(class_name, lines)))) if lines else None


def find_splits(inventory: Inventory, config: YoloConfig, images: Sequence[str]) -> tuple[Splits, list[str]]:
    """The splits of those images of which the file says one, and notes on what it says besides.

    Paths may be those of another machine: the longest ending that is a folder of images counts.
    """
    folders = {folder for image in images for folder in _above(image)}
    found: dict[str, set[str]] = {}
    absent = []
    for split, split_paths in (config.split_paths or {}).items():
        for path in split_paths:
            inside = _images_of(inventory, config, path, images, folders)
            absent += [] if inside else [path.removeprefix("/")]
            for image in inside:
                found.setdefault(image, set()).add(split)
    several = [image for image, splits in found.items() if len(splits) > 1]
    notes = []
    if several:
        words = " and ".join(sorted(found[several[0]]))
        count = count_of(len(several), "image")
        notes.append(f"{config.source} puts {count} into {words}, so into no split: {list_names(several)}")
    if absent:
        notes.append(f"not there, although {config.source} names it: {list_names(absent)}")
    return {image: next(iter(splits)) if len(splits) == 1 else None for image, splits in found.items()}, notes


def _above(path: str) -> list[str]:
    """The folders that a path lies in."""
    parts = path.split("/")[:-1]
    return ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]


def _images_of(
    inventory: Inventory, config: YoloConfig, path: str, images: Sequence[str], folders: set[str]
) -> list[str]:
    """The images in a folder, or in a list of images, that the file names."""
    parts = path_parts(path)
    if parts and parts[-1].casefold().endswith(".txt"):
        lists = [file for file in inventory.files if file == parts[-1] or file.endswith(f"/{parts[-1]}")]
        names = read_lines(inventory.root / lists[0]) if lists else []
        return list(ImageFinder(images).find(names, config.source).paths.values())
    for start in range(len(parts)):
        ending = "/".join(parts[start:])
        fits = [folder for folder in folders if folder == ending or folder.endswith(f"/{ending}")]
        if fits:
            nearest = min(folder.count("/") for folder in fits)
            prefixes = tuple(f"{folder}/" for folder in fits if folder.count("/") == nearest)
            return [image for image in images if image.startswith(prefixes)]
    return list(images) if not parts else []
