"""A table's columns: which of them names the images, which holds the labels, and whether it has a header."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from unicodedata import normalize

from convolve.datasets.inventory import IMAGE_SUFFIXES, Inventory
from convolve.datasets.layouts.mask_pairs import is_mask
from convolve.datasets.layouts.parts import split_word
from convolve.datasets.layouts.table_cells import PROBED, NoTableError, TwoImagesError, is_empty, is_number
from convolve.datasets.reading import ReadingOptions
from convolve.errors import DataError, shorten
from convolve.untrusted.files import is_file

_FILES = frozenset(
    ("path", "paths", "filepath", "file_path", "file", "files", "filename", "file_name", "filenames", "image", "images",
     "image_path", "image_name", "image_file", "image_filename", "image_id", "imageid", "img", "img_path", "img_name",
     "img_id", "img_file", "url", "picture", "photo", "파일", "파일명", "파일이름", "이미지", "이미지명", "사진",
     "경로")
)  # fmt: skip
_IDENTIFIERS = frozenset(("id", "name"))
"""What may name images, or anything else."""
_INDICES = frozenset(("", "index", "unnamed:_0", "idx", "row"))
LABELS = frozenset(
    ("label", "labels", "class", "classes", "class_name", "target", "category", "tag", "tags", "species", "라벨",
     "레이블", "클래스", "분류", "정답")
)  # fmt: skip
_SPLITS = frozenset(("split", "set", "subset", "partition", "part"))
_KNOWN = _FILES | _IDENTIFIERS | LABELS | _SPLITS
_FLAGS = {"0": False, "0.0": False, "false": False, "1": True, "1.0": True, "true": True}
_ANSWERS = _FLAGS | {"no": False, "n": False, "f": False, "yes": True, "y": True, "t": True}
_SPLIT_FLAG = re.compile(r"is_?(train|training|valid|validation|val|test)(?:_?(?:set|image))?")
"""A column that says of each image whether it is in a split, as fastai's `is_valid` does."""
_FOREIGN = re.compile(r"/|[A-Za-z]:/|[a-z0-9]+://|~/|\.\./")
_DISTINCT = 5  # rows in which no value recurs, at least, where a column cannot hold labels
_LONGEST = 4096  # characters of a path
_TITLE = 5  # lines, among which the header is
_MOST = 0.5


class ImageIndex:
    """The images below a folder by what they may be called; each list is made when it is first needed."""

    def __init__(self, inventory: Inventory) -> None:
        self.root = inventory.root
        self.paths = {normalize("NFC", path): path for path in inventory.images}

    @cached_property
    def lower(self) -> dict[str, str | None]:
        """Each image by its path in lower case, None for two of them."""
        lower: dict[str, str | None] = {}
        for called, path in self.paths.items():
            key = called.casefold()
            lower[key] = None if key in lower else path
        return lower

    @cached_property
    def endings(self) -> dict[str, list[str]]:
        """The images by the last one and the last two parts of their paths, without suffix, in lower case."""
        endings: dict[str, list[str]] = {}
        for path in self.paths:
            parts = _stem(path.casefold()).split("/")
            endings.setdefault(parts[-1], []).append(path)
            if len(parts) > 1:
                endings.setdefault(f"{parts[-2]}/{parts[-1]}", []).append(path)
        return endings


@dataclass(frozen=True)
class ImageFinder:
    """Finds an image by what a table in ``folder`` (below the root, or ``""``) calls it.

    A path counts from that folder or from the root. Else the whole of it must be the ending of one image's path, or an
    image's path the ending of it, in upper or lower case, in any Unicode form, with its suffix or without any.
    """

    index: ImageIndex
    folder: str

    def find(self, name: str) -> str | None:
        """The path below the root; None where no image is meant, or several are."""
        path = _clean(name)
        if not path:
            return None
        below = f"{self.folder}/{path}" if self.folder else path
        if found := self.index.paths.get(below) or self.index.paths.get(path):
            return found
        if is_foreign(path):
            inside = path if Path(path).is_absolute() else os.path.normpath(below)
            return inside if self._exists(inside) else self._find_ending(path)
        if found := self._find_ending(path):
            return found
        named = PurePosixPath(path).suffix and not self.find_all(name)
        return below if named and self._exists(below) else None

    def find_all(self, name: str) -> list[str]:
        """The images whose paths end as a name does; masks only where nothing else does, and those in another case."""
        name = _clean(name)
        lower = name.casefold()
        candidates = self.index.endings.get("/".join(_stem(lower).split("/")[-2:]), [])
        whole = [path for path in candidates if f"/{_as_called(path.casefold(), lower)}".endswith(f"/{lower}")]
        same = len(whole) > 1 and [path for path in whole if f"/{_as_called(path, name)}".endswith(f"/{name}")]
        found = [self.index.paths[path] for path in same or whole]
        return found if len(found) < 2 else [path for path in found if not is_mask(path)] or found

    def names_image(self, cell: str) -> bool:
        """Whether there is an image of that name, or several."""
        return self.find(cell) is not None or bool(self.find_all(cell))

    def _exists(self, path: str) -> bool:
        return is_file(self.index.root / path)

    def _find_ending(self, path: str) -> str | None:
        if ending := self.find_all(path):
            return ending[0] if len(ending) == 1 else None
        parts = path.split("/")
        shorter = ("/".join(parts[start:]) for start in range(1, len(parts)))
        return next((found for short in shorter if (found := self.index.lower.get(short.casefold()))), None)


