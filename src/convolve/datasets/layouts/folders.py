"""A folder per class: flat, or below folders for training, validation and test under their usual names."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from unicodedata import normalize

from convolve.datasets.inventory import Inventory, natural
from convolve.datasets.layouts import class_index
from convolve.datasets.layouts.parts import SPLITS, labeled_files, split_word, words_of
from convolve.errors import DataError
from convolve.values import Dataset

NAME = "folders"
EXPECTED = "a folder of images per class (CLASS/*.jpg, or train/CLASS/*.jpg)"
MARK = None
_NOT_CLASSES = frozenset(
    (
        "image",
        "images",
        "jpegimages",
        "label",
        "labels",
        "mask",
        "masks",
        "annotations",
        "groundtruth",
        "ground truth",
        "gt",
        "seg",
        "segmentation",
        "segmentations",
    )
)
_NO_LABELS = frozenset(
    ("all", "data", "dummy", "imgs", "none", "photos", "pictures", "unknown", "unlabeled", "unlabelled")
)
"""What the only folder of test images is called, where nothing is known of them."""
_FOLD = re.compile(r"(fold|part|batch|split|cv|k)[-_ ]?[0-9]+", re.IGNORECASE)
_NUMBER = re.compile(r"\d")
_DATE = re.compile(r"(19|20)[0-9]{2}([-_.]?[0-9]{2}){0,2}")
_GROUND_TRUTH = re.compile(r"(?:^|[- ])ground[- ]?truths?$")
_Classes = dict[str, list[str]]  # name of a class -> paths of its images below the root


def recognize(inventory: Inventory) -> Dataset | None:
    """The dataset in a folder, or None. Classes are in natural order of their names; folders that hold other files
    than images are no classes, while an empty folder is an empty class.

    Folders are splits where their names hold a split's usual word and they have folders of the same classes inside.
    Raises `DataError` for a single class, for folders of images that are called as splits, and for folders that hold
    the same folders, either of which may be the classes.
    """
    top = [folder for folder in inventory.folders if "/" not in folder]
    named = {folder: word for folder in top if (word := split_word(folder, alone=False))}
    inside = {folder: _classes(inventory, folder) for folder in named}
    inside = {folder: classes for folder, classes in inside.items() if any(classes.values())}
    labeled = {
        folder: classes for folder, classes in inside.items() if not _is_unlabeled(inventory, folder, inside, named)
    }
    plain = {folder for folder in inside if split_word(folder)}
    alike = len(inside) > 1 and bool(set.intersection(*map(set, labeled.values())))
    splits = labeled if alike else {folder: labeled[folder] for folder in plain if folder in labeled}
    words = {folder: named[folder] for folder in splits}
    joined = sorted(set().union(*splits.values()))
    if len(joined) > 1 and ("train" in words.values() or plain == set(top)):
        return None if _are_no_classes(inventory, joined) else _read_splits(inventory, splits, words)
    loose = any(image.count("/") == 1 for image in inventory.images)
    if alike and "train" in words.values() and not loose and not _are_no_classes(inventory, joined):
        raise DataError(f"{inventory.root} has only one class, {joined[0]}; add the images of another one.")
    classes = _classes(inventory, "")
    inner = [path for path in inventory.folders if "/" in path]
    below = {split_word(path.split("/")[1]) for path in inner} - {None}
    if below:
        turned = _read_splits_in_classes(inventory, classes)
        if turned or "train" in below:  # whole datasets side by side
            return turned
    lower = {path.casefold() for path in inner}
    if any(path.endswith("/masks") and path.removesuffix("masks") + "images" in lower for path in lower):
        return None  # a folder for each image, with its masks
    folds = [set(_classes(inventory, folder)) for folder in top if _FOLD.fullmatch(folder)]
    if len(folds) > 1 and len(folds) == len(classes) and set.intersection(*folds):
        raise DataError(
            f"{inventory.root} has folds, such as {top[0]}, which hold the same folders; join these, and use "
            "--folds for cross-validation."
        )
    return _read_classes(inventory, classes) if any(classes.values()) else None


def _read_classes(inventory: Inventory, classes: _Classes) -> Dataset | None:
    """The dataset of folders with images, or None where they are called as those of images and masks.

    Raises `DataError` for folders that only perhaps are classes, unless a person says that they are.
    """
    where, asked = f"In {inventory.root} the folder", inventory.options.layout == NAME
    if _are_no_classes(inventory, list(classes)):
        return None
    if len(classes) == 1:
        name = next(iter(classes))
        below = any(path.startswith(f"{name}/") for path in inventory.folders)
        if below and not any(path.count("/") == 1 for path in inventory.images):
            return None
        raise DataError(f"{inventory.root} has only one class, {name}; put the images of each class into a folder.")
    called = [name for name in classes if split_word(name)]
    words = [words_of(name) for name in classes if split_word(name, alone=False)]
    rests = {tuple(word for word in each if not split_word(word)) for each in words}
    if len(words) == len(classes) and len(rests) == 1 and not asked:  # pets-train, pets-test
        called = list(classes)
    if len(called) > 1:
        raise DataError(
            f"{where}s {' and '.join(called)} are called as splits, but hold no folder for each class; add these, or a "
            "table of labels."
        )
    if all(map(_FOLD.fullmatch, classes)) and not asked:
        raise DataError(
            f"{where}s {' and '.join(list(classes)[:2])} are called as parts, not as classes; add a table of labels, "
            f"or use --layout {NAME} where they are classes."
        )
    if any(path.count("/") > 1 for path in inventory.images):
        _check_inner(inventory, classes)
    return _dataset(inventory, f"a folder for each of {len(classes)} classes", {None: classes})


def _check_inner(inventory: Inventory, classes: _Classes) -> None:
    """Raise `DataError` where two folders or more are perhaps no classes, but patients, cameras or years, as most of
    the images lie in folders inside that are called alike in several of them, two names or more: `P1/{sick,well}`.

    Those are known by a number in each of their names; `cat/{indoor,outdoor}` are classes, and so are `1/{2021,2022}`,
    where all names inside are dates or numbered parts and those outside are not. `--layout folders` always reads the
    outer names.
    """
    paths = [(name, path.split("/")[:-1]) for name, found in classes.items() for path in found]
    if inventory.options.layout == NAME or not all(map(_NUMBER.search, classes)):
        return
    inner = [(name, folders[[normalize("NFC", each) for each in folders].index(name) + 1 :]) for name, folders in paths]
    while inner and all(
        folders and folders[0] == inner[0][1][0] for _, folders in inner
    ):  # amazon/images/, webcam/images/
        inner = [(name, folders[1:]) for name, folders in inner]
    holders = defaultdict(set)
    for name, folders in inner:
        holders["".join(folders[:1])].add(name)
    shared = sorted((name for name, outer in holders.items() if name and len(outer) > 1), key=natural)
    held = [folders for _, folders in inner if folders and len(holders[folders[0]]) > 1]
    if len(shared) < 2 or 2 * len(held) < len(inner) or (_are_parts(shared) and not _are_parts(list(classes))):
        return
    outer = sorted(set().union(*(holders[name] for name in shared)), key=natural)
    direct = all(len(folders) == 1 for folders in held)
    expression = "([^/]+)/[^/]+$" if direct else f"/({'|'.join(map(re.escape, shared))})/"
    raise DataError(
        f"In {inventory.root} the folders {_some(outer)} hold the same folders, {_some(shared)}; choose --layout "
        f"{NAME} where the outer ones are classes, or --label-from '{expression}' where the inner ones are."
    )


def _are_parts(names: Sequence[str]) -> bool:
    return all(_DATE.fullmatch(name) or _FOLD.fullmatch(name) for name in names)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + f" and {len(names) - 3} more" * (len(names) > 3)


def _is_unlabeled(inventory: Inventory, folder: str, splits: Mapping[str, _Classes], words: Mapping[str, str]) -> bool:
    """Whether a split has all its images in one folder that is no class elsewhere, and is not called as one."""
    others = set().union(*(classes for other, classes in splits.items() if other != folder))
    name, *more = splits[folder]
    called = name.casefold() in _NO_LABELS or _are_no_classes(inventory, [name]) or split_word(name, alone=False)
    return bool(called) and not more and bool(others) and name not in others and words[folder] != "train"


def _are_no_classes(inventory: Inventory, names: Sequence[str]) -> bool:
    """Whether folders are those of images and masks, by what they are called. Raises `DataError` where only few are."""
    called = {name: name.casefold().replace("_", " ") for name in names}
    doubtful = [name for name, word in called.items() if word in _NOT_CLASSES or _GROUND_TRUTH.search(word)]
    if not doubtful or inventory.options.layout == NAME:
        return False
    if len(doubtful) == len(names) - 1:
        raise DataError(
            f"{inventory.root} has none of the known layouts, unless the folders {_some(list(names))} are classes: "
            f"--layout {NAME} reads them so."
        )
    if len(doubtful) < len(names) - 1:
        raise DataError(
            f"In {inventory.root} the folder {doubtful[0]} is called as those of images or masks are, the others as "
            f"classes; rename it, or use --layout {NAME} where it is a class."
        )
    return True


def _read_splits(inventory: Inventory, splits: Mapping[str, _Classes], words: Mapping[str, str]) -> Dataset:
    parts: dict[str | None, _Classes] = {}
    for folder in sorted(splits, key=lambda folder: SPLITS.index(words[folder])):
        merged = parts.setdefault(words[folder], {})
        for name, paths in splits[folder].items():
            merged.setdefault(name, []).extend(paths)
    for found in parts.values():
        _check_inner(inventory, found)
    used = sorted(splits, key=lambda folder: SPLITS.index(words[folder]))
    return _dataset(inventory, f"{', '.join(f'{folder}/' for folder in used)} with a folder per class", parts)


def _read_splits_in_classes(inventory: Inventory, classes: _Classes) -> Dataset | None:
    """The dataset of `CLASS/train/*.jpg`, where all images lie so in two classes or more."""
    parts: dict[str | None, _Classes] = {}
    for name, paths in classes.items():
        for path in paths:
            _, folder, *below = path.split("/")
            word = split_word(folder)
            if word is None or len(below) != 1:
                return None
            parts.setdefault(word, {}).setdefault(name, []).append(path)
    if len(classes) < 2 or not parts:
        return None
    return _dataset(inventory, f"a folder for each of {len(classes)} classes with folders for the splits", parts)


def _classes(inventory: Inventory, folder: str) -> _Classes:
    """The folders in one of the folders, or in its only folder, by name in one Unicode form."""
    part = inventory.below(folder) if folder else inventory
    inner = [path for path in part.folders if "/" not in path]
    classes = {path.split("/")[-2] for path in inventory.images if path.count("/") == 2}  # if their folders are splits
    while (
        folder
        and len(inner) == 1
        and inner[0] not in classes
        and not any("/" not in path.removeprefix(f"{inner[0]}/") for path in part.images)
    ):
        folder, part = f"{folder}/{inner[0]}", part.below(inner[0])
        inner = [path for path in part.folders if "/" not in path]
    filled = {path.partition("/")[0] for path in (*part.files, *part.folders) if "/" in path}
    found: _Classes = {normalize("NFC", name): [] for name in inner if name not in filled}
    for path in part.images:
        name, slash, _ = path.partition("/")
        if slash:
            found.setdefault(normalize("NFC", name), []).append(f"{folder}/{path}" if folder else path)
    return dict(sorted(found.items(), key=lambda item: natural(item[0])))


def _dataset(inventory: Inventory, reason: str, parts: Mapping[str | None, _Classes]) -> Dataset:
    classes = sorted(set().union(*parts.values()), key=natural)
    indices = {name: index for index, name in enumerate(classes)}
    rows = [
        (path, split, indices[name])
        for split, found in parts.items()
        for name, paths in found.items()
        for path in paths
    ]
    dataset = labeled_files(inventory.root, NAME, reason, rows, classes)
    listed = any(map(class_index.MARK.search, inventory.files))
    return class_index.name_classes(inventory, dataset) if listed else dataset
