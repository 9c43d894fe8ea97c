"""Parquet files with the bytes of images and their labels, as Hugging Face keeps datasets."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from convolve.datasets.inventory import NAMED, Inventory, begins_as_image, natural
from convolve.datasets.labels import as_labels
from convolve.datasets.layouts.parts import build_dataset, split_of, split_word
from convolve.datasets.layouts.table_cells import is_empty
from convolve.datasets.layouts.table_columns import LABELS
from convolve.datasets.layouts.tables import TEXTS
from convolve.datasets.parquet_images import ParquetImages, read_shard
from convolve.datasets.reading import ReadingOptions
from convolve.errors import DataError, shorten
from convolve.untrusted.documents import parse_json
from convolve.untrusted.files import read_start
from convolve.untrusted.parquet import open_parquet
from convolve.values import Dataset

NAME = "parquet"
EXPECTED = "train-00000-of-00001.parquet with image bytes and labels (Hugging Face)"
MARK = re.compile(r"\.parquet$", re.IGNORECASE)
_NUMBERED = re.compile(r"-(\d{5})-of-(\d{5})(?=[-.])")
_MANY = 10  # rows that cannot all have a label of their own
_POINTER = b"version https://git-lfs"
_Column = Sequence[Any]


@dataclass(frozen=True)
class _File:
    """A file's columns: ``image`` with the bytes, or nothing, perhaps in structures (``structured``) with the ``paths``
    too; all of them by name with their type as Arrow writes it; and what Hugging Face says of them.
    """

    path: str
    image: str
    structured: bool
    paths: bool
    types: Mapping[str, str]
    features: Mapping[str, Any]


def recognize(inventory: Inventory) -> Dataset | None:
    """The dataset in a folder of Parquet files; None where there is none. A file belongs to the split that its name or
    else its folder says. Raises `DataError` without pyarrow, for damaged files, and where it is not certain which
    column to take; `--image-column` and `--label-column` choose one.
    """
    files = [file for file in inventory.files if MARK.search(file)]
    if not files:
        return None
    dataset = _read(inventory.root, files, inventory.options)
    if inventory.images:
        some = ", ".join(inventory.images[:NAMED])
        note = f"left out: {len(inventory.images):,} image files beside the Parquet files, such as {some}"
        dataset = replace(dataset, notes=(*dataset.notes, note))
    return dataset


def open_file(path: Path, options: ReadingOptions) -> Dataset:
    """The dataset in one file. Raises `DataError`."""
    return _read(path.parent, [path.name], options)


def _read(root: Path, paths: Sequence[str], options: ReadingOptions) -> Dataset:
    schemas = [_read_schema(root, path, options) for path in paths]
    files = [file for file in schemas if file.image]
    if not files:
        listed = ", ".join(schemas[0].types)
        raise DataError(
            f"{root / paths[0]} has no column with the bytes of image files; it has {listed}. Save paths as CSV."
        )
    _check_alike(root, files)
    label = _label_column(root, files[0], options)
    try:
        shards = [read_shard(root, file.path, file.image, file.structured) for file in files]
    except (OSError, ValueError) as error:
        raise DataError(f"{root / paths[0]} cannot be read ({error}); copy it again.") from error
    values = [value for file in files for value in _read_column(root / file.path, label)]
    names = _names(root, files, [sum(shard.rows) for shard in shards])
    splits = [split_of(file.path) for file, shard in zip(files, shards, strict=True) for _ in range(sum(shard.rows))]
    declared = _declared_classes(files[0].features.get(label))
    try:
        lists = _label_lists(values, declared)
    except DataError as error:
        raise DataError(f"In the column {label} of {_name_files(files)} in {root}: {error}") from error
    multi_label = "list" in files[0].types[label]
    _check_labels(root / files[0].path, label, lists, options)
    kept = [index for index, labels in enumerate(lists) if labels or multi_label]
    found = sorted({name for labels in lists for name in labels}, key=natural)
    labels = as_labels([lists[index] for index in kept], declared or found, multi_label)
    images = ParquetImages(root, tuple(shards), names).take(np.array(kept, dtype=np.int64))
    reason = f"{_name_files(files)} with images in the column {files[0].image} and labels in {label}"
    dataset = build_dataset(root, NAME, reason, images, [splits[index] for index in kept], {"labels": labels})
    notes = _notes(files, label, len(lists) - len(kept))
    notes += [f"{file.path} was not taken: it has no column with the bytes of image files"
              for file in schemas if not file.image]  # fmt: skip
    return replace(dataset, notes=tuple(notes))


def _read_schema(root: Path, path: str, options: ReadingOptions) -> _File:
    try:
        pointer = read_start(root / path, len(_POINTER)) == _POINTER
    except OSError as error:
        raise DataError(f"{root / path} cannot be opened ({error.strerror}); restore it or leave it out.") from error
    try:
        with open_parquet(root / path) as file:
            schema = file.schema_arrow
        told = parse_json((schema.metadata or {}).get(b"huggingface", b"{}"))
    except ImportError as error:
        raise DataError(f"{root / path} needs pyarrow; run `pip install convolve[parquet]`.") from error
    except (OSError, ValueError) as error:
        why = str(error).split(". ")[0]
        remedy = "it is a pointer of Git LFS; run `git lfs pull`" if pointer else f"{why}; copy it again"
        raise DataError(f"{root / path} cannot be read as Parquet ({remedy}).") from error
    features = _mapping(_mapping(_mapping(told).get("info")).get("features"))
    types = {field.name: str(field.type) for field in schema}
    image = _image_column(root / path, types, features, options)
    fields = re.findall(r"(\w+): ", types[image]) if types.get(image, "").startswith("struct") else []
    return _File(path, image, bool(fields), "path" in fields, types, features)


def _mapping(value: object) -> Mapping[str, Any]:
    """A part of the notes that Hugging Face's library leaves in a file; nothing where it is not as that writes it."""
    return value if isinstance(value, Mapping) else {}