def _clean(name: str) -> str:
    """A name as it is looked for; nothing where no file can be called so."""
    return normalize("NFC", name).replace("\\", "/").removeprefix("./") if len(name) <= _LONGEST else ""


def is_foreign(path: str) -> bool:
    """Whether a path does not count from a folder of the data."""
    return _FOREIGN.match(path) is not None


def _stem(path: str) -> str:
    stem, _, suffix = path.rpartition(".")
    return stem if f".{suffix.casefold()}" in IMAGE_SUFFIXES else path


def _as_called(path: str, name: str) -> str:
    """An image's path with its suffix only where the name has one."""
    return path if _stem(name) != name else _stem(path)


def is_file_name(cell: str) -> bool:
    """Whether a cell is called as image files are."""
    return PurePosixPath(cell).suffix.casefold() in IMAGE_SUFFIXES


@dataclass(frozen=True)
class Columns:
    """A table's columns by position. ``names`` are the header, or numbers from 1; the first ``start`` rows are none.

    ``labels`` is one column, or those of a one-hot table.
    """

    names: tuple[str, ...]
    start: int
    image: int
    labels: tuple[int, ...]
    split: int | None

    @property
    def flagged_splits(self) -> tuple[str, str] | None:
        """The splits of the images of which a column such as `is_valid` says no and yes; None without such a column.
        What is not for training is for the test where nothing tells what else.
        """
        flag = self.start and self.split is not None and _SPLIT_FLAG.fullmatch(_words(self.names)[self.split])
        word = split_word(flag[1]) if flag else None
        return None if word is None else ("test" if word == "train" else "train", word)

    def split_of(self, cell: str) -> str | None:
        """The split that a cell of the split's column names; None where it names none."""
        return self.flagged_splits[_ANSWERS[cell.casefold()]] if self.flagged_splits else split_word(cell)

    @property
    def others(self) -> list[str]:
        """The columns that are not used."""
        used = {self.image, *self.labels, self.split}
        return [name for column, name in enumerate(self.names) if column not in used and name]


def flag_of(cell: str) -> bool:
    """Whether a cell of a one-hot table says yes."""
    return _FLAGS[cell.casefold()]


def find_columns(rows: list[list[str]], images: ImageFinder, options: ReadingOptions) -> Columns:
    """The columns of a table. Raises `NoTableError` for what names no images, and `DataError` for lines of different
    lengths and, with a list of the columns, where it is not certain which to take.
    """
    if max(map(len, rows), default=0) < 2:
        raise NoTableError("has no two columns; a path and a label on each line are needed.")
    title = next((number for number, row in enumerate(rows[:_TITLE]) if len(_KNOWN.intersection(_words(row))) > 1), 0)
    if not any(is_file_name(cell) for row in rows[:title] for cell in row):
        del rows[:title]
    if len(rows) > 2 and all(len(row) == len(rows[0]) + 1 for row in rows[1:]) and _counts_rows(rows[1:], 0):
        rows[0].insert(0, "")  # programs for statistics give the column of row numbers no name
    rows[0] = [normalize("NFC", cell) for cell in rows[0]]
    header = _words(rows[0])
    numbers = tuple(str(number + 1) for number in range(len(header)))
    asked = {
        normalize("NFC", name).casefold() for name in (options.image_column, options.label_column) if name is not None
    }
    named = any(cell.casefold() in asked for cell in rows[0])
    candidates = _image_columns(rows, header, images)
    _check_lengths(rows)
    start = int(named or _has_header(rows, header, candidates[0], images))
    names = tuple(rows[0]) if start else numbers
    if options.image_column is not None:
        image = _named_column(options.image_column, names)
    else:
        image = _first_of_same(candidates, rows, names, images)
    columns = Columns(names, start, image, (), None)
    body = rows[start:]
    if not body:
        raise DataError("has no line below its header; add the images.")
    asked_label = options.label_column
    columns = replace(columns, labels=(_named_column(asked_label, names),) if asked_label is not None else ())
    split = _split_column(body, header, columns)
    labels = columns.labels or _label_columns(body, header, columns, split)
    return replace(columns, labels=labels, split=None if split in labels else split)


