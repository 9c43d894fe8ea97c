"""Tables of images: CSV, TSV or plain text with a path, a label (or several) and perhaps a split on each line."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from unicodedata import normalize

import numpy as np

from convolve.datasets.images import ImageFiles
from convolve.datasets.inventory import IMAGE_SUFFIXES, Inventory, natural, take_inventory
from convolve.datasets.labels import Labels
from convolve.datasets.layouts.parts import build_dataset, split_word
from convolve.datasets.reading import ReadingOptions
from convolve.errors import DataError
from convolve.values import Dataset

NAME = "table"
EXPECTED = "labels.csv, .tsv or .txt (columns path, label and perhaps split)"
MARK = re.compile(r"^[^/]+\.(csv|tsv|txt)$", re.IGNORECASE)
SUFFIXES = (".csv", ".tsv", ".txt")
_PATHS = frozenset(
    ("path", "filepath", "file", "filename", "file_name", "image", "image_path", "image_name", "name", "id")
)
_LABELS = frozenset(
    ("label", "labels", "class", "classes", "class_name", "target", "category", "tag", "tags", "species")
)
_SPLITS = frozenset(("split", "set", "subset", "partition", "part"))
_PROBED = 20  # rows in which at least one image must exist


@dataclass(frozen=True)
class _Row:
    path: str
    label: str
    split: str | None
    exists: bool


def recognize(inventory: Inventory) -> Dataset | None:
    """The dataset that the tables in a folder describe; None where no table names images.

    Paths count from the table's folder; an image's bare name, also without its suffix, is found anywhere below it. An
    image that is missing stays listed and fails when it is read. Labels separated by `;`, `|` or a comma without
    space make a multi-label dataset.
    """
    path = inventory.root
    tables = [path / name for name in inventory.files if MARK.search(name)]
    images = _ImageFinder(inventory)
    found = [(table, rows) for table in tables if (rows := _probe(table, images))]
    if len(found) > 1 and not all(_split_of(table) for table, _ in found):
        names = ", ".join(str(table) for table, _ in found)
        raise DataError(f"{path} holds {len(found)} tables of images; give the one that you want: {names}.")
    return _dataset(path, found) if found else None


def open_file(path: Path, options: ReadingOptions) -> Dataset:
    """The dataset that one table describes. Raises `DataError` for a table that cannot be understood."""
    return _dataset(path.parent, [(path, _rows(path, _ImageFinder(take_inventory(path.parent, options)), None))])


class _ImageFinder:
    """Finds an image by what a table calls it."""

    def __init__(self, inventory: Inventory) -> None:
        self.root = inventory.root
        files = inventory.images
        self._paths = set(files)
        self._short: dict[str, str | None] = {}
        for path in files:
            pure = PurePosixPath(path)
            for short in {pure.name, pure.stem, str(pure.with_suffix(""))}:
                self._short[short] = None if short in self._short else path

    def find(self, name: str) -> str | None:
        path = name.replace("\\", "/").removeprefix("./")
        if path in self._paths:
            return path
        if not path:
            return None
        near = self._short.get(path) or self._short.get(PurePosixPath(path).name)
        return near or (path if PurePosixPath(path).suffix and (self.root / path).is_file() else None)


def _split_of(table: Path) -> str | None:
    words = [split_word(word) for word in re.split(r"[-_. ]", table.stem)]
    return next((word for word in words if word), None)


def _probe(table: Path, images: _ImageFinder) -> list[_Row] | None:
    """The rows of a file that may be something else altogether."""
    try:
        return _rows(table, images, _split_of(table))
    except DataError:
        return None


def _rows(table: Path, images: _ImageFinder, split: str | None) -> list[_Row]:
    cells = _cells(table)
    start, columns = _columns(table, cells, images)
    rows = [_row(table, columns, line, images, split) for line in cells[start:]]
    if not any(row.exists for row in rows[:_PROBED]):
        names = ", ".join(row.path for row in rows[:3])
        raise DataError(f"{table} names images that are not in {images.root}: {names}; correct the paths.")
    if any(PurePosixPath(row.label).suffix.casefold() in IMAGE_SUFFIXES for row in rows[:_PROBED]):
        raise DataError(f"{table} pairs images with images; a label for each is needed.")
    return rows


def _cells(table: Path) -> list[list[str]]:
    """The table's lines, cut at tabs, commas, semicolons or, in plain text, before the last word."""
    try:
        text = table.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{table} cannot be read as text ({error}); save it as UTF-8.") from error
    lines = text.splitlines()
    first = next((line for line in lines if line.strip()), "")
    delimiter = next((mark for mark in "\t,;" if mark in first), None)
    if delimiter is None:
        cells = [line.rsplit(None, 1) for line in lines]
    else:
        cells = list(csv.reader(text.splitlines(keepends=True), delimiter=delimiter))
    cells = [[cell.strip() for cell in line] for line in cells if any(cell.strip() for cell in line)]
    if not cells or len(cells[0]) < 2:
        raise DataError(f"{table} has no two columns; a path and a label on each line are needed.")
    return cells


