"""The Oxford-IIIT pets (Parkhi et al. 2012): images/ with annotations/trainval.txt and test.txt, or list.txt, which
have the breeds, annotations/trimaps/, which are masks, and annotations/xmls/, which have boxes around heads.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np

from convolve.datasets.boxes import Boxes
from convolve.datasets.class_colors import MASK_COLORS
from convolve.datasets.images import ImageFiles
from convolve.datasets.inventory import NAMED, Inventory
from convolve.datasets.labels import Labels
from convolve.datasets.layouts.object_boxes import boxed_dataset
from convolve.datasets.layouts.parts import build_dataset, find_folder, read_lines
from convolve.datasets.layouts.voc import as_entry, read_annotation
from convolve.datasets.masks import MaskFiles, Masks
from convolve.errors import DataError
from convolve.untrusted.files import is_file
from convolve.values import Dataset, GroundTruth, Indices

NAME = "pets"
EXPECTED = "images/ with annotations/list.txt (Oxford-IIIT pets)"
MARK = re.compile(r"(^|/)annotations/(trainval|list)\.txt$")
_LISTS: tuple[tuple[str, str | None], ...] = (("trainval", "train"), ("test", "test"))
_TRIMAP_CLASSES = ("background", "pet")
_STORED, _BORDER = (2, 1), 3
_NUMBER = re.compile("[0-9]{1,9}")


def recognize(inventory: Inventory) -> Dataset | None:
    """The dataset in a folder or in one below it, or None. The label is the breed that begins a file's name, in the
    order of the lists' class numbers. The mask is the trimap, whose border is neither pet nor background and is
    ignored; the boxes are those around heads, and of the breed's class. An image may have none of these. Raises
    `DataError` for a line that is not `name class species breed`.
    """
    found = find_folder(inventory, frozenset(("images", "annotations")).issubset)
    folder = inventory.root / (found or "")
    if found is None or not _is_pets(folder):
        return None
    official = [(folder / "annotations" / f"{name}.txt", split) for name, split in _LISTS]
    lists = [(file, split) for file, split in official if file.is_file()]
    lists = lists or [(folder / "annotations" / "list.txt", None)]
    rows = [(name, split, number) for file, split in lists for name, number in _rows(file)]
    breeds = {number: name.rpartition("_")[0].replace("_", " ") for name, _, number in rows}
    order = {number: index for index, number in enumerate(sorted(breeds))}
    labels = np.array([order[number] for _, _, number in rows], dtype=np.int64)
    ground_truths: dict[str, GroundTruth] = {"labels": Labels(labels, tuple(breeds[number] for number in order))}
    reason = "the Oxford-IIIT pets' " + " and ".join(f"annotations/{file.name}" for file, _ in lists)
    names = [name for name, _, _ in rows]
    notes: list[str] = []
    present = [is_file(folder / _trimap(name)) for name in names]
    if any(present):
        ground_truths["masks"] = _masks(folder, names, present)
        reason += " with the breeds, annotations/trimaps with masks: 1 is pet, 2 background, 3, the border, is ignored"
        alone = [f"images/{name}.jpg" for name, there in zip(names, present, strict=True) if not there]
        if alone:
            notes.append(f"{len(alone)} images have no trimap, such as {', '.join(alone[:NAMED])}")
    heads, more = _heads(
        inventory.below(found) if found else inventory, names, labels, tuple(breeds[number] for number in order)
    )
    if heads is not None:
        ground_truths["boxes"] = heads
        reason += "; annotations/xmls with boxes around heads, whose class is the breed"
    images = ImageFiles(folder, tuple(f"images/{name}.jpg" for name in names))
    dataset = build_dataset(folder, NAME, reason, images, [split for _, split, _ in rows], ground_truths)
    annotations = tuple(_trimap(name) for name, there in zip(names, present, strict=True) if there)
    return replace(dataset, notes=(*notes, *more), annotations=annotations)


def _masks(folder: Path, names: Sequence[str], present: Sequence[bool]) -> Masks:
    files = tuple(_trimap(name) for name, there in zip(names, present, strict=True) if there)
    indices = np.where(present, np.cumsum(present) - 1, -1).astype(np.int64)
    reader = MaskFiles(folder, files, _STORED, (_BORDER,))
    return Masks(reader, _TRIMAP_CLASSES, MASK_COLORS[: len(_TRIMAP_CLASSES)], indices)


def _heads(
    inventory: Inventory, names: Sequence[str], labels: Indices, breeds: tuple[str, ...]
) -> tuple[Boxes | None, Sequence[str]]:
    """The boxes around the heads of the images of these ``names``, and notes on them; None where there is no file."""
    entries = []
    for name, label in zip(names, labels.tolist(), strict=True):
        path = f"annotations/xmls/{name}.xml"
        file = read_annotation(inventory, path) if is_file(inventory.root / path) else None
        if file is not None:
            entry = as_entry(inventory, file, f"images/{name}.jpg", {})
            objects = tuple(replace(one, name=breeds[label]) for one in entry.objects)
            entries.append(replace(entry, objects=objects))
    if not entries:
        return None, ()
    boxed = boxed_dataset(inventory, NAME, "", entries, breeds)
    positions = {boxed.images.name(index): index for index in range(len(boxed))}
    indices = np.array([positions.get(f"images/{name}.jpg", -1) for name in names], dtype=np.int64)
    return cast(Boxes, boxed.ground_truths["boxes"].take(indices)), boxed.notes


def _trimap(name: str) -> str:
    return f"annotations/trimaps/{name}.png"


def _is_pets(folder: Path) -> bool:
    for path in (folder / "annotations" / "trainval.txt", folder / "annotations" / "list.txt"):
        lines = [line for line in read_lines(path) if not line.startswith("#")] if path.is_file() else []
        name, *numbers = lines[0].split() if lines else [""]
        if "_" in name and len(numbers) == 3 and all(map(_NUMBER.fullmatch, numbers)):
            return True
    return False


def _rows(path: Path) -> list[tuple[str, int]]:
    rows = []
    for line in read_lines(path):
        if not line.startswith("#"):
            words = line.split()
            if len(words) != 4 or not _NUMBER.fullmatch(words[1]):
                raise DataError(f"{path} has a line that is not 'name class species breed': {line!r}; correct it.")
            rows.append((words[0], int(words[1])))
    return rows
