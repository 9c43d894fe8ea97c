"""ImageNet's folders of WordNet ids (Deng et al. 2009), with the validation images in one folder and a list of their
classes: Tiny ImageNet (`val_annotations.txt`) and the ILSVRC of Kaggle (`LOC_val_solution.csv`).
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import PurePosixPath

from convolve.datasets.inventory import IMAGE_SUFFIXES, NAMED, Inventory
from convolve.datasets.layouts.parts import labeled_files, read_lines, split_word
from convolve.errors import DataError
from convolve.untrusted.documents import parse_json
from convolve.untrusted.fields import as_dict, as_list, as_text
from convolve.untrusted.files import read_file
from convolve.values import Dataset

NAME = "imagenet"
EXPECTED = "train/n01440764/*.JPEG with val_annotations.txt or LOC_val_solution.csv (ImageNet)"
MARK = re.compile(r"(^|/)(val_annotations\.txt|LOC_val_solution\.csv|LOC_synset_mapping\.txt|wnids\.txt)$")
_ID = re.compile(r"n[0-9]{8}")
_LINE = re.compile(r"(.+?)[\t, ]+(n[0-9]{8})\b")
_NAMES = re.compile(r"(^|/)(words|LOC_synset_mapping)\.txt$")
_INDEX = re.compile(r"(^|/)imagenet_class_index\.json$")


def recognize(inventory: Inventory) -> Dataset | None:
    """The dataset in a folder, or None where no folder is called by a WordNet id. Classes are in the order of their ids
    and are called as `words.txt` or `LOC_synset_mapping.txt` say. Images without a class are left out.
    """
    listed = _validation_classes(inventory)
    rows: list[tuple[str, str | None, str]] = []
    for image in inventory.images:
        path = PurePosixPath(image)
        split = next(filter(None, map(split_word, path.parts[:-1])), None)
        identifier = next((part for part in path.parts[:-1] if _ID.fullmatch(part)), None)
        if identifier is None and split == "validation":
            identifier = listed.get(_stem(image))
        if identifier is not None:
            rows.append((image, split, identifier))
    identifiers = sorted({identifier for _, _, identifier in rows})
    if len(identifiers) < 2:
        return None
    words = _words(inventory)
    names = [words.get(identifier, identifier) for identifier in identifiers]
    repeated = {name for name, times in Counter(names).items() if times > 1}
    classes = [f"{name} ({one})" if name in repeated else name for name, one in zip(names, identifiers, strict=True)]
    index = {identifier: number for number, identifier in enumerate(identifiers)}
    reason = f"folders of {len(identifiers)} WordNet ids"
    if listed:
        reason += f", and a list of the classes of {len(listed):,} validation images"
    dataset = labeled_files(
        inventory.root, NAME, reason, [(path, split, index[one]) for path, split, one in rows], classes
    )
    there = {_stem(path) for path, split, _ in rows if split == "validation"}
    missing = [name for name in listed if name not in there]
    notes = [f"left out: {len(missing):,} missing, such as {', '.join(missing[:NAMED])}"] if missing else []
    return replace(dataset, notes=tuple(notes))


def _stem(name: str) -> str:
    """An image's name without its folders and suffix; Kaggle's list has no suffixes."""
    path = PurePosixPath(name)
    return path.stem if path.suffix.casefold() in IMAGE_SUFFIXES else path.name


def _validation_classes(inventory: Inventory) -> dict[str, str]:
    """Stem of a validation image -> WordNet id. Raises `DataError` for a line of another form."""
    found: dict[str, str] = {}
    for file in inventory.files:
        name = PurePosixPath(file).name
        if name in ("val_annotations.txt", "LOC_val_solution.csv"):
            lines = read_lines(inventory.root / file)
            for line in lines[1:] if name.endswith("csv") else lines:
                match = _LINE.match(line)
                if match is None:
                    raise DataError(f"{inventory.root / file} has a line without a WordNet id: {line!r}; correct it.")
                found[_stem(match[1])] = match[2]
    return found


def _words(inventory: Inventory) -> dict[str, str]:
    """WordNet id -> the name of its class."""
    found: dict[str, str] = {}
    for file in inventory.files:
        if _NAMES.search(file):
            pairs = (line.split(None, 1) for line in read_lines(inventory.root / file))
            found |= {pair[0]: pair[1].strip() for pair in pairs if len(pair) == 2}
        elif _INDEX.search(file):
            try:
                entries = [as_list(entry) for entry in as_dict(parse_json(read_file(inventory.root / file))).values()]
                found |= {as_text(one): as_text(name).replace("_", " ") for one, name in entries}
            except (OSError, ValueError) as error:
                raise DataError(f"{inventory.root / file} is damaged ({error}); copy it again.") from error
    return found