def _columns(
    table: Path, cells: Sequence[Sequence[str]], images: _ImageFinder
) -> tuple[int, tuple[int, int, int | None]]:
    """Where the rows begin (after a header or not) and the columns of path, label and split."""
    header = [cell.casefold() for cell in cells[0]]
    begins_below = len(cells) > 1 and images.find(cells[1][0]) is not None
    if images.find(cells[0][0]) or not (set(header) & (_PATHS | _LABELS) or begins_below):
        split = 2 if len(header) == 3 and split_word(header[2]) else None
        if len(header) > (3 if split else 2):
            raise DataError(f"{table} has {len(header)} columns and no header; say which are path, label and split.")
        return 0, (0, 1, split)
    path = next((column for column, word in enumerate(header) if word in _PATHS), 0)
    split = next((column for column, word in enumerate(header) if word in _SPLITS), None)
    others = [column for column in range(len(header)) if column not in (path, split)]
    named = [column for column in others if header[column] in _LABELS]
    if not named and len(others) != 1:
        raise DataError(f"{table} has no column called label or class; it has {', '.join(cells[0][:6])}.")
    return 1, (path, (named or others)[0], split)


def _row(
    table: Path, columns: tuple[int, int, int | None], line: Sequence[str], images: _ImageFinder, split: str | None
) -> _Row:
    path, label, split_column = columns
    if len(line) <= max(path, label, split_column or 0):
        raise DataError(f"{table} has a line with too few columns: {', '.join(line)}; complete it.")
    word = split if split_column is None else split_word(line[split_column])
    if split_column is not None and word is None:
        raise DataError(
            f"{table} puts {line[path]} into a split called '{line[split_column]}'; write train, val or test."
        )
    found = images.find(line[path])
    return _Row(found or line[path], line[label], word, found is not None)


def _dataset(root: Path, tables: Sequence[tuple[Path, list[_Row]]]) -> Dataset:
    rows = [row for _, found in tables for row in found]
    names = " and ".join(table.name for table, _ in tables)
    multi_label = any(len(_split_labels(row.label)) > 1 for row in rows)
    cells = [_split_labels(row.label) if multi_label else [row.label] for row in rows]
    if not multi_label and (bare := next((row.path for row in rows if not row.label), None)):
        raise DataError(f"{names} in {root} gives {bare} no label; complete it.")
    labels = _labels([[normalize("NFC", label) for label in cell] for cell in cells], multi_label)
    missing = sum(not row.exists for row in rows)
    reason = f"the table {names}" + (f"; {missing} of its images are missing" if missing else "")
    images = ImageFiles(root, tuple(row.path for row in rows))
    return build_dataset(root, NAME, reason, images, [row.split for row in rows], {"labels": labels})


def _split_labels(cell: str) -> list[str]:
    """The labels in one cell; a comma followed by a space belongs to a name."""
    return [label.strip() for label in re.split(r"[;|]|,(?! )", cell) if label.strip()]


def _labels(cells: Sequence[Sequence[str]], multi_label: bool) -> Labels:
    classes = sorted({label for cell in cells for label in cell}, key=natural)
    indices = {label: index for index, label in enumerate(classes)}
    if not multi_label:
        return Labels(np.array([indices[cell[0]] for cell in cells], dtype=np.int64), tuple(classes))
    flags = np.zeros((len(cells), len(classes)), dtype=np.uint8)
    for row, cell in zip(flags, cells, strict=True):
        row[[indices[label] for label in cell]] = 1
    return Labels(flags, tuple(classes))
