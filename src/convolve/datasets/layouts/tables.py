"""Tables of images: CSV, TSV, plain text or JSON Lines with a path, a label (or several), perhaps a split on each line.

The `metadata.csv` and `metadata.jsonl` of Hugging Face's `ImageFolder` are such tables.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from unicodedata import normalize

from convolve.datasets.images import ImageFiles
from convolve.datasets.inventory import NAMED, Inventory, natural, take_inventory
from convolve.datasets.labels import as_labels
from convolve.datasets.layouts import box_tables, class_index, point_tables
from convolve.datasets.layouts.documents import copy_note
from convolve.datasets.layouts.json_lines import SUFFIX, read_json_lines
from convolve.datasets.layouts.mask_pairs import is_mask
from convolve.datasets.layouts.parts import NoGroundTruthError, build_dataset, split_of, split_word
from convolve.datasets.layouts.table_cells import PROBED, NoTableError, is_empty, read_cells, refuse_own, split_labels
from convolve.datasets.layouts.table_columns import (
    Columns,
    ImageFinder,
    ImageIndex,
    find_columns,
    flag_of,
    is_file_name,
    is_foreign,
    lists_classes,
)
from convolve.datasets.reading import BY_LOOKING, ReadingOptions
from convolve.errors import DataError, shorten
from convolve.files import shell_quote
from convolve.values import Dataset

NAME = "table"
EXPECTED = "labels.csv, .tsv, .txt or metadata.jsonl (columns path, label and perhaps split)"
MARK = re.compile(r"^([^/]+/)?[^/]+\.(csv|tsv|txt|jsonl)$", re.IGNORECASE)
SUFFIXES = (".csv", ".tsv", ".txt", SUFFIX)
_FILE = re.compile(r"[^\t,;|]+\.(?:jpe?g|png|gif|bmp|tiff?|webp)", re.IGNORECASE)
_MOST_TABLES = 20  # of one folder; a folder that holds more of them keeps notes on single images
_HALF = 0.5  # of the images in a folder, which a table names at least
_FEW = 2  # rows that may not all have the same label, at least
_MANY = 10  # rows that cannot all have a label of their own
TEXTS = frozenset(("text", "caption", "captions", "description", "prompt", "sentence"))
"""Columns that describe an image in words of their own."""
_CONFLICTS = 0.1  # of the images in a table, which may have two labels at most


@dataclass(frozen=True)
class _Row:
    path: str
    cells: tuple[str, ...]
    split: str | None
    exists: bool


@dataclass(frozen=True)
class _Table:
    path: Path
    name: str
    columns: Columns
    delimiter: str
    encoding: str
    origin: str
    """Folder of another machine that the paths count from."""
    rows: list[_Row]

    @property
    def split(self) -> str | None:
        return split_of(self.name)

    @property
    def label_names(self) -> tuple[str, ...]:
        return tuple(self.columns.names[column] for column in self.columns.labels)


def recognize(inventory: Inventory) -> Dataset | None:
    """The dataset that the tables in a folder, or else those one folder below, describe; None where none names images.

    An image that is missing stays listed and fails when it is read. Several labels in a cell, or columns of 0 and 1 for
    each class, make a multi-label dataset. Raises `DataError` that says of each table of images why it is not taken:
    it cannot be understood, names less than half of the images, or holds predictions instead of the ground truth.
    """
    index = ImageIndex(inventory)
    obstacles: list[DataError] = []
    for names in _candidates(inventory):
        found: list[_Table] = []
        for name in names:
            try:
                table = _read(inventory.root / name, index, inventory.options, predictions=False)
                _check_labels(table)
            except NoTableError:
                continue
            except DataError as error:
                obstacles.append(error)
            else:
                found.append(table)
        found, duplicates = _without_duplicates(found)
        if found := _select(inventory, found, obstacles):
            dataset = _dataset(inventory.root, found)
            if any(map(class_index.MARK.search, inventory.files)):
                dataset = class_index.name_classes(inventory, dataset)
            return replace(dataset, notes=(*duplicates, *dataset.notes, *map(str, obstacles)))
    if not obstacles:
        return None
    first = min(obstacles, key=lambda error: isinstance(error, NoGroundTruthError))
    others = f"; nor {'is another table' if len(obstacles) == 2 else f'are {len(obstacles) - 1} other tables'} read."
    raise type(first)(f"{str(first).rstrip('.')}{others}" if len(obstacles) > 1 else str(first)) from None


def open_file(path: Path, options: ReadingOptions = BY_LOOKING) -> Dataset:
    """The dataset that one table describes, whatever it names. Raises `DataError` where it cannot be understood."""
    table = _read(path, ImageIndex(take_inventory(path.parent, options)), options, predictions=True)
    return _dataset(path.parent, [replace(table, rows=[replace(row, split=_own(table, row)) for row in table.rows])])


def _own(table: _Table, row: _Row) -> str | None:
    """The split that a column or folders say, while the table's name says nothing of one table alone."""
    return row.split if table.columns.split is not None or table.split is None else None


