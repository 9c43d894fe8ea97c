"""A folder per class: flat, or below folders for training, validation and test under their usual names."""

from __future__ import annotations

from pathlib import Path
from unicodedata import normalize

from convolve.datasets.layouts.parts import SPLITS, image_files, labeled_files, natural, split_word, subfolders
from convolve.values import Dataset

EXPECTED = "a folder of images per class (CLASS/*.jpg, or train/CLASS/*.jpg)"
_NOT_CLASSES = frozenset(("image", "images", "jpegimages", "label", "labels", "mask", "masks", "annotations"))
_Classes = dict[str, list[tuple[str, str]]]  # class -> (folder, path below it) of each image


def recognize(path: Path) -> Dataset | None:
    """The dataset in a folder, or None. Classes are in natural order of their names; folders that hold other files
    than images are no classes, while an empty folder is an empty class.
    """
    if not path.is_dir():
        return None
    children = subfolders(path)
    found = {child: word for child in children if (word := split_word(child.name))}
    splits = dict(sorted(found.items(), key=lambda item: SPLITS.index(item[1])))
    if "train" in splits.values() or (splits and len(splits) == len(children)):
        return _recognize_splits(path, splits)
    classes = _classes(path, "")
    if len(classes) < 2 or not any(classes.values()) or any(name.casefold() in _NOT_CLASSES for name in classes):
        return None
    below = {name.partition("/")[0] for files in classes.values() for _, name in files if "/" in name}
    if any(split_word(name) == "train" for name in below):  # whole datasets side by side
        return None
    reason = f"a folder for each of {len(classes)} classes"
    return _dataset(path, reason, {None: classes})


def _recognize_splits(path: Path, splits: dict[Path, str]) -> Dataset | None:
    parts: dict[str | None, _Classes] = {}
    for folder, word in splits.items():
        classes = _classes(folder, folder.name)
        if any(classes.values()):
            merged = parts.setdefault(word, {})
            for name, files in classes.items():
                merged.setdefault(name, []).extend(files)
    if not parts or len(set().union(*parts.values())) < 2:
        return None
    used = ", ".join(f"{folder.name}/" for folder, word in splits.items() if word in parts)
    return _dataset(path, f"{used} with a folder per class", parts)


def _classes(folder: Path, above: str) -> _Classes:
    found: _Classes = {}
    for child in subfolders(folder):
        files = image_files(child)
        if files or not any(child.iterdir()):
            prefix = f"{above}/{child.name}" if above else child.name
            label = normalize("NFC", child.name)  # one name from two systems is one class
            found.setdefault(label, []).extend((prefix, name) for name in files)
    return found


def _dataset(root: Path, reason: str, parts: dict[str | None, _Classes]) -> Dataset:
    classes = sorted(set().union(*parts.values()), key=natural)
    indices = {name: index for index, name in enumerate(classes)}
    rows = [
        (f"{folder}/{name}", split, indices[label])
        for split, found in parts.items()
        for label in sorted(found, key=natural)
        for folder, name in found[label]
    ]
    return labeled_files(root, "folders", reason, rows, classes)
