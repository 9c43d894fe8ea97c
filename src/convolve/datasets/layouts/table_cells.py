"""A table's text: its encoding, what separates its cells, and what separates the labels in one cell."""

from __future__ import annotations

import codecs
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from convolve.datasets.layouts.parts import NoGroundTruthError
from convolve.errors import DataError, shorten
from convolve.untrusted.documents import check_cells, cut_rows
from convolve.untrusted.files import read_file, read_start

PROBED = 100
"""Rows at the beginning of a table by which its form is judged."""
_DELIMITERS = "\t,;|"
_LAST_WORD, _FIRST_WORD, _ALL_WORDS = " ", "  ", "   "
"""Spaces before the last word, after the first, or between all of them."""
_EXCEL = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
"""The line by which Excel says what separates the cells."""
_EMPTY = frozenset(("", "nan", "-nan", "null", "n/a", "#n/a", "<na>"))
_SEPARATORS = {"semicolons or bars": re.compile("[;|]"), "commas": re.compile("[;|]|,(?! )")}
"""What separates several labels anywhere; a comma followed by a space belongs to a name."""
_IN_LISTS = {"commas and spaces": re.compile(", "), "spaces": re.compile(r"\s+")}
"""What separates labels only where the same ones are combined in other ways elsewhere."""
_PLURALS = frozenset(("labels", "classes", "tags", "categories"))
_DECIMAL = re.compile(r"[-+]?\d+,\d+")


class NoTableError(DataError):
    """A text that is no table of images, rather than one that cannot be understood."""


class TwoImagesError(DataError):
    """A table with two columns of images, of which neither is the likely one."""


_PREDICTIONS = frozenset(("image", "error"))
"""Columns of each table that `convolve predict` writes."""
LABEL_ERRORS = ("image", "label", "suggested", "margin", "label_probability", "suggested_probability")
"""Columns of the table of label errors that `convolve data --label-errors` writes."""
CLEANED = "cleaned_path"
"""First column of each table that `convolve data --fix` writes."""
_LONGEST_HEADER = 1 << 16  # bytes


@dataclass(frozen=True)
class Cells:
    """The cells of each line that is not empty, what separates them, and what the text is encoded by."""

    rows: list[list[str]]
    delimiter: str
    encoding: str


def read_cells(table: Path, names_image: Callable[[str], bool]) -> Cells:
    """A table's cells, cut at that delimiter which cuts out most names of images: tabs, commas, semicolons or bars; or,
    in plain text, the spaces before the last or after the first word, or all of them where a word is a number.

    Raises `DataError` for what is no text, and for quotation marks that are not closed (`NoTableError` in plain text).
    """
    try:
        text, encoding = decode_text(read_file(table))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{table} cannot be read as text ({error}); save it as UTF-8.") from error
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    delimiter = declared_delimiter(lines[0])
    if delimiter:
        return Cells(_cut(table, lines[1:], delimiter), delimiter, encoding)
    start = lines[:PROBED]
    first = next((line for line in lines if line.strip()), "")
    marks = [mark for mark in _DELIMITERS if any(mark in line for line in start)]
    marks.sort(key=lambda mark: mark not in first)
    ways = (*marks, _ALL_WORDS, _LAST_WORD, _FIRST_WORD)
    best = max(ways, key=lambda mark: _count_images(start, mark, names_image))  # the first one of those that tie
    return Cells(_cut(table, lines, best), best.strip(" ") or " ", encoding)


def decode_text(blob: bytes) -> tuple[str, str]:
    """A text, and its encoding: UTF-8, UTF-16, CP949 where it makes Korean of most that is not ASCII, or Latin-1 with
    the signs that Windows adds to it. Raises `UnicodeDecodeError`.
    """
    if blob.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return blob.decode("utf-16"), "UTF-16"
    if b"\0" in blob:
        little = blob[1::2].count(0) > blob[::2].count(0)
        return blob.decode("utf-16-le" if little else "utf-16-be"), "UTF-16"
    try:
        return blob.decode("utf-8-sig"), "UTF-8"
    except UnicodeDecodeError:
        pass
    korean = blob.decode("cp949", errors="replace")
    foreign = [character for character in korean if ord(character) > 127]
    usual = [character for character in foreign if "가" <= character <= "힣" and _is_usual(character)]
    if "\ufffd" not in foreign and 2 * len(usual) > len(foreign):
        return korean, "CP949"
    return blob.decode("cp1252"), "Latin-1"


def _is_usual(character: str) -> bool:
    """Whether a syllable is one of the 2,350 of KS X 1001."""
    try:
        return bool(character.encode("euc-kr"))
    except UnicodeEncodeError:
        return False


def declared_delimiter(line: str) -> str | None:
    """The character after `sep=`, which Excel puts in the first line of a table."""
    found = _EXCEL.fullmatch(line.strip(" "))
    return found[1] if found else None


def is_number(cell: str) -> bool:
    """Whether a cell is a number with a decimal point or none."""
    return re.fullmatch(r"[-+]?[\d.]+", cell) is not None


def is_empty(cell: str) -> bool:
    """Whether a cell holds nothing, as a spreadsheet or a program writes it."""
    return cell.casefold() in _EMPTY


def _count_images(lines: Sequence[str], delimiter: str, names_image: Callable[[str], bool]) -> int:
    """How many different names of images one of the columns has."""
    named: dict[int, set[str]] = defaultdict(set)
    try:
        rows = _cut(Path(), lines, delimiter)
        if delimiter == _ALL_WORDS and not _has_numbers(rows):
            return 0
        for row in rows:
            for column, cell in enumerate(row):
                if names_image(cell):
                    named[column].add(cell)
    except DataError:
        return 0
    return max(map(len, named.values()), default=0)