def _candidates(inventory: Inventory) -> tuple[list[str], list[str]]:
    """The tables at the top, less plain texts on single images, and those in folders there that are no plain text;
    without those of boxes, and those of points without a label.
    """
    images = {image.rpartition(".")[0] for image in inventory.images}
    folders: dict[str, list[str]] = {}
    for name in inventory.annotation_files(MARK):
        folder = name.rpartition("/")[0]
        single = name.casefold().endswith(".txt") and (folder or name[: -len(".txt")] in images)
        other = box_tables.MARK.search(name) and inventory.options.layout != NAME
        path = inventory.root / name
        if not single and not (other and (box_tables.has_boxes(path) or point_tables.has_points(path, alone=True))):
            folders.setdefault(folder, []).append(name)
    for folder, names in folders.items():
        if len(names) > _MOST_TABLES:
            folders[folder] = [name for name in names if name.rpartition(".")[0] not in images][:_MOST_TABLES]
    below = [name for folder, names in folders.items() if folder for name in names]
    return folders.get("", []), below if len(below) <= _MOST_TABLES else []


def _read(path: Path, index: ImageIndex, options: ReadingOptions, predictions: bool) -> _Table:
    """A table below the root of the images; `DataError` for what convolve wrote unless ``predictions`` are wanted."""
    name = path.relative_to(index.root).as_posix()
    images = ImageFinder(index, name.rpartition("/")[0])
    lines = path.suffix.casefold() == SUFFIX
    cells = (
        read_json_lines(path)
        if lines
        else read_cells(path, lambda cell: _FILE.fullmatch(cell) is not None or images.names_image(cell))
    )
    try:
        if cells.rows and not predictions:
            refuse_own(cells.rows[0])
        try:
            columns = find_columns(cells.rows, images, options)
        except DataError as error:
            known = any(images.names_image(cell) for row in cells.rows[:PROBED] for cell in row)
            raise (type(error) if known or isinstance(error, NoTableError) else NoGroundTruthError)(
                str(error)
            ) from error
        body = cells.rows[columns.start :]
        if lists_classes(body, columns) or lists_classes(cells.rows, columns):
            raise NoTableError("is a list of classes by their numbers; a path and a label on each line are needed.")
        origin = _find_origin([line[columns.image].replace("\\", "/") for line in body], images)
        split = split_of(name)
        rows = [_row(columns, line, images, origin, split) for line in body]
        if columns.split is None and split is None:
            rows = _split_by_folders(rows)
        if any(is_file_name(cell) for row in rows[:PROBED] for cell in row.cells):
            raise DataError("pairs images with images; a label for each is needed.")
        for row in rows:
            if not row.exists and len(several := images.find_all(row.path)) > 1:
                raise DataError(f"names {row.path}, which may be {' or '.join(several[:NAMED])}; write its path.")
        if not any(row.exists for row in rows):
            names = ", ".join(shorten(row.path) for row in rows[:NAMED])
            remedy = "correct the paths" if index.paths else "give the folder that holds the images too"
            raise DataError(f"names images that are not in {index.root}: {names}; {remedy}.")
    except DataError as error:
        raise type(error)(f"{path} {error}") from error
    return _Table(path, name, columns, cells.delimiter, cells.encoding, origin, rows)


