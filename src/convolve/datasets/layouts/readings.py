"""Two readings of the same images: whether they contradict each other, and what one has from the other."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from convolve.datasets.boxes import Boxes
from convolve.datasets.inventory import NAMED, Inventory
from convolve.datasets.labels import Labels
from convolve.datasets.layouts import folders, masks
from convolve.datasets.layouts.mask_pairs import is_mask
from convolve.datasets.layouts.parts import split_word
from convolve.datasets.masks import Masks
from convolve.untrusted.files import read_start
from convolve.values import Dataset, Indices

_BEGINNING = 4096  # bytes of a list


def differ(one: Dataset, other: Dataset) -> bool:
    """Whether two readings put the images that both have into different classes. What these are called matters only
    where one reading has the names of the other.
    """
    found = [
        (known.classes, dict(zip(_paths(dataset), known.values.tolist(), strict=True)))
        for dataset in (one, other)
        if isinstance(known := dataset.ground_truths.get("labels"), Labels) and not known.multi_label
    ]
    if len(found) < 2:
        return False
    (classes, labels), (others, theirs) = found
    pairs = {(classes[value], others[theirs[path]]) for path, value in labels.items() if path in theirs}
    parted = any(len({pair[side] for pair in pairs}) < len(pairs) for side in (0, 1))
    return parted or any(mine != its and (mine in others or its in classes) for mine, its in pairs)


def disputed_image(one: Dataset, other: Dataset) -> str | None:
    """An image that has objects of other classes in another reading."""
    found = [
        {path: {labels.classes[index] for index in np.flatnonzero(flags)} for path, flags in pairs}
        for dataset in (one, other)
        if isinstance(labels := dataset.ground_truths.get("labels"), Labels)
        for pairs in [zip(_paths(dataset), labels.presence(), strict=True)]
    ]
    if len(found) < 2:
        return None
    return next((path for path, names in found[0].items() if found[1].get(path, names) != names), None)


def have_same_classes(dataset: Dataset, other: Dataset) -> bool:
    """Whether the only label of each image is the class that another reading has, that of the folder that it is in.
    Where images have one label each, `differ` judges.
    """
    labels, classes = (each.ground_truths.get("labels") for each in (dataset, other))
    if not isinstance(labels, Labels) or not isinstance(classes, Labels) or not labels.multi_label:
        return True
    names = {path: classes.classes[value] for path, value in zip(_paths(other), classes.values.tolist(), strict=True)}
    names = {path: name for path, name in names.items() if Path(path).parent.name == name}
    found = zip(_paths(dataset), labels.presence(), strict=True)
    return all(
        [labels.classes[index] for index in np.flatnonzero(flags)] == [names[path]]
        for path, flags in found
        if path in names
    )


def has_class_of_masks(dataset: Dataset, other: Dataset) -> bool:
    """Whether a folder that is a class in one reading holds nothing but the masks of the other one."""
    labels = dataset.ground_truths.get("labels")
    if dataset.layout != folders.NAME or other.layout != masks.NAME or not isinstance(labels, Labels):
        return False
    annotations, values = set(other.annotations), labels.values.tolist()
    images = {value for index, value in enumerate(values) if dataset.images.name(index) not in annotations}
    return images != set(values)


def join_splits(dataset: Dataset, other: Dataset) -> Dataset:
    """A dataset with the splits of another one, where they are known of all its images. A missing one is of the same
    split as all others in its folder, or around that.
    """
    words: dict[str, set[str]] = {}
    files = _paths(other)
    for word, part in other.given_splits.items():
        for index in part:
            for path in (files[index], *map(str, Path(files[index]).parents)):
                words.setdefault(path, set()).add(word)
    found = []
    for file in _paths(dataset):
        near = next((words[path] for path in (file, *map(str, Path(file).parents)) if path in words), set())
        found.append(next(iter(near)) if len(near) == 1 else "")
    if not all(found):
        return dataset
    splits = {word: np.flatnonzero([each == word for each in found]) for word in other.given_splits}
    return replace(dataset, reason=f"{dataset.reason}; splits: {other.reason}", given_splits=splits)


def join_objects(dataset: Dataset, other: Dataset) -> Dataset:
    """A dataset with the masks and the boxes that another one has of the same images, where it has none itself. What
    has a label is an image, even if it is called as masks are.
    """
    own = _paths(dataset)
    position = {file: index for index, file in enumerate(_paths(other))}
    indices: Indices = np.array([position.get(file, -1) for file in own], dtype=np.int64)
    count = int((indices >= 0).sum())
    for kind in ("masks", "boxes") if count else ():
        found = other.ground_truths.get(kind)
        whole = kind in dataset.ground_truths or (kind == "masks" and any(map(is_mask, own)))
        if not whole and isinstance(found, Masks | Boxes):
            dataset = replace(
                dataset,
                reason=f"{dataset.reason}; {kind} of {count} of its images: {other.reason}",
                ground_truths={**dataset.ground_truths, kind: found.take(indices)},
                annotations=other.annotations or dataset.annotations,
            )
    only_boxes = "masks" not in other.ground_truths
    return join_splits(dataset, other) if only_boxes and other.given_splits and not dataset.given_splits else dataset


def _paths(dataset: Dataset) -> Sequence[str]:
    return [
        os.path.abspath(Path(dataset.root, dataset.images.name(index)))  # noqa: PTH100 - links stay apart
        for index in range(len(dataset))
    ]


def find_split_lists(inventory: Inventory) -> list[str]:
    """A note on plain lists of the images that are called as splits, such as `train.txt`, and say nothing of labels."""
    stems = {image.rpartition(".")[0] for image in inventory.images}
    known = {*inventory.images, *stems, *(image.rpartition("/")[2] for image in (*inventory.images, *stems))}
    found = []
    for file in inventory.files:
        stem, _, suffix = file.rpartition("/")[2].rpartition(".")
        if suffix.casefold() in ("txt", "csv", "lst") and split_word(stem):
            with suppress(OSError):
                lines = read_start(inventory.root / file, _BEGINNING).decode("utf-8-sig", "replace").splitlines()
                found += [file] if any(line.strip().removeprefix("./") in known for line in lines[:2]) else []
    if not found:
        return []
    return [
        f"the splits of {', '.join(found[:NAMED])} are not used; write a table with the columns path, label and split"
    ]
