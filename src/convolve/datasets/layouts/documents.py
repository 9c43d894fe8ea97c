"""Reading the small JSON and XML files in which annotations are kept."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from convolve.errors import DataError


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


def read_xml(path: Path, marks: Sequence[str]) -> Element | None:
    """The root of a file; None, without parsing it, where its text does not hold all the marks. Raises `DataError`."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); check its permissions.") from error
    if not all(_holds(content, mark) for mark in marks):
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
