"""Numbers given to a command: typed, or in a CSV or NumPy file."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from convolve.errors import OptionError
from convolve.untrusted.arrays import read_npy
from convolve.untrusted.files import read_text

Numbers = npt.NDArray[np.float64]
_FILES = (".csv", ".tsv", ".npy")
_LARGEST_FILE = 16 * 2**20
_LARGEST_TEXT = 4 * 2**20
_SYNTAX = "separate numbers by spaces, rows by ; or /, channels by |, or name a .csv or .npy file"
_LARGEST_INTEGER = math.isqrt(_LARGEST_FILE)
_LARGEST = 1e50  # its square, and products of a few such numbers, stay far from overflow


def read_numbers(name: str, text: str) -> Numbers:
    """The option ``name``'s value, as (channels, rows, columns) float64, or (filters, channels, rows, columns).

    Typed: numbers separated by spaces or commas, rows by ``;`` or ``/``, channels by ``|``, filters by ``||``. A value
    that ends in ``.csv``, ``.tsv`` or ``.npy`` is a file. Raises `OptionError`.
    """
    path = Path(text.strip())
    numbers = _read_file(path) if path.suffix.lower() in _FILES else _parse(name, text)
    if numbers.size == 0:
        raise OptionError(f"{name} is empty; {_SYNTAX}.")
    if not np.isfinite(numbers).all():
        raise OptionError(f"{name} contains NaN or infinity; {_SYNTAX}.")
    if np.abs(numbers).max() > _LARGEST:
        raise OptionError(
            f"{name} contains a number beyond {_LARGEST:g}, which would overflow; scale the numbers down."
        )
    return numbers


def _parse(name: str, text: str) -> Numbers:
    if "||" not in text:
        return _parse_channels(name, text)
    filters = [_parse_channels(name, words) for words in text.split("||")]
    if len({each.shape for each in filters}) > 1:
        raise OptionError(f"{name} has filters of different shapes; they must be equal.")
    return np.stack(filters)


def _parse_channels(name: str, text: str) -> Numbers:
    channels = [
        [[_parse_number(name, word) for word in re.split(r"[\s,]+", row.strip(" ,\t\n")) if word] for row in rows]
        for rows in (re.split(r"[;/\n]", channel.strip("; /\n")) for channel in text.split("|"))
    ]
    widths = {len(row) for rows in channels for row in rows}
    if len(widths) > 1 or len({len(rows) for rows in channels}) > 1:
        raise OptionError(f"{name} has rows or channels of different lengths; they must be equal.")
    return np.array(channels, np.float64)


def _parse_number(name: str, word: str) -> float:
    try:
        return float(word)
    except ValueError:
        raise OptionError(f"{name} has '{word}', which is not a number; {_SYNTAX}.") from None


def _read_file(path: Path) -> Numbers:
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise OptionError(f"{path} is too large to be written out value by value; take a small part of it.")
        if path.suffix.lower() == ".npy":
            return _add_axes(path, read_npy(path))
        return _parse(str(path), read_text(path, _LARGEST_TEXT).strip())
    except OSError as error:
        raise OptionError(f"{path} cannot be read ({error.strerror or error}); check the path.") from None
    except ValueError:
        raise OptionError(
            f"{path} does not contain a matrix of numbers; save one with numpy.save, or as text."
        ) from None


def _add_axes(path: Path, array: npt.NDArray[Any]) -> Numbers:
    if array.dtype.kind not in "biuf" or not 1 <= array.ndim <= 4:
        raise OptionError(
            f"{path} does not contain a matrix of numbers; save an array of one to four axes with numpy.save."
        )
    with np.errstate(all="ignore"):  # what does not fit becomes infinite, and is refused as such
        numbers = array.astype(np.float64)
    return numbers.reshape((1,) * max(0, 3 - array.ndim) + array.shape)


def bounded_integer(name: str, value: int | None, default: int, minimum: int) -> int:
    """The option ``name``'s value or its default, at least ``minimum``. Raises `OptionError`."""
    value = default if value is None else value
    if not minimum <= value <= _LARGEST_INTEGER:
        raise OptionError(f"{name} is {value}; it must be from {minimum} to {_LARGEST_INTEGER}.")
    return value
