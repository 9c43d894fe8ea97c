"""JSON Lines as a table: an object on each line, such as the `metadata.jsonl` of Hugging Face's `ImageFolder`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from convolve.datasets.layouts.table_cells import Cells, NoTableError, decode_text
from convolve.errors import DataError
from convolve.untrusted.documents import parse_json
from convolve.untrusted.files import read_file

SUFFIX = ".jsonl"
_FREE, _VOUCHED = 200_000, 16
"""Cells that a table of lines may have, and how many more for each value that is there."""


def read_json_lines(table: Path) -> Cells:
    """The cells below a header of the objects' keys. Several values of a key are joined by semicolons; a key of nested
    values, such as boxes, keeps its column without any cell filled.

    Raises `DataError` for a line that is no JSON, for lines that have hardly a key in common, and where nested values
    are all that there is to learn, and `NoTableError` for lines that are no objects.
    """
    try:
        text, encoding = decode_text(read_file(table))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{table} cannot be read as text ({error}); save it as UTF-8.") from error
    entries = [_read_line(table, number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    keys = list(dict.fromkeys(key for entry in entries for key in entry))
    if len(keys) * len(entries) > _FREE + _VOUCHED * sum(map(len, entries)):
        raise DataError(f"{table} has {len(keys):,} different keys, and most lines lack most of them; write a table.")
    nested = [key for key in keys if any(_is_nested(entry.get(key)) for entry in entries)]
    if nested and len(keys) - len(nested) < 2:
        raise DataError(
            f"{table} has only nested values to learn from ({', '.join(nested)}); add a label to each line."
        )
    rows = [["" if key in nested else _as_cell(entry.get(key)) for key in keys] for entry in entries]
    return Cells([keys, *rows] if rows else [], ",", encoding)


def _read_line(table: Path, number: int, line: str) -> dict[str, Any]:
    try:
        entry = parse_json(line)
    except ValueError as error:
        raise DataError(f"{table} cannot be read as JSON (line {number}: {error}); correct that line.") from error
    if not isinstance(entry, dict):
        raise NoTableError(f"{table} is no table: line {number} holds no object with names and values.")
    return {str(key).strip(): value for key, value in entry.items()}


def _is_nested(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and any(isinstance(one, list | dict) for one in value))


def _as_cell(value: Any) -> str:
    if isinstance(value, list):
        return ";".join(_as_cell(one) for one in value)
    return "" if value is None else str(value).strip()