def _find_origin(names: Sequence[str], images: ImageFinder) -> str:
    """The folder of another machine that the paths in a table have in common; nothing where some of them are found as
    they are, or where the folders below do not tell that the images here are the same.
    """
    if not all(map(is_foreign, names)) or any(map(images.find, names)):
        return ""
    origin = posixpath.dirname(posixpath.commonprefix([f"{posixpath.dirname(name)}/" for name in names]))
    inside = [name.removeprefix(f"{origin}/") for name in names]
    found = [(name, image) for name in inside if "/" in name and (image := images.find(name))]
    above = {tuple(image.split("/")[: -len(name.split("/"))]) for name, image in found}
    if len(above) != 1 or len(found) < _HALF * len(names):
        return ""
    here = next(iter(above))
    split = split_word(here[-1]) if here else None
    return origin if split in (None, split_word(posixpath.basename(origin))) else ""


def _row(columns: Columns, line: Sequence[str], images: ImageFinder, origin: str, split: str | None) -> _Row:
    name = line[columns.image]
    if is_empty(name):
        raise DataError(f"has a line that names no image: {shorten(', '.join(line))}; complete it.")
    if columns.split is not None:
        split = columns.split_of(line[columns.split])
        if split is None:
            raise DataError(
                f"puts {shorten(name)} into a split called '{shorten(line[columns.split])}'; write train, val or test."
            )
    found = images.find(name.replace("\\", "/").removeprefix(f"{origin}/") if origin else name)
    return _Row(found or name, tuple(line[column] for column in columns.labels), split, found is not None)


def _split_by_folders(rows: list[_Row]) -> list[_Row]:
    """The rows with the splits after which the folders of all of their images are called, where these are several."""
    found = [next(filter(None, map(split_word, row.path.split("/")[:-1])), None) for row in rows]
    if None in found or len(set(found)) < 2:
        return rows
    return [replace(row, split=split) for row, split in zip(rows, found, strict=True)]


def _check_labels(table: _Table) -> None:
    """Raise `DataError` for a table that was not given by name and looks like something else than labels."""
    labels = {row.cells for row in table.rows}
    if "submission" in table.name.casefold():
        raise NoGroundTruthError(f"{table.path} is called a submission; give the file itself to read it as labels.")
    if len(labels) == 1 and len(table.rows) >= _FEW and not is_empty(table.rows[0].cells[0]):
        label = ", ".join(table.rows[0].cells)
        raise DataError(f"{table.path} has only one class, '{label}', for all of its images; label others too.")
    name = table.label_names[0]
    if name.casefold() in TEXTS and len(labels) > _HALF * len(table.rows):
        raise DataError(
            f"{table.path} has a text on each image in the column {name} and no labels; choose a column of labels with "
            "--label-column, or give the file itself to read the texts as labels."
        )
    if len(labels) == len(table.rows) >= _MANY and len(table.columns.labels) == 1:
        raise DataError(
            f"{table.path} gives each image a label of its own in the column {name}; choose another one with "
            "--label-column."
        )


def _without_duplicates(tables: Sequence[_Table]) -> tuple[list[_Table], list[str]]:
    """The tables without those that say the same as another one, which has a shorter name; and a note on each copy."""
    kept: list[_Table] = []
    duplicates: dict[str, str] = {}
    for table in sorted(tables, key=lambda table: (len(table.name), natural(table.name))):
        for one in kept:
            if one.rows == table.rows and one.label_names == table.label_names:
                duplicates[table.name] = one.name
        kept += [] if table.name in duplicates else [table]
    notes = [copy_note(name, other) for name, other in duplicates.items()]
    return [table for table in tables if table.name not in duplicates], notes


