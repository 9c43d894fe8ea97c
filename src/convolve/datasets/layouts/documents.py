"""Reading the JSON and XML files in which annotations are kept, each once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from convolve.datasets.inventory import natural
from convolve.datasets.layouts.parts import split_word
from convolve.errors import DataError
from convolve.untrusted.documents import parse_json, parse_xml
from convolve.untrusted.files import read_file


def without_duplicates(root: Path, names: Sequence[str]) -> tuple[list[str], list[str]]:
    """The files without those that hold the same bytes as another one of the same split, which has a shorter name; and
    a note on each copy.
    """
    first: dict[tuple[bytes, str | None], str] = {}
    kept, notes = set(names), []
    sizes = Counter((root / name).stat().st_size for name in names)
    for name in sorted(names, key=lambda name: (len(name), natural(name))):
        if sizes[(root / name).stat().st_size] > 1:
            parts = reversed(name.rpartition(".")[0].split("/"))
            split = next(filter(None, (split_word(part, alone=False) for part in parts)), None)
            known = first.setdefault(((root / name).read_bytes(), split), name)
            if known != name:
                kept.remove(name)
                notes.append(copy_note(name, known))
    return [name for name in names if name in kept], notes


def copy_note(copy: str, name: str) -> str:
    """What is said of a file that says the same as another one."""
    return f"{copy} is a copy of {name} and is not read"


def mentioned(content: bytes, keys: Sequence[str]) -> list[str]:
    """Those keys that occur in a JSON text, in quotes, without parsing it."""
    return [key for key in keys if _holds(content, f'"{key}"')]


def _holds(content: bytes, text: str) -> bool:
    """Whether a text occurs in one that is encoded in UTF-8 or UTF-16."""
    encoding = json.detect_encoding(content)
    return text.encode() in content if encoding.startswith("utf-8") else text in content.decode(encoding, "replace")


def read_json(path: Path, keys: Sequence[str]) -> Any:
    """The document of a file; None, without parsing it, where its text does not mention all the keys. Raises
    `DataError` for a damaged file with the keys.
    """
    try:
        content = read_file(path)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); check its permissions.") from error
    if len(mentioned(content, keys)) < len(keys):
        return None
    try:
        return parse_json(content)
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not in UTF-8, as JSON is; save it so.") from error
    except ValueError as error:
        raise DataError(f"{path} cannot be read as JSON ({error}); copy or save it again.") from error


def read_xml(path: Path, marks: Sequence[str]) -> Element | None:
    """The root of a file; None, without parsing it, where its text does not hold all the marks. Raises `DataError`."""
    try:
        content = read_file(path)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); check its permissions.") from error
    if not all(_holds(content, mark) for mark in marks):
        return None
    try:
        return parse_xml(content)
    except ValueError as error:
        raise DataError(f"{path} cannot be read as XML ({error}); copy or save it again.") from error
