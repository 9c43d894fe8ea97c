"""Parsing documents of unknown origin: JSON, TOML, YAML, XML and CSV, each with one kind of error."""

from __future__ import annotations

import csv
import json
import tomllib
from collections.abc import Iterable, Sequence
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from convolve.untrusted.files import DOCUMENT_BYTES

_DEEP = "it is nested too deeply"
_LONGEST_TOML = 2**16
_LONGEST_YAML = 2**17
_DEEPEST_YAML = 32  # lists and mappings in one another, each of which slows down all that is inside
_MOST_CELLS = 10_000  # of a line that is no error; spreadsheets have 16,384 columns, most of them empty
_LARGE = "it needs more memory than there is"


def parse_json(content: bytes | str) -> Any:
    """A JSON document; bytes in UTF-8, UTF-16 or UTF-32. Raises `ValueError`, which is a `UnicodeDecodeError` where
    the encoding is another one.
    """
    try:
        return json.loads(content)
    except RecursionError as error:
        raise ValueError(_DEEP) from error
    except MemoryError as error:
        raise ValueError(_LARGE) from error


def parse_toml(text: str) -> dict[str, Any]:
    """A TOML document. Raises `ValueError`, also for one of more than 65,536 characters: a key of as many parts takes
    seconds.
    """
    if len(text) > _LONGEST_TOML:
        raise ValueError(f"it has {len(text):,} characters, more than the {_LONGEST_TOML:,} that are read")
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ValueError(_DEEP) from error


def parse_yaml(text: str) -> Any:
    """A YAML document of lists and mappings, in which every other value is text: `no` is a name, and no truth value.

    Raises `ValueError`, also for aliases, which can make much of little, for a key that is there twice, for deep
    nesting, and for more than 131,072 characters, which take seconds.
    """
    import yaml

    if len(text) > _LONGEST_YAML:
        raise ValueError(f"it has {len(text):,} characters, more than the {_LONGEST_YAML:,} that are read")
    try:
        depth = 0
        for event in yaml.parse(text, Loader=yaml.BaseLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent) or depth > _DEEPEST_YAML:
                raise ValueError(_DEEP if depth > _DEEPEST_YAML else "it has aliases, which no list of classes needs")
        node = yaml.compose(text, Loader=yaml.BaseLoader)
        return None if node is None else _plain_value(node)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error


def _plain_value(node: Any) -> Any:
    """What a node of YAML holds. Raises `ValueError` for a key that is no text, or there twice."""
    if node.id == "scalar":
        return node.value
    if node.id == "sequence":
        return [_plain_value(each) for each in node.value]
    found: dict[str, Any] = {}
    for key, value in node.value:
        if key.id != "scalar" or key.value in found:
            raise ValueError(f"a key in line {key.start_mark.line + 1} is no text, or there twice")
        found[key.value] = _plain_value(value)
    return found


def parse_xml(content: bytes) -> Element:
    """The root of an XML document. Raises `ValueError`, also where it declares a document type: entities, which can
    make much of little or name other files, need one.
    """
    try:
        root: Element = fromstring(content, forbid_dtd=True)
    except DefusedXmlException as error:
        raise ValueError("it declares a document type, which no annotation needs") from error
    except (ParseError, LookupError, RecursionError) as error:
        raise ValueError(_DEEP if isinstance(error, RecursionError) else str(error)) from error
    return root


def cut_rows(
    lines: Iterable[str], delimiter: str = ",", *, spaced: bool = False, strict: bool = False
) -> list[list[str]]:
    """The cells of each line of a table. ``spaced`` passes over the spaces that follow a ``delimiter``; ``strict``
    refuses quotation marks that are not closed. Raises `ValueError` with the line's number, also for a
    line of more than 10,000 cells.
    """
    csv.field_size_limit(DOCUMENT_BYTES)  # or else 131,072 characters, which a mask in run lengths exceeds
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=spaced, strict=strict)
    rows = []
    try:
        for row in reader:
            check_cells(row, reader.line_num)
            rows.append(row)
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num}: {error}") from error
    return rows


def check_cells(row: Sequence[str], line: int) -> None:
    """Raise `ValueError` for a line of more cells than any table has."""
    if len(row) > _MOST_CELLS and any(row[_MOST_CELLS:]):
        raise ValueError(f"line {line}: it has {len(row):,} cells, more than the {_MOST_CELLS:,} that are read")