def _select(inventory: Inventory, tables: Sequence[_Table], obstacles: list[DataError]) -> list[_Table]:
    """The one table, or those of splits, that name at least half of the images; the others become ``obstacles``.

    Raises `DataError` where several remain that are not the splits of one dataset.
    """
    options, noted = inventory.options, len(obstacles)
    told = options.layout == NAME or bool(options.image_column or options.label_column)
    large = [table for table in tables if table.split or _names_most(inventory, [table], obstacles)]
    tables = large or (tables if told else [])
    overlaps = any(
        one.split == other.split and {row.path for row in one.rows}.intersection(row.path for row in other.rows)
        for position, one in enumerate(tables)
        for other in tables[:position]
    )
    if len(tables) > 1 and (overlaps or not all(table.split for table in tables)):
        names = ", ".join(str(table.path) for table in tables)
        raise DataError(
            f"{inventory.root} holds {len(tables)} tables of images; give the one that you want: {names}; or choose it "
            f"with --annotations {shell_quote(tables[0].name)}."
        )
    if large and _names_most(inventory, tables, obstacles):
        return list(tables)
    if told:
        del obstacles[noted:]
    return list(tables) if told else []


def _names_most(inventory: Inventory, tables: Sequence[_Table], obstacles: list[DataError]) -> bool:
    """Whether tables name half of the images, of which masks do not count, nor test images where there are others."""
    rows = [row for table in tables for row in table.rows if row.exists]
    named = {row.path for row in rows}
    parts = {path.partition("/")[0] for path in named}
    others = [image for image in inventory.images if image not in named and not is_mask(image)]
    tests = all(row.split == "test" or split_word(row.path.partition("/")[0]) == "test" for row in rows)
    unlabeled = [
        image for image in others if split_word(part := image.partition("/")[0]) == "test" and part not in parts
    ]
    count = len(others) - (0 if tests else len(unlabeled))
    if len(named) >= _HALF * (len(named) + count) and not (tests and others):
        return True
    names = " and ".join(str(table.path) for table in tables)
    total = f"{len(named) + count:,} images{', those of tests' * tests}"
    text = f"{names} names only {len(named):,} of {total}; give the file itself, or --layout {NAME}, to read it."
    obstacles.append(NoGroundTruthError(text))
    return False


def _dataset(root: Path, tables: Sequence[_Table]) -> Dataset:
    rows = [row for table in tables for row in table.rows]
    names = " and ".join(table.name for table in tables)
    notes = [note for table in tables for note in _describe(table)]
    try:
        lists, multi_label, what = _label_lists(tables)
    except DataError as error:
        raise DataError(f"In {names} in {root} {error}") from error
    notes += [f"{names}: {what}"] if what else []
    named = {row.path for row in rows}
    bare = [row.path for row, labels in zip(rows, lists, strict=True) if not labels]
    if len(bare) == len(rows):
        raise DataError(f"{names} in {root} gives no image a label; complete it.")
    notes += _count(names, "gives no label to", bare, "as images with none of them" if multi_label else "left out")
    if not multi_label:
        rows = [row for row, labels in zip(rows, lists, strict=True) if labels]
        lists = [labels for labels in lists if labels]
    kept = _merge(names, rows, lists, notes)
    rows, lists = [rows[index] for index in kept], [lists[index] for index in kept]
    notes += _count(names, "names", [row.path for row in rows if not row.exists], "missing")
    classes = {label for labels in lists for label in labels}
    if len(tables[0].columns.labels) > 1:
        classes.update(tables[0].label_names)
    labels = as_labels(lists, sorted({normalize("NFC", label) for label in classes}, key=natural), multi_label)
    images = ImageFiles(root, tuple(row.path for row in rows))
    dataset = build_dataset(root, NAME, f"the table {names}", images, [row.split for row in rows], {"labels": labels})
    left, sources = tuple(named - set(images.names)), tuple(table.name for table in tables)
    return replace(dataset, notes=(*dataset.notes, *notes), left_out=left, sources=sources)


