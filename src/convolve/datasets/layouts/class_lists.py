"""Lists of classes next to masks: names, perhaps with numbers and colors, as people and programs write them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from unicodedata import normalize

from convolve.datasets.inventory import IMAGE_SUFFIXES, Inventory
from convolve.datasets.layouts.parts import read_lines
from convolve.errors import DataError
from convolve.untrusted.documents import cut_rows
from convolve.values import Color

IGNORED = frozenset(("void", "ignore", "ignored", "unlabeled", "unlabelled", "__ignore__"))
"""Classes that are neither learned from nor measured."""
_LISTS = re.compile(
    r"(?:.*/)?(_?classes|class_?names|labels?|label_?colou?rs|label_?map|codes|names|class_dict\w*|colou?rs)\.(txt|csv)$"
)
_LONGEST = 1_000  # characters of a line in a list of classes
_MOST = 10_000  # classes that are looked at
_MOST_DIGITS = 9  # of a class's number
_DEPTH = 2  # folders above a list, at most
_NUMBER_HEADS = (
    "id",
    "index",
    "idx",
    "value",
    "pixel value",
    "pixel",
    "class id",
    "label id",
    "number",
    "code",
    "train id",
    "trainid",
)
_NAME_HEADS = ("name", "class name", "label name", "class", "classes", "names", "label", "labels", "category", "title")
_COLOR_HEADS = (("r", "g", "b"), ("red", "green", "blue"))
_WHOLE_COLOR_HEADS = ("color", "colour", "rgb", "color rgb", "hex")
_HEADS = frozenset((*_NUMBER_HEADS, *_NAME_HEADS, *_COLOR_HEADS[0], *_COLOR_HEADS[1], *_WHOLE_COLOR_HEADS))
_TRIPLE = re.compile(r"[(\[]?\s*(\d{1,3})[\s,]+(\d{1,3})[\s,]+(\d{1,3})\s*[)\]]?")
_HEX = re.compile(r"#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})", re.IGNORECASE)
_COLOR = r"(?P<color>[(\[]?\d{1,3}[\s,]+\d{1,3}[\s,]+\d{1,3}[)\]]?|#[0-9a-fA-F]{6})"
_NUMBER = r"(?P<number>\d+)(?:\s*[:=.)]\s*|\s+)"
_NAME = r"(?P<name>(?!\d+\s)\S.*)"
_LINES = tuple(
    re.compile(pattern)
    for pattern in (
        rf"{_NUMBER}{_COLOR}\s+{_NAME}",
        rf"{_NUMBER}(?P<name>.*\S)[\s:]+{_COLOR}",
        rf"{_COLOR}\s+{_NAME}",
        rf"(?P<name>.*\S)[\s:]+{_COLOR}",
        rf"{_NUMBER}(?P<name>.*\D.*)",
        r"(?P<name>.*\S)(?:\s*[:=]\s*|\s+)(?P<number>\d+)",
    )
)
"""Lines of a text with numbers or colors, the most telling first."""


@dataclass(frozen=True)
class ListedClass:
    """An entry of a list: a name, perhaps with its color and with the number that masks store for it."""

    name: str
    color: Color | None = None
    number: int | None = None


@dataclass(frozen=True)
class ClassList:
    """What the file ``source`` lists: ``names``, the ``numbers`` that masks store for them, and their ``colors``, none
    where it has none.
    """

    source: str
    names: tuple[str, ...]
    numbers: tuple[int, ...]
    colors: tuple[Color, ...] = ()


def find_class_list(inventory: Inventory) -> ClassList | None:
    """The list of classes nearest to the root: a text of names, a table, or CVAT's `labelmap.txt`; one for each split
    counts once. None where there is none. Raises `DataError` where two lists differ or one names a class twice.
    """
    files = [file for file in inventory.files if file.count("/") <= _DEPTH and _LISTS.fullmatch(file.casefold())]
    for depth in range(_DEPTH + 1):
        near = [file for file in files if file.count("/") == depth]
        found = [(file, classes) for file in near if (classes := read_classes(inventory.root / file))]
        differing = [file for file, classes in found if classes != found[0][1]]
        if differing:
            first, second = inventory.root / found[0][0], inventory.root / differing[0]
            raise DataError(f"{first} and {second} list different classes; remove one of them.")
        if found:
            source, classes = found[0]
            numbers = tuple(index if each.number is None else each.number for index, each in enumerate(classes))
            colors = tuple(each.color for each in classes if each.color is not None)
            return ClassList(source, tuple(each.name for each in classes), numbers, colors)
    return None


def read_classes(path: Path) -> tuple[ListedClass, ...]:
    """The classes of a list, in its order; none where the file lists images or nothing. Raises `DataError`."""
    lines = [line for line in read_lines(path) if not line.startswith("#") or _HEX.match(line)]
    cells = [cell for line in lines for cell in re.split(r"[,;\s]+", line)]
    if any("." in cell and Path(cell).suffix.casefold() in IMAGE_SUFFIXES for cell in cells):
        return ()
    try:
        classes = _read_classes(path.name, lines)
    except ValueError as error:
        raise DataError(f"{path} {error}; correct it.") from error
    if len(classes) > _MOST:
        raise DataError(f"{path} lists {len(classes):,} classes, and masks hold 254 at most; shorten it.")
    classes = [ListedClass(normalize("NFC", each.name), each.color, each.number) for each in classes]
    _check(path, classes)
    return tuple(classes)


def _read_classes(name: str, lines: Sequence[str]) -> list[ListedClass]:
    """The classes of a list that is called so. Raises `ValueError`."""
    classes: list[ListedClass] = []
    if re.search(r"label_?map", name.casefold()):
        rows = [line.split(":") for line in lines]
        classes = [ListedClass(cells[0].strip(), _as_color(cells[1])) for cells in rows if len(cells) > 2]
    if not classes:
        table = _cells(lines)
        classes = _read_table(table) if table else _read_lines(lines)
    return classes


def _check(path: Path, classes: Sequence[ListedClass]) -> None:
    bare = [each.name for each in classes if each.color is None]
    if bare and len(bare) < len(classes):
        raise DataError(
            f"{path} gives some classes a color and others none from 0 to 255, such as {bare[0]!r}; give each its own."
        )
    meant = [each for each in classes if each.name.casefold() not in IGNORED]
    for what, values in (
        ("name", [each.name for each in meant]),
        ("number", [each.number for each in classes if each.number is not None]),
        ("color", [each.color for each in classes if each.color is not None]),
    ):
        twice = [value for value, count in Counter(values).items() if count > 1]
        if twice:
            raise DataError(f"{path} lists the {what} {twice[0]!r} twice; give each class its own.")


def _cells(lines: Sequence[str]) -> list[list[str]]:
    """The rows of a table with a delimiter; none where the lines are no table."""
    for delimiter in "\t;,":
        rows = [[cell.strip() for cell in row] for row in cut_rows(lines, delimiter, spaced=True)]
        while rows and all(len(row) > 1 and not row[-1] for row in rows):
            rows = [row[:-1] for row in rows]
        if rows and all(len(row) > 1 for row in rows) and len({len(row) for row in rows}) == 1:
            return rows if len(rows) > 1 or delimiter != "," else [[cell] for cell in rows[0] if not cell.isdecimal()]
    return []


def _read_table(rows: list[list[str]]) -> list[ListedClass]:
    heads = [re.sub(r"[_\s]+", " ", cell.casefold()) for cell in rows[0]]
    if len(heads) == 1:
        return [ListedClass(row[0]) for row in rows]
    if not any(map(_is_value, rows[0])) and len(rows) > 1:
        numeric = any(all(_is_value(row[index]) for row in rows[1:]) for index in range(len(heads)))
        if numeric or _HEADS.issuperset(heads):
            return _read_columns(heads, rows[1:])
    return [_read_row(row) for row in rows]


def _read_columns(heads: list[str], rows: list[list[str]]) -> list[ListedClass]:
    """The classes of a table with a header."""
    numeric = [head for index, head in enumerate(heads) if all(row[index].isdecimal() for row in rows)]
    channels = next((each for each in _COLOR_HEADS if set(numeric).issuperset(each)), ())
    texts = [head for head in heads if head not in numeric and head not in _WHOLE_COLOR_HEADS]
    name = next((head for head in (*_NAME_HEADS, *texts) if head in texts), None)
    number = next((head for head in (*_NUMBER_HEADS, *_NAME_HEADS) if head in numeric), None)
    whole = next((head for head in _WHOLE_COLOR_HEADS if head in heads), "")
    found = []
    for row in rows if name else ():
        cells = dict(zip(heads, row, strict=True))
        color = _as_color(" ".join(cells[head] for head in channels) if channels else cells.get(whole, ""))
        found.append(ListedClass(cells[name or ""], color, _as_number(cells[number]) if number else None))
    return found


def _read_row(row: list[str]) -> ListedClass:
    """The class of a table's row without a header: a name between numbers; the last three of them are its color."""
    triples = [_TRIPLE.fullmatch(cell) for cell in row]
    row = [part for cell, triple in zip(row, triples, strict=True) for part in (triple.groups() if triple else [cell])]
    texts = [index for index, cell in enumerate(row) if not _is_value(cell)]
    values = [cell for cell in row if _is_value(cell)]
    if not values or not texts:
        return ListedClass(", ".join(row))
    if texts[0] == 3:  # the color comes first
        values = values[3:] + values[:3]
    color = _as_color(values[-1]) or _as_color(" ".join(values[-3:]))
    numbers = [value for value in values[: -3 if len(values) > 2 else None] if value.isdecimal()]
    return ListedClass(row[texts[0]], color, _as_number(numbers[0]) if numbers else None)


