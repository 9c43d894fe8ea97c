"""CIFAR-10 and CIFAR-100, python and binary versions (Krizhevsky 2009, "Learning multiple layers of features from tiny
images"), and STL-10's binary files (Coates, Ng, Lee 2011).

The python version is pickled. It is read by an unpickler that knows two inert stand-ins and nothing else, so that a
forged file can neither call nor build anything.
"""

from __future__ import annotations

import io
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, final

import numpy as np

from convolve.datasets.inventory import Inventory
from convolve.datasets.layouts.parts import Part, find_folder, labeled_arrays, read_lines
from convolve.errors import DataError
from convolve.values import Dataset, Pixels

NAME = "cifar"
EXPECTED = "data_batch_1[.bin], or train, test and meta (CIFAR), or train_X.bin (STL-10)"
MARK = re.compile(r"(^|/)(data_batch_[1-5](\.bin)?|meta|fine_label_names\.txt|train_X\.bin)$")
_BATCHES = tuple(f"data_batch_{number}" for number in range(1, 6))
_TEN = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_PIXELS = 3 * 32 * 32
_Stem = tuple[str, str]  # split, file


def recognize(inventory: Inventory) -> Dataset | None:
    """The dataset in a folder or in one below it, or None. Raises `DataError` for missing and damaged files."""
    for is_version, open_folder in _VERSIONS:
        folder = find_folder(inventory, is_version)
        if folder is not None:
            return open_folder(inventory.root / folder)
    return None


def _ten_python(folder: Path) -> Dataset:
    stems = [("train", name) for name in _BATCHES] + [("test", "test_batch")]
    meta = _unpickle(folder / "batches.meta") if (folder / "batches.meta").is_file() else {}
    classes = [_text(name) for name in meta.get(b"label_names", _TEN)]
    return _dataset(
        folder, "CIFAR-10's python batches", [_read_pickled(folder, stem, b"labels") for stem in stems], classes
    )


def _hundred_python(folder: Path) -> Dataset:
    classes = [_text(name) for name in _unpickle(folder / "meta").get(b"fine_label_names", ())]
    parts = [_read_pickled(folder, (name, name), b"fine_labels") for name in ("train", "test")]
    return _dataset(folder, "CIFAR-100's python files train, test and meta", parts, classes)


def _ten_binary(folder: Path) -> Dataset:
    stems = [("train", f"{name}.bin") for name in _BATCHES] + [("test", "test_batch.bin")]
    names = folder / "batches.meta.txt"
    classes = read_lines(names) if names.is_file() else _TEN
    return _dataset(folder, "CIFAR-10's binary batches", [_read_binary(folder, stem, 1) for stem in stems], classes)


def _hundred_binary(folder: Path) -> Dataset:
    parts = [_read_binary(folder, (name, f"{name}.bin"), 2) for name in ("train", "test")]
    classes = read_lines(folder / "fine_label_names.txt")
    return _dataset(folder, "CIFAR-100's binary files train.bin and test.bin", parts, classes)


def _stl(folder: Path) -> Dataset:
    parts = []
    for split in ("train", "test"):
        blob, labels = _bytes(folder / f"{split}_X.bin"), _bytes(folder / f"{split}_y.bin")
        images = _rows(folder / f"{split}_X.bin", blob, 3 * 96 * 96).reshape(-1, 3, 96, 96).transpose(0, 3, 2, 1)
        parts.append(
            Part(
                split, f"{split}_X", np.ascontiguousarray(images), np.frombuffer(labels, np.uint8).astype(np.int64) - 1
            )
        )
    return _dataset(folder, "STL-10's binary files", parts, read_lines(folder / "class_names.txt"))


_VERSIONS: tuple[tuple[Callable[[frozenset[str]], bool], Callable[[Path], Dataset]], ...] = (
    (lambda names: not names.isdisjoint(_BATCHES), _ten_python),
    (lambda names: not names.isdisjoint(f"{name}.bin" for name in _BATCHES), _ten_binary),
    (frozenset(("train", "test", "meta")).issubset, _hundred_python),
    (frozenset(("train.bin", "fine_label_names.txt")).issubset, _hundred_binary),
    (frozenset(("train_X.bin", "class_names.txt")).issubset, _stl),
)