def _describe(table: _Table) -> list[str]:
    """What was interpreted: an encoding, and the columns where there are more than those used."""
    columns, notes = table.columns, []
    if table.encoding != "UTF-8":
        notes.append(f"{table.name} is not UTF-8 and was read as {table.encoding}")
    if columns.flagged_splits and columns.split is not None:
        no, yes = columns.flagged_splits
        notes.append(f"{table.name}: {columns.names[columns.split]} puts images into {yes}, all others into {no}")
    if table.origin:
        notes.append(f"{table.name}: paths counted from {table.origin}")
    if columns.others:
        labels = ", ".join(map(shorten, table.label_names[:NAMED])) + " and others" * (len(columns.labels) > NAMED)
        unused = ", ".join(map(shorten, columns.others[:NAMED])) + " and others" * (len(columns.others) > NAMED)
        used = f"images by the column {columns.names[columns.image]}, labels by {labels}"
        notes.append(f"{table.name}: {used}; not used: {unused}")
    return notes


def _count(names: str, what: str, paths: Sequence[str], state: str) -> list[str]:
    """A note on images, if there are any."""
    images = f"{len(paths):,} image{'s' * (len(paths) > 1)}"
    listed = ", ".join(map(shorten, paths[:NAMED])) + " and others" * (len(paths) > NAMED)
    return [f"{names} {what} {images}, {state}: {listed}"] if paths else []


def _label_lists(tables: Sequence[_Table]) -> tuple[list[list[str]], bool, str]:
    """The labels of each row, whether an image may have several, and in what way they are told apart, if in any."""
    if len({table.label_names for table in tables if table.columns.start or len(table.columns.labels) > 1}) > 1:
        raise DataError("the columns of labels differ; write the same ones into each table.")
    rows = [row for table in tables for row in table.rows]
    names = tables[0].label_names
    if len(names) == 1:
        lists, separator = split_labels([row.cells[0] for row in rows], names[0], tables[0].delimiter)
        return lists, separator is not None, f"several labels in a cell, between {separator}" if separator else ""
    lists = [[name for name, cell in zip(names, row.cells, strict=True) if flag_of(cell)] for row in rows]
    return lists, any(len(labels) != 1 for labels in lists), f"a column of 0 and 1 for each of {len(names)} labels"


def _merge(names: str, rows: Sequence[_Row], lists: Sequence[list[str]], notes: list[str]) -> list[int]:
    """The rows without those that repeat another one, and without images that have different labels.

    Raises `DataError` where these are many.
    """
    labels: dict[str, set[frozenset[str]]] = {}
    for row, found in zip(rows, lists, strict=True):
        labels.setdefault(row.path, set()).add(frozenset(found))
    conflicts = [path for path, found in labels.items() if len(found) > 1]
    if len(conflicts) > _CONFLICTS * len(labels):
        raise DataError(
            f"{names} gives {len(conflicts):,} of {len(labels):,} images different labels in several lines, such as "
            f"{', '.join(map(shorten, conflicts[:NAMED]))}; write them into one cell, between semicolons."
        )
    notes += _count(names, "gives different labels in several lines to", conflicts, "left out")
    first = {(row.path, row.split): index for index, row in reversed(list(enumerate(rows)))}
    again = dict.fromkeys(row.path for index, row in enumerate(rows) if first[row.path, row.split] != index)
    notes += _count(names, "repeats", [path for path in again if len(labels[path]) == 1], "counted once")
    return sorted(index for (path, _), index in first.items() if len(labels[path]) == 1)