def _has_numbers(rows: Sequence[Sequence[str]]) -> bool:
    """Whether lines have three words or more each, of which the last or the first one is a number everywhere."""
    lengths = set(map(len, rows))
    return len(lengths) == 1 and min(lengths) > 2 and any(all(is_number(row[end]) for row in rows) for end in (0, -1))


def _cut(table: Path, lines: Sequence[str], delimiter: str) -> list[list[str]]:
    try:
        if delimiter in (_LAST_WORD, _FIRST_WORD, _ALL_WORDS):
            rows = [_split_words(line, number, delimiter) for number, line in enumerate(lines, 1)]
        else:
            rows = cut_rows((f"{line}\n" for line in lines), delimiter, spaced=delimiter != "\t", strict=True)
    except ValueError as error:
        kind = NoTableError if table.suffix.casefold() == ".txt" else DataError
        what = f"{table} cannot be read as a table ({error})"
        raise kind(f"{what}; correct that line, or close its quotation marks.") from error
    return [[cell.strip() for cell in row] for row in rows if any(cell.strip() for cell in row)]


def _split_words(line: str, number: int, delimiter: str) -> list[str]:
    """A line cut at spaces. Raises `ValueError` for more words than a table has cells, wherever it is cut."""
    words = line.split()
    check_cells(words, number)
    if delimiter == _LAST_WORD:
        return line.rsplit(None, 1)
    return line.split(None, 1) if delimiter == _FIRST_WORD else words


def split_labels(cells: Sequence[str], column: str, delimiter: str) -> tuple[list[list[str]], str | None]:
    """The labels in each cell of a column, and what separates them where any cell has several.

    Raises `DataError` where commas may be decimal signs as well as separators.
    """
    different = list(dict.fromkeys(cells))
    filled = [cell for cell in different if not is_empty(cell)]
    if filled and all(cell[0] + cell[-1] in ("[]", "()", "{}") for cell in filled):
        inside = {cell: [part.strip(" '\"") for part in cell[1:-1].split(",")] for cell in filled}
        lists = [[part for part in inside.get(cell, ()) if part] for cell in cells]
        return lists, "commas in brackets" if any(len(labels) != 1 for labels in lists) else None
    plural = column.casefold() in _PLURALS
    for what, pattern in (_SEPARATORS | _IN_LISTS).items():
        parts = {cell: _parts(pattern, cell) for cell in different}
        several = any(len(labels) > 1 for labels in parts.values())
        if not several or (what in _IN_LISTS and not (plural and _recur(parts.values()))):
            continue
        if what == "commas" and _are_decimals(filled, column, plural, delimiter):
            continue
        return [parts[cell] for cell in cells], what
    parts = {cell: _parts(_SEPARATORS["semicolons or bars"], cell) for cell in different}
    return [parts[cell] for cell in cells], None


def _parts(pattern: re.Pattern[str], cell: str) -> list[str]:
    return [] if is_empty(cell) else [part.strip() for part in pattern.split(cell) if part.strip()]


def _recur(cells: Iterable[Sequence[str]]) -> bool:
    """Whether each label of a cell that has several is in another combination too, so that they are no name."""
    combinations = {tuple(labels) for labels in cells}
    count: dict[str, int] = defaultdict(int)
    for labels in combinations:
        for label in set(labels):
            count[label] += 1
    several = {label for labels in combinations if len(labels) > 1 for label in labels}
    return len(count) < len(combinations) + 1 and all(count[label] > 1 for label in several)


def _are_decimals(cells: Sequence[str], column: str, plural: bool, delimiter: str) -> bool:
    """Whether the commas in cells are decimal signs; certain where semicolons separate the columns."""
    if not all(_DECIMAL.fullmatch(cell) for cell in cells if "," in cell):
        return False
    if plural != (delimiter == ";"):
        return not plural
    example = shorten(next(cell for cell in cells if "," in cell))
    raise DataError(
        f"the commas in the column {column}, such as in {example}, may separate "
        "labels or be decimal signs; write ; between labels, or decimal points."
    )


def refuse_own(header: Sequence[str]) -> None:
    """Raise `NoGroundTruthError` for a table that convolve wrote."""
    if _PREDICTIONS.issubset(header):
        raise NoGroundTruthError("holds predictions of convolve; give the file itself to read them as labels.")
    if tuple(header) == LABEL_ERRORS:
        raise NoGroundTruthError("holds label errors that convolve found; give the file itself to read them as labels.")
    if header[0] == CLEANED:
        raise NoGroundTruthError("was written by --fix; give the file itself to read it.")


def is_predictions(table: Path) -> bool:
    """Whether `convolve predict` wrote a table. Raises `OSError`."""
    return _PREDICTIONS.issubset(_read_header(table))


def is_label_errors(table: Path) -> bool:
    """Whether `convolve data --label-errors` wrote a table. Raises `OSError`."""
    return tuple(_read_header(table)) == LABEL_ERRORS


def is_cleaned(table: Path) -> bool:
    """Whether `convolve data --fix` wrote a table. Raises `OSError`."""
    return _read_header(table)[:1] == [CLEANED]


def _read_header(table: Path) -> list[str]:
    """The cells of a table's first line, between commas."""
    rows = cut_rows(read_start(table, _LONGEST_HEADER).decode("utf-8", "replace").splitlines(keepends=True))
    return rows[0] if rows else []
