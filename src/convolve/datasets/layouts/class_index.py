"""Names of classes kept beside data that has numbers or codes instead: `class_to_idx.json`, `cat_to_name.json`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from unicodedata import normalize

from convolve.datasets.inventory import NAMED, Inventory, natural
from convolve.datasets.labels import Labels
from convolve.datasets.layouts.documents import read_json
from convolve.datasets.layouts.table_columns import is_file_name
from convolve.errors import UNPRINTABLE, DataError
from convolve.untrusted.files import is_file
from convolve.values import Dataset

MARK = re.compile(
    r"^([^/]+/)?[^/]*(class|label|categor|synset|index|indices|idx|id2|_to_name|names)[^/]*\.json$", re.IGNORECASE
)
"""Files that may name classes, at the top or one folder below."""


_LARGEST = 10_000_000  # bytes of such a file
_DISTINCT = 0.9  # of the names in it, at least; ImageNet's thousand have two pairs of the same ones


def name_classes(inventory: Inventory, dataset: Dataset) -> Dataset:
    """The dataset with the names that a file gives its classes, in their natural order; as it was where these have no
    digits in them, or where no file names them.

    These forms are known: `{"cat": 0}`, `{"0": "cat"}`, `{"0": ["n02123045", "cat"]}`, `{"n02123045": "cat"}`, a list
    of names, and Hugging Face's `id2label`. A file is taken where it names every class; one that names only some of
    them, or is damaged, is said.
    Raises `DataError` where two files give different names.
    """
    labels = dataset.ground_truths.get("labels")
    if not isinstance(labels, Labels) or not all(any(map(str.isdecimal, name)) for name in labels.classes):
        return dataset
    found: dict[str, dict[str, str]] = {}
    notes = list(dataset.notes)
    for file in filter(MARK.search, inventory.files):
        try:
            names = _read_names(inventory.root / file, labels.classes)
        except DataError as error:
            notes.append(f"{file} was not taken: {error}")
            continue
        if len(names) == len(labels.classes):
            found[file] = names
        elif names:
            lacking = [name for name in labels.classes if name not in names]
            notes.append(f"{file} was not taken: it has no name for the class {', '.join(lacking[:NAMED])}")
    if not found:
        return replace(dataset, notes=tuple(notes))
    file, names = next(iter(found.items()))
    for other, differing in found.items():
        if differing != names:
            raise DataError(f"{file} and {other} in {inventory.root} name classes differently; remove one of them.")
    times = Counter(names.values())
    called = [f"{name} ({code})" if times[name] > 1 else name for code, name in names.items()]
    renamed = Labels(labels.values, tuple(called)).with_classes(sorted(called, key=natural))
    examples = [f"{code} is {name}" for code, name in names.items()][:NAMED]
    notes.append(f"{file} names the classes: {', '.join(examples)}{' and so on' * (len(names) > NAMED)}")
    return replace(dataset, ground_truths={**dataset.ground_truths, "labels": renamed}, notes=tuple(notes))


def _read_names(file: Path, classes: Sequence[str]) -> dict[str, str]:
    """The names of those classes that a file names; nothing where it is about something else. Raises `DataError` for a
    damaged one.
    """
    document = read_json(file, ()) if is_file(file) and file.stat().st_size <= _LARGEST else None
    entries = dict(enumerate(document)) if isinstance(document, list) else document
    if isinstance(entries, dict) and isinstance(entries.get("id2label"), dict):
        entries = entries["id2label"]
    if not isinstance(entries, dict) or not entries:
        return {}
    pairs = [_as_pair(str(key), value) for key, value in entries.items()]
    if all(pair and pair[1].isdecimal() for pair in pairs):  # {"cat": "0"}
        pairs = [(pair[1], pair[0]) for pair in pairs if pair and not pair[0].isdecimal()]
    names = {_plain(pair[0]): normalize("NFC", pair[1]).strip() for pair in pairs if pair}
    if odd := [name for name in names.values() if not name or UNPRINTABLE.search(name)]:
        raise DataError(f"{file} has a name that cannot be printed, {odd[0]!r}; correct it.")
    distinct = {name.casefold() for name in names.values() if not is_file_name(name)}
    if len(names) < len(entries) or len(distinct) < _DISTINCT * len(names):
        return {}
    return {name: names[_plain(name)] for name in classes if _plain(name) in names}


def _as_pair(key: str, value: object) -> tuple[str, str] | None:
    """A class's code and its name."""
    match value:
        case bool():
            return None
        case int():
            return str(value), key
        case str():
            return key, value
        case [str() as code, str() as name]:
            return code, name
    return None


def _plain(code: str) -> str:
    """A code without the zeros or the decimal point that programs write to a number."""
    number = re.fullmatch(r"0*([0-9]+)(?:\.0)?", code.strip())
    return number[1] if number else code.strip()