def _words(row: Sequence[str]) -> list[str]:
    """The cells of a header as they are compared with usual words."""
    return [re.sub(r"[ -]", "_", normalize("NFC", cell).casefold()) for cell in row]


def _check_lengths(rows: Sequence[list[str]]) -> None:
    for row in rows:
        while len(row) > len(rows[0]) and not row[-1]:
            row.pop()
        if len(row) != len(rows[0]):
            many, line = "few" if len(row) < len(rows[0]) else "many", shorten(", ".join(row))
            remedy = "complete it, or put quotation marks around cells with commas"
            raise DataError(f"has a line with too {many} columns: {line}; {remedy}.")


def _named_column(name: str, names: Sequence[str]) -> int:
    name, lower = normalize("NFC", name), [each.casefold() for each in names]
    if name in names:
        return names.index(name)
    if name.casefold() in lower:
        return lower.index(name.casefold())
    raise DataError(f"has no column {name}; choose one of {', '.join(each for each in names if each)}.")


def _image_columns(rows: Sequence[Sequence[str]], header: Sequence[str], images: ImageFinder) -> list[int]:
    """Of the columns whose cells are images those that name files or whose header says so, that of the most first."""
    step = max(1, len(rows) // PROBED)
    sample = [[*row, *[""] * (len(header) - len(row))] for row in rows[::step]]
    named = {
        column: [cell for cell in (row[column] for row in sample) if images.names_image(cell)]
        for column in range(len(header))
    }
    most = max(map(len, named.values()))
    likely = _FILES.union(_IDENTIFIERS).intersection(header)
    if not most or (likely and all(header[column] in LABELS for column, cells in named.items() if cells)):
        return [_unfound_column(sample, header)]
    candidates = [column for column, cells in named.items() if len(cells) >= _MOST * most]
    unlikely = LABELS | _SPLITS | _INDICES
    preferences: tuple[Callable[[int], bool], ...] = (
        lambda column: 2 * sum(map(is_file_name, named[column])) > len(named[column]),
        lambda column: header[column] not in unlikely,
        lambda column: 2 * len(set(named[column])) > len(named[column]),
        lambda column: header[column] in _FILES,
    )
    for is_likely in preferences:
        candidates = [column for column in candidates if is_likely(column)] or candidates
    candidates.sort(key=lambda column: -len(named[column]))
    best = candidates[0]
    called = [column for column, word in enumerate(header) if word in _FILES and column not in candidates]
    called = [column for column in called if _MOST * len(sample) <= sum(is_file_name(row[column]) for row in sample)]
    if called and header[best] not in _FILES:
        return called[:1]  # numbers that happen to be names of images say nothing of missing files
    files = sum(is_file_name(row[best]) for row in sample)
    if max(len(set(named[best])), files) < _MOST * len(sample) and not _KNOWN.intersection(header):
        raise NoTableError("names images in few of its lines; a path and a label on each line are needed.")
    return candidates


def _first_of_same(
    candidates: Sequence[int], rows: Sequence[Sequence[str]], names: Sequence[str], images: ImageFinder
) -> int:
    """The first column. Raises `DataError` where another one names other images (and there is one for labels)."""
    best, sample = candidates[0], rows[:: max(1, len(rows) // PROBED)]
    for other in candidates[1:]:
        if len(names) > 2 and any(images.find(row[best]) != images.find(row[other]) for row in sample):
            listed = " and ".join(names[column] or f"column {column + 1}" for column in (best, other))
            raise TwoImagesError(f"names images in two columns, {listed}; choose one with --image-column.")
    return best


def _unfound_column(rows: Sequence[Sequence[str]], header: Sequence[str]) -> int:
    """The column that ought to name the images, where none of them is there."""
    for column in range(len(header)):
        if _MOST * len(rows) <= sum(is_file_name(row[column]) for row in rows):
            return column
    known = [column for column, word in enumerate(header) if word in _FILES | _IDENTIFIERS]
    if known and LABELS.intersection(header):
        return next((column for column in known if header[column] in _FILES), known[0])
    raise NoTableError("names no images; a path and a label on each line are needed.")


def _has_header(rows: Sequence[Sequence[str]], header: Sequence[str], image: int, images: ImageFinder) -> bool:
    if is_file_name(rows[0][image]):
        return False
    if len(_KNOWN.intersection(header)) > 1:
        return True
    if len(rows) < 2 or images.names_image(rows[0][image]):
        return False
    if _KNOWN.intersection(header) or is_file_name(rows[1][image]):
        return True
    others = [column for column in range(len(header)) if column != image]
    return not any(rows[0][column] == row[column] for row in rows[1:] for column in others)


def _split_column(body: Sequence[Sequence[str]], header: Sequence[str], columns: Columns) -> int | None:
    others = [column for column in range(len(header)) if column not in (columns.image, *columns.labels)]
    if columns.start:
        named = next((column for column in others if header[column] in _SPLITS), None)
        flags = {column: {row[column] for row in body} for column in _split_flags(header) if column in others}
        clear = [column for column, cells in flags.items() if {cell.casefold() for cell in cells} <= set(_ANSWERS)]
        for column, cells in flags.items() if named is None and not clear else ():
            odd = sorted(cell for cell in cells if cell.casefold() not in _ANSWERS)
            raise DataError(f"has '{odd[0]}' in the column {columns.names[column]}; write yes or no, or remove it.")
        return clear[0] if named is None and len(clear) == 1 else named
    found = [column for column in others if all(split_word(row[column]) for row in body)]
    return found[0] if len(found) == 1 and len(others) > 1 else None


def _split_flags(header: Sequence[str]) -> list[int]:
    """The columns called `is_valid` and the like, unless others are called `is_car`: then each is a class."""
    flags = [column for column, word in enumerate(header) if _SPLIT_FLAG.fullmatch(word)]
    classes = [column for column, word in enumerate(header) if word.startswith("is_") and column not in flags]
    return [] if classes else flags


def _label_columns(
    body: Sequence[Sequence[str]], header: Sequence[str], columns: Columns, split: int | None
) -> tuple[int, ...]:
    """The column called so, the only one, the columns of flags, or the only one whose values recur and differ."""
    values = {column: {row[column] for row in body} for column in range(len(header))}
    others = [column for column in values if column not in (columns.image, split)]
    named = [column for column in others if columns.start and header[column] in LABELS]
    named = [column for column in named if not all(map(is_empty, values[column]))] or named
    listed = ", ".join(name for name in columns.names if name)
    if split is not None and not others:
        raise DataError(f"has no column called label or class; it has {listed}; add one, or its splits are not used.")
    if len(named) == 1 or len(others) == 1:
        return ((named or others)[0],)
    if named:
        if (same := _name_of_pair(body, named)) is None:
            called = " and ".join(columns.names[column] for column in named)
            raise DataError(f"has labels in the columns {called}; choose one with --label-column.")
        return (same,)
    telling = [column for column in others if header[column] not in _INDICES or not columns.start]
    telling = [column for column in telling if not _counts_rows(body, column)]
    splits = set(_split_flags(header))
    classes = [column for column in telling if column not in splits]
    flags = {cell.casefold() for column in classes for cell in values[column]}
    if columns.start and len(classes) > 1 and flags <= set(_FLAGS):
        return tuple(classes)
    if len(body) >= _DISTINCT and len(telling) > 1:
        telling = [column for column in telling if 1 < len(values[column]) < len(body)]
        telling = [column for column in telling if len(telling) > 1 or not all(map(is_number, values[column]))]
    same = telling[0] if len(telling) == 1 else _name_of_pair(body, telling)
    if same is not None:
        return (same,)
    if columns.start:
        raise DataError(f"has no column called label or class; it has {listed}; choose one with --label-column.")
    raise DataError(
        f"has {len(header)} columns and no header; add one (path, label and perhaps split), or choose the label's with "
        f"--label-column, such as --label-column {others[0] + 1}."
    )


def _name_of_pair(body: Sequence[Sequence[str]], columns: Sequence[int]) -> int | None:
    """Of columns that say the same in names and in numbers, the one with names."""
    numeric = [all(is_number(row[column]) for row in body) for column in columns]
    pairs = {tuple(row[column] for column in columns) for row in body}
    sizes = {len({pair[side] for pair in pairs}) for side in range(len(columns))}
    if sizes != {len(pairs)} or len(pairs) < 2 or numeric.count(False) != 1:
        return None
    return columns[numeric.index(False)]


def _counts_rows(body: Sequence[Sequence[str]], column: int) -> bool:
    """Whether a column holds the numbers of the rows, from 0 or 1."""
    cells = [row[column] for row in body]
    return len(cells) > 1 and any(cells == [str(number + first) for number in range(len(cells))] for first in (0, 1))


def lists_classes(body: Sequence[Sequence[str]], columns: Columns) -> bool:
    """Whether a table gives each number from 0 or 1 a name of its own, as lists of classes do."""
    labels = {tuple(row[column] for column in columns.labels) for row in body}
    return len(labels) == len(body) and _counts_rows(body, columns.image)