def _image_column(file: Path, types: Mapping[str, str], features: Mapping[str, Any], options: ReadingOptions) -> str:
    """The chosen column; or the only one that holds image files, or of several the one called `image` or `img`; nothing
    where none does. Raises `DataError`.
    """
    if options.image_column is not None:
        if options.image_column not in types:
            raise DataError(f"{file} has no column {options.image_column}; choose one of {', '.join(types)}.")
        return options.image_column
    found = [name for name, value in types.items() if re.match(r"struct<.*\bbytes: (large_)?binary", value)]
    binary = [name for name, value in types.items() if value in ("binary", "large_binary")]
    found += [name for name in binary if begins_as_image(next(iter(_read_column(file, name, rows=1)), None) or b"")]
    told = [name for name in found if _mapping(features.get(name)).get("_type") == "Image"]
    for candidates in (told, found):
        usual = [name for name in candidates if name in ("image", "img")]
        if len(candidates) == 1 or len(usual) == 1:
            return (usual or candidates)[0]
    if found:
        raise DataError(
            f"{file} has images in the columns {', '.join(found)}; choose one with --layout {NAME} --image-column."
        )
    return ""


def _check_alike(root: Path, files: Sequence[_File]) -> None:
    """Raise `DataError` for files of several datasets."""
    folders = defaultdict(list)
    for file in files:
        folder = "/".join(part for part in file.path.split("/")[:-1] if not split_word(part, alone=False))
        folders[folder].append(file.path)
    if len(folders) > 1:
        names = ", ".join(str(root / folder) for folder in folders)
        raise DataError(f"{root} holds {len(folders)} datasets of Parquet files; give the one that you want: {names}.")
    first = files[0]
    for file in files[1:]:
        if (file.types, file.features) != (first.types, first.features):
            raise DataError(f"{root / first.path} and {root / file.path} have different columns or classes.")


def _label_column(root: Path, file: _File, options: ReadingOptions) -> str:
    """The chosen column; or the only one of classes, or one that is called as labels are, or the only other one."""
    others = [name for name, value in file.types.items() if name != file.image and not value.startswith("struct")]
    if options.label_column is not None:
        if options.label_column not in file.types:
            raise DataError(f"{root / file.path} has no column {options.label_column}; it has {', '.join(others)}.")
        return options.label_column
    declared = [name for name in others if _declared_classes(file.features.get(name))]
    called = [name for name in others if name.casefold() in LABELS]
    for found in (declared, [name for name in declared if name in called], called, others):
        if len(found) == 1 and "binary" not in file.types[found[0]]:
            return found[0]
    listed = ", ".join(file.types)
    raise DataError(
        f"It is not certain which column of {root / file.path} holds the labels; it has {listed}; choose one with "
        f"--layout {NAME} --label-column."
    )


