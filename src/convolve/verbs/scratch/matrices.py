"""Numbers as people give them to a command: typed, or in a CSV or NumPy file."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from convolve.errors import OptionError

Numbers = npt.NDArray[np.float64]
_FILES = (".csv", ".tsv", ".npy")
_LARGEST_FILE = 16 * 2**20
_HOW = "write numbers with spaces between them, ; or / between rows and | between channels, or name a .csv or .npy file"
_FILTERS = "||"
_LARGEST = 1e50  # its square, and products of a few such numbers, stay far from overflow


def read_numbers(name: str, text: str) -> Numbers:
    """The option ``name``'s value, as (channels, rows, columns) float64, or (filters, channels, rows, columns).

    Typed: values apart by spaces or commas, rows by ``;`` or ``/``, channels by ``|``, filters by ``||``. A value that
    ends in ``.csv``, ``.tsv`` or ``.npy`` is a file. Raises `OptionError`.
    """
    path = Path(text.strip())
    numbers = _from_file(path) if path.suffix.lower() in _FILES else _typed(name, text)
    if numbers.size == 0:
        raise OptionError(f"{name} is empty; {_HOW}.")
    if not np.isfinite(numbers).all():
        raise OptionError(f"{name} has a value that is no finite number; {_HOW}.")
    if np.abs(numbers).max() > _LARGEST:
        raise OptionError(f"{name} has a value beyond {_LARGEST:g}, whose sums would overflow; scale the numbers down.")
    return numbers


def _typed(name: str, text: str) -> Numbers:
    if _FILTERS not in text:
        return _channels(name, text)
    filters = [_channels(name, words) for words in text.split(_FILTERS)]
    if len({each.shape for each in filters}) > 1:
        raise OptionError(f"{name} has filters of different shapes; make them the same.")
    return np.stack(filters)


def _channels(name: str, text: str) -> Numbers:
    channels = [
        [[_value(name, word) for word in re.split(r"[\s,]+", row.strip(" ,\t\n")) if word] for row in rows]
        for rows in (re.split(r"[;/\n]", channel.strip("; /\n")) for channel in text.split("|"))
    ]
    widths = {len(row) for rows in channels for row in rows}
    if len(widths) > 1 or len({len(rows) for rows in channels}) > 1:
        raise OptionError(f"{name} has rows or channels of different lengths; make them the same.")
    return np.array(channels, np.float64)


def _value(name: str, word: str) -> float:
    try:
        return float(word)
    except ValueError:
        raise OptionError(f"{name} has '{word}', which is no number; {_HOW}.") from None


def _from_file(path: Path) -> Numbers:
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise OptionError(f"{path} is too large to be shown sum by sum; cut a small part out of it.")
        if path.suffix.lower() == ".npy":
            return _with_axes(path, np.load(path, allow_pickle=False))
        return _typed(str(path), path.read_text(encoding="utf-8-sig").strip())
    except OSError as error:
        raise OptionError(f"{path} cannot be read ({error.strerror or error}); check the name.") from None
    except (ValueError, EOFError):
        raise OptionError(f"{path} holds no matrix of numbers; save it with numpy.save, or as text.") from None


def _with_axes(path: Path, array: Any) -> Numbers:
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf" or not 1 <= array.ndim <= 4:
        raise OptionError(f"{path} holds no matrix of numbers; save an array of one to four axes with numpy.save.")
    numbers = array.astype(np.float64)
    return numbers.reshape((1,) * max(0, 3 - array.ndim) + array.shape)


def whole(name: str, value: int | None, default: int, least: int) -> int:
    """A whole number of at least ``least``. Raises `OptionError`."""
    value = default if value is None else value
    if value < least:
        raise OptionError(f"{name} cannot be {value}; it takes a whole number from {least}.")
    if value > math.isqrt(_LARGEST_FILE):
        raise OptionError(f"{name} cannot be {value}; that is far beyond what can be shown sum by sum.")
    return value