def _read_lines(lines: Sequence[str]) -> list[ListedClass]:
    """The classes of a text with a name on each line, perhaps with a number or a color before or after it.

    What all lines have is no part of the names, unless two names would be the same without it.
    """
    if (longest := max(map(len, lines), default=0)) > _LONGEST:
        raise ValueError(f"has a line of {longest:,} characters, which is no name of a class")
    heads = re.split(r"\s+", lines[0].casefold()) if len(lines) > 1 else [""]
    if _HEADS.issuperset(heads) and (len(heads) > 1 or heads[0] in _NAME_HEADS):
        lines = lines[1:]
    found = [ListedClass(line) for line in lines]
    for pattern in _LINES:
        matches = [pattern.fullmatch(line) for line in lines]
        parts = [match.groupdict() for match in matches if match]
        read = [
            ListedClass(
                part["name"],
                _as_color(part.get("color", "")),
                _as_number(part["number"]) if part.get("number") else None,
            )
            for part in parts
        ]
        numbers = [each.number for each in read if each.number is not None]
        twice = len({each.name for each in read}) < len(read) or len(set(numbers)) < len(numbers)
        colored = "color" not in pattern.groupindex or any(each.color for each in read)
        if len(read) == len(lines) and colored and not twice:
            return read
    if all(line.isdecimal() for line in lines):
        return [ListedClass(f"class {(number := _as_number(line))}", number=number) for line in lines]
    return found


def _is_value(cell: str) -> bool:
    return cell.isdecimal() or _as_color(cell) is not None


def _as_number(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError(f"has the number {digits[:_MOST_DIGITS]}…, which no mask holds")
    return int(digits)


def _as_color(text: str) -> Color | None:
    """Red, green and blue, as three numbers or in hexadecimal digits."""
    match, base = _HEX.fullmatch(text.strip()), 16
    if match is None:
        match, base = _TRIPLE.fullmatch(text.strip()), 10
    red, green, blue = (int(part, base) for part in match.groups()) if match else (256, 256, 256)
    return (red, green, blue) if max(red, green, blue) < 256 else None