def _dataset(folder: Path, reason: str, parts: list[Part], classes: list[str] | tuple[str, ...]) -> Dataset:
    try:
        return labeled_arrays(folder, NAME, reason, parts, classes)
    except DataError as error:
        raise DataError(f"{folder}: {error}") from None


def _read_pickled(folder: Path, stem: _Stem, key: bytes) -> Part:
    split, name = stem
    content = _unpickle(folder / name)
    data, labels = content.get(b"data"), content.get(key)
    if not isinstance(data, _Array) or not isinstance(labels, list):
        raise DataError(f"{folder / name} lacks the entries 'data' and '{key.decode()}'; copy it again.")
    images = _rows(folder / name, data.values(), _PIXELS)
    return Part(split, name, _planes(images), np.array(labels, dtype=np.int64))


def _read_binary(folder: Path, stem: _Stem, labels: int) -> Part:
    split, name = stem
    rows = _rows(folder / name, _bytes(folder / name), labels + _PIXELS)
    return Part(split, name, _planes(rows[:, labels:]), rows[:, labels - 1].astype(np.int64))


def _planes(rows: Pixels) -> Pixels:
    """(N, 3072), red then green then blue, as (N, 32, 32, 3)."""
    return np.ascontiguousarray(rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))


def _rows(path: Path, blob: bytes, length: int) -> Pixels:
    if not blob or len(blob) % length:
        raise DataError(f"{path} is cut short: {len(blob)} bytes are not a whole number of images; copy it again.")
    return np.frombuffer(blob, dtype=np.uint8).reshape(-1, length)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be opened ({error.strerror}); the other files of its set are there.") from error


def _text(name: bytes | str) -> str:
    return name.decode() if isinstance(name, bytes) else name


def _unpickle(path: Path) -> dict[bytes, Any]:
    try:
        content = _Inert(io.BytesIO(_bytes(path)), encoding="bytes").load()
    except DataError:
        raise
    except Exception as error:  # a damaged pickle can raise anything
        raise DataError(f"{path} is damaged or not a CIFAR file ({error}); copy it again.") from error
    if not isinstance(content, dict):
        raise DataError(f"{path} is not a CIFAR file: it holds no dictionary; copy it again.")
    return {key.encode() if isinstance(key, str) else key: value for key, value in content.items()}


@final
class _Dtype:
    """Stands for numpy's dtype: has its code."""

    def __init__(self, code: bytes | str, *_: object) -> None:
        self.code = _text(code)

    def __setstate__(self, state: object) -> None:
        """The byte order, which bytes do not have."""


@final
class _Array:
    """Stands for numpy's array: has its bytes."""

    def __init__(self, *_: object) -> None:
        self.state: tuple[Any, ...] = ()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.state = state

    def values(self) -> bytes:
        """The array's bytes, row by row. Raises `DataError` unless it holds unsigned bytes in that order."""
        match self.state:
            case (_, tuple(), _Dtype(code="u1"), False | 0, bytes() as values):
                return values
        raise DataError("A CIFAR file holds an array of another kind than unsigned bytes; copy it again.")


def _encode(text: str, _encoding: str) -> bytes:
    """What newer Pythons write where Python 2 wrote plain bytes."""
    return text.encode("latin1")


@final
class _Inert(pickle.Unpickler):
    """Knows an array's parts as stand-ins, and refuses every other name."""

    def find_class(self, module: str, name: str) -> Any:
        """The stand-in for a name; nothing is imported. Raises `DataError`."""
        root = module.partition(".")[0]
        if root == "numpy" and name in ("_reconstruct", "ndarray"):
            return _Array
        if root == "numpy" and name == "dtype":
            return _Dtype
        if (module, name) == ("_codecs", "encode"):
            return _encode
        raise DataError(f"A pickled file wants to use {module}.{name}, which no CIFAR file does; do not trust it.")
