"""Reading the small JSON and XML files in which annotations are kept."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from convolve.errors import DataError
from convolve.untrusted.documents import parse_json, parse_xml
from convolve.untrusted.files import read_file


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


def read_xml(path: Path, marks: Sequence[bytes]) -> Element | None:
    """The root of a file; None, without parsing it, where its text does not hold all the marks. Raises `DataError`."""
    try:
        content = read_file(path)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); check its permissions.") from error
    if not all(mark in content for mark in marks):
        return None
    try:
        return parse_xml(content)
    except ValueError as error:
        raise DataError(f"{path} cannot be read as XML ({error}); copy or save it again.") from error