def _declared_classes(feature: Any) -> tuple[str, ...]:
    """The names that Hugging Face's description of a column gives its numbers, or those in its lists."""
    while feature:
        inner = _mapping(feature[0] if isinstance(feature, list) else feature)
        names = inner.get("names")
        if inner.get("_type") == "ClassLabel" and isinstance(names, list):
            return tuple(map(str, names))
        feature = inner.get("feature")
    return ()


def _read_column(file: Path, column: str, rows: int | None = None) -> _Column:
    """The values of a column, or only the first ``rows``. Raises `DataError`."""
    try:
        with open_parquet(file) as source:
            if rows is None:
                values: _Column = source.read([column]).column(0).to_pylist()
                return values
            batch = next(source.iter_batches(rows, columns=[column]), None)
            return [] if batch is None else batch.column(0).to_pylist()
    except (OSError, ValueError) as error:
        raise DataError(f"{file} cannot be read ({error}); copy it again.") from error


def _names(root: Path, files: Sequence[_File], lengths: Sequence[int]) -> list[str]:
    """What the files call their images, where that is different everywhere, or else the files and numbers of rows."""
    if all(file.paths for file in files):
        values = [value for file in files for value in _read_column(root / file.path, f"{file.image}.path")]
        names = [value and value["path"] for value in values]
        if all(isinstance(name, str) and name.isprintable() and name for name in names) and len(set(names)) == len(
            names
        ):
            return names
    return [f"{file.path}#{row}" for file, length in zip(files, lengths, strict=True) for row in range(length)]


def _label_lists(values: _Column, declared: Sequence[str]) -> list[list[str]]:
    """The names of each image's classes; a number below 0 or nothing at all is none. Raises `DataError`."""
    lists = []
    for value in values:
        numbers = [] if value is None else value if isinstance(value, list) else [value]
        numbers = [each for each in numbers if each is not None and not (isinstance(each, int) and each < 0)]
        if any(isinstance(each, int) and each >= len(declared) for each in numbers if declared):
            raise DataError(f"A label of {max(numbers)} is outside of the {len(declared)} classes that are declared.")
        names = [declared[each] if declared and isinstance(each, int) else _as_name(each) for each in numbers]
        lists.append([name for name in names if not is_empty(name)])
    return lists


def _as_name(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, float) and not math.isnan(value):
        raise DataError(f"A label is {shorten(str(value))}; labels are names or whole numbers.")
    return str(value).strip()


def _check_labels(file: Path, label: str, lists: Sequence[Sequence[str]], options: ReadingOptions) -> None:
    """Raise `DataError` where nothing is labeled, or a column that was not chosen holds something else than labels."""
    labels = {tuple(each) for each in lists if each}
    if not labels:
        raise DataError(f"{file} gives no image a label in the column {label}; choose another one with --label-column.")
    text = label.casefold() in TEXTS and 2 * len(labels) > len(lists)
    if options.label_column is None and (text or len(labels) == len(lists) >= _MANY):
        raise DataError(
            f"{file} gives each image a label of its own in the column {label}; choose another one with "
            f"--layout {NAME} --label-column."
        )


def _name_files(files: Sequence[_File]) -> str:
    others = len(files) - 1
    return files[0].path + f" and {others} other Parquet file{'s' * (others > 1)}" * (others > 0)


def _notes(files: Sequence[_File], label: str, unlabeled: int) -> list[str]:
    """What is left out: columns, images without a label, and files that others announce."""
    notes = []
    others = [name for name in files[0].types if name not in (files[0].image, label)]
    if others:
        notes.append(
            f"columns not used: {', '.join(map(shorten, others[:NAMED]))}{' and others' * (len(others) > NAMED)}"
        )
    if unlabeled:
        notes.append(f"left out: {unlabeled:,} images without a label")
    announced = {}
    there = Counter[str]()
    for file in files:
        if match := _NUMBERED.search(file.path):
            stem = file.path[: match.start()]
            announced[stem] = int(match[2])
            there[stem] += 1
    for stem, count in announced.items():
        if there[stem] < count:
            notes.append(f"only {there[stem]} of the {count} files {stem}-*.parquet are there")
    return notes
