"""Reading the JSON and XML files in which annotations are kept, each once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from convolve.datasets.inventory import natural
from convolve.datasets.layouts.parts import split_word
from convolve.errors import DataError


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
    encoding = json.detect_encoding(content)
    if encoding.startswith("utf-8"):
        return [key for key in keys if f'"{key}"'.encode() in content]
    text = content.decode(encoding, errors="replace")
    return [key for key in keys if f'"{key}"' in text]


def read_json(path: Path, keys: Sequence[str]) -> Any:
    """The document of a file; None, without parsing it, where its text does not mention all the keys. Raises
    `DataError` for a damaged file with the keys.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); check its permissions.") from error
    if len(mentioned(content, keys)) < len(keys):
        return None
    try:
        return json.loads(content)
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not in UTF-8, as JSON is; save it so.") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} cannot be read as JSON ({error}); copy or save it again.") from error


def read_xml(path: Path, marks: Sequence[bytes]) -> Element | None:
    """The root of a file; None, without parsing it, where its text does not hold all the marks. Raises `DataError`."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); check its permissions.") from error
    if not all(mark in content for mark in marks):
        return None
    try:
        root: Element = fromstring(content, forbid_dtd=True)
    except DefusedXmlException as error:
        raise DataError(
            f"{path} declares a document type, which no annotation needs; remove the declaration."
        ) from error
    except (ParseError, ValueError) as error:
        raise DataError(f"{path} cannot be read as XML ({error}); copy or save it again.") from error
    return root
